"""One training by hand, or for a W&B agent: parameters above what a study's trainings share.

    the study's base, its set, a sweep's file of parameters, the command line  ->  a trial

It is trained into the run store like any other: `results/by-hand/{study}/` has its trial file and
record, and nothing else asks for these. Under an agent all metrics go to the W&B run that the agent
opened, whether they are trained now or were in the store.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.canonical import digest
from resweep.config import compose, layers
from resweep.config.compose import Layer
from resweep.config.schema import is_known
from resweep.config.spelling import WAY_OUT, is_own, nearest
from resweep.errors import ConfigError, Problem
from resweep.jobs.arguments import COMMAND_LINE, Given, parse_arguments
from resweep.jobs.train_trial import train_trial
from resweep.paths import BY_HAND, Layout
from resweep.store.run import DIVERGED, FINISHED, STOPPED
from resweep.study.find import default_study, find_study
from resweep.study.study_file import StudyFile, read_study_file
from resweep.trials.trial import Trial, read_record, write_trial
from resweep.wandb.follow import follow

log = logging.getLogger(__name__)

KEEP = ("best", "all", "none")
OPTIONS = ("study", "results", "device", "keep")
MODES = {"online": "online", "offline": "offline", "dryrun": "offline", "disabled": "disabled"}


@dataclass(frozen=True)
class Plan:
    """A training by hand, checked.

    Attributes:
        trial: What to train.
        layout: Where.
        device: auto, cpu, cuda or cuda:N.
        keep: Whether its weights stay: best (if it is trained now), all (in any case) or none.
        tracking: As for `resweep.wandb.follow.follow`.
    """

    trial: Trial
    layout: Layout
    device: str
    keep: str
    tracking: dict[str, Any]

    @property
    def record(self) -> Path:
        """Where its record goes."""
        return self.layout.record(self.trial.study, self.trial.phase, self.trial.trial)


def plan_by_hand(
    words: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    config_dir: Path = Path("config"),
) -> Plan:
    """Read a command line, and what a W&B agent left in the environment.

    Args:
        words: All of the command line but the program.
        environment: `WANDB_SWEEP_PARAM_PATH`, and of an agent `WANDB_SWEEP_ID`, `WANDB_RUN_ID`,
            `WANDB_MODE`.
        config_dir: Where studies and modules are.

    Raises:
        ConfigError: All that is wrong.
    """
    swept = environment.get("WANDB_SWEEP_PARAM_PATH")
    arguments = parse_arguments(words, OPTIONS, Path(swept) if swept else None)
    options, problems = arguments.options, list(arguments.problems)
    keep = options.get("keep", "best")
    if keep not in KEEP:
        problems.append(Problem(COMMAND_LINE, "keep", keep, f"should be one of {', '.join(KEEP)}"))
    try:
        name = options.get("study")
        path = find_study(default_study(config_dir) if name is None else name, config_dir)
        study, problems_of_study = read_study_file(path)
        problems += problems_of_study
        problems += [
            Problem(one.origin, one.name, one.value, f"did you mean {meant}? {WAY_OUT}")
            for one in arguments.given
            if (meant := nearest(one.name, OPTIONS)) and not is_own(one.name, study.own)
        ]
        tracking = agent_tracking(environment) or study.tracking.model_dump()
        config, assignments = _resolve(study, path, config_dir, arguments.given)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    if problems:
        raise ConfigError(problems)
    trial = Trial(BY_HAND, study.name, digest(assignments, 10), config, assignments)
    layout = Layout(Path(options.get("results", "results")))
    return Plan(trial, layout, options.get("device", "auto"), keep, tracking)


def agent_tracking(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return how a W&B agent's run is tracked; empty where no agent opened one.

    Raises:
        ConfigError: WANDB_MODE is none that a training can follow.
    """
    run = environment.get("WANDB_RUN_ID")
    if not run or not environment.get("WANDB_SWEEP_ID"):
        return {}
    mode = environment.get("WANDB_MODE", "online")
    if mode not in MODES:
        mend = f"should be one of {', '.join(MODES)}"
        raise ConfigError(Problem("environment", "WANDB_MODE", mode, mend))
    return {"wandb": MODES[mode], "agent_run": run}


def _resolve(
    study: StudyFile, path: Path, config_dir: Path, given: Sequence[Given]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration, and the part of it that was given: path -> value."""
    modules, problems = layers.load_modules(config_dir, study.base)
    by_origin: dict[str, dict[str, Any]] = {}
    for one in given:
        by_origin.setdefault(one.origin, {})[one.name] = _for_its_field(one)
    above = [Layer(origin, content) for origin, content in by_origin.items()]
    below = [*modules, Layer(str(path), study.set)]
    done = layers.complete([*below, *above], str(path), study.own, sound=not problems)
    if problems or done.problems:
        raise ConfigError([*problems, *done.problems])
    assignments: dict[str, Any] = {}
    for layer in above:
        assignments |= compose.leaves(layers.named(layer, done.written)[0].content)
    return done.config, {name: compose.coerce(name, v) for name, v in assignments.items()}


def _for_its_field(one: Given) -> Any:
    """Return a parameter's value; its bare text where the field takes that and not the value."""
    if one.text is None or isinstance(one.value, str):
        return one.value
    with contextlib.suppress(ValueError):  # what is ambiguous or wrong is told with its layer
        path = compose.resolve_name(one.name, {})
        try:
            compose.coerce(path, one.value)
        except ValueError:
            compose.coerce(path, one.text)
            return one.text
    return one.value


def train_by_hand(
    plan: Plan,
    *,
    lock_timeout: float = 3600.0,
    interrupted: Callable[[], bool] = lambda: False,
    on_run: Callable[[Path], None] = lambda folder: None,
) -> dict[str, Any]:
    """Train as planned, or take what the store has; returns the record.

    Args:
        plan: What, and where.
        lock_timeout: Seconds to wait for another process that advances the run.
        interrupted: Whether to save and leave.
        on_run: Told the run's folder once it is known.

    Raises:
        Interrupted: Told to leave, after saving.
        ResweepError: A fault of the machine or of the data; the same call may go through later.
    """
    trial, layout = plan.trial, plan.layout
    own = sorted(path for path in trial.assignments if not is_known(path))
    if own:
        log.info("hyperparameters of your own, which only name the run: %s", ", ".join(own))
    write_trial(layout.trial(trial.study, trial.phase, trial.trial), trial)
    trained = train_trial(
        trial,
        plan.record,
        layout,
        device=plan.device,
        keep=plan.keep,
        tracking=plan.tracking,
        lock_timeout=lock_timeout,
        interrupted=interrupted,
        on_run=on_run,
    )
    record = read_record(plan.record)
    if "agent_run" in plan.tracking and record["run_id"] is not None and not trained:
        run_id, horizon = record["run_id"], record["max_steps"]
        with follow(layout.run(run_id), 0, run_id, trial, plan.tracking, layout, horizon):
            pass  # all there is to send is there
    return record


def describe(record: Mapping[str, Any], layout: Layout) -> str:
    """Return what came out, for people: the run's folder, its status, the final metrics."""
    if record["run_id"] is None:
        return f"{record['status']}: {record['stop_reason']}"
    reason = f" ({record['stop_reason']})" if record["stop_reason"] else ""
    head = f"{layout.run(record['run_id'])}: {record['status']} at step {record['step']}{reason}"
    metrics = record["metrics"]
    width = max(map(len, metrics), default=0)
    return "\n".join([head, *(f"  {name:{width}}  {metrics[name]:.6g}" for name in metrics)])


def is_result(record: Mapping[str, Any]) -> bool:
    """Whether there was something to train, and it was trained."""
    return record["status"] in (FINISHED, STOPPED, DIVERGED)
