"""One training by hand, or for a W&B agent: parameters that override those of a study.

    the study's base, its set, modules of --config NAME, a sweep's file of parameters, the
    command line  ->  a trial

It is trained in the run store like any other: `results/by-hand/{study}/` has its trial file and
record, and nothing else uses these. Under an agent, all metrics go to the W&B run that the agent
opened, whether they are computed now or were in the store.
"""

import logging
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resweep.canonical import digest
from resweep.config import compose, layers
from resweep.config.compose import Layer
from resweep.config.modules import load_module, load_modules, load_named
from resweep.config.own_names import is_own, is_taken
from resweep.config.schema import Schema
from resweep.config.spelling import nearest
from resweep.config.synonyms import fields_meant
from resweep.errors import ConfigError, Problem, secret_problems
from resweep.jobs.options import DEVICE, DEVICE_HINT, KEEP, JobOptions
from resweep.jobs.train_trial import train_trial
from resweep.machine.under_torchrun import TORCHRUN, torchrun_processes
from resweep.paths import BY_HAND, Layout
from resweep.study.command_layers import names_module, process_layers, value_of
from resweep.study.find import find_named_study
from resweep.study.study_file import StudyFile, read_study_file
from resweep.sweep.arguments import COMMAND_LINE, NAMED, OPTIONS, Given, parse_arguments
from resweep.systems.registry import find_system, other_systems, system_of
from resweep.systems.system import DEFAULT
from resweep.trials.record import Record, read_record
from resweep.trials.trial import Trial, write_trial

log = logging.getLogger(__name__)

MODES = {"online": "online", "offline": "offline", "dryrun": "offline", "disabled": "disabled"}


@dataclass(frozen=True)
class Plan:
    """A training by hand, checked.

    Attributes:
        trial: What to train.
        options: Of the job; keep: best keeps the weights if it is trained now, all always.
    """

    trial: Trial
    options: JobOptions

    @property
    def layout(self) -> Layout:
        """Of the results folder."""
        return self.options.layout

    @property
    def record(self) -> Path:
        """Where its record goes."""
        return self.layout.record(self.trial.study, self.trial.phase, self.trial.trial)


def plan_by_hand(
    words: Sequence[str],
    environment: Mapping[str, str] = os.environ,
    config_dir: Path = Path("config"),
) -> Plan:
    """Read a command line, and what a W&B agent set in the environment.

    Args:
        words: All words after the program.
        environment: `WANDB_SWEEP_PARAM_PATH`, and of an agent `WANDB_SWEEP_ID`, `WANDB_RUN_ID`,
            `WANDB_MODE`; of torchrun, how many processes it started.
        config_dir: Where studies and modules are.

    Raises:
        ConfigError: Everything that is wrong.
    """
    swept = environment.get("WANDB_SWEEP_PARAM_PATH")
    arguments = parse_arguments(words, OPTIONS, Path(swept) if swept else None)
    options, problems = arguments.options, list(arguments.problems)
    problems += [
        Problem(COMMAND_LINE, name, value, "should not be empty")
        for name, value in options.items()
        if name != "study" and not value.strip()
    ]
    keep = options.get("keep", "best")
    if keep not in KEEP:
        problems.append(Problem(COMMAND_LINE, "keep", keep, f"should be one of {', '.join(KEEP)}"))
    if not re.fullmatch(DEVICE, options.get("device", "auto")):
        problems.append(Problem(COMMAND_LINE, "--device", options["device"], DEVICE_HINT))
    try:
        path = find_named_study(options.get("study"), config_dir)
        read = read_study_file(path)
        study = read.content
        problems += read.problems
        problems += [
            Problem(one.origin, one.name, one.value, f"did you mean {meant}? Or {_own(one.name)}")
            for one in arguments.given
            if (meant := nearest(one.name, (*OPTIONS, NAMED))) and not is_own(one.name, study.own)
        ]
        tracking = agent_tracking(environment) or study.tracking.model_dump()
        processes = torchrun_processes(environment)
        config, assignments = _resolve(study, path, config_dir, arguments.given, processes)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    if problems:
        raise ConfigError(problems)
    trial = Trial(
        BY_HAND, study.name, digest(assignments, 10), config=config, assignments=assignments
    )
    job = JobOptions(
        results=Path(options.get("results", "results")),
        device=options.get("device", "auto"),
        keep=keep,
        tracking=tracking,
    )
    return Plan(trial, job)


def agent_tracking(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return how a W&B agent's run is tracked; empty where no agent opened one.

    Raises:
        ConfigError: WANDB_MODE is unknown.
    """
    run = environment.get("WANDB_RUN_ID")
    if not run or not environment.get("WANDB_SWEEP_ID"):
        return {}
    mode = environment.get("WANDB_MODE", "online")
    if mode not in MODES:
        hint = f"should be one of {', '.join(MODES)}"
        raise ConfigError(Problem("environment", "WANDB_MODE", mode, hint))
    return {"wandb": MODES[mode], "agent_run": run}


def _resolve(
    study: StudyFile,
    path: Path,
    config_dir: Path,
    given: Sequence[Given],
    processes: int | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration, and the part of it that was given: path -> value."""
    schema = find_system(study.system or DEFAULT, str(path)).schema
    by_name = [one for one in given if one.name == NAMED and not is_own(NAMED, study.own)]
    given = [one for one in given if one not in by_name]
    chosen, problems = _load_named(by_name[-1:], config_dir, schema)
    by_origin: dict[str, dict[str, Any]] = {}
    for one in given:
        try:
            if names_module(one, schema, study.own):
                chosen[one.name] = load_module(config_dir, one.name, one.value, one.origin, "")
            else:
                values = by_origin.setdefault(one.origin, {})
                values[one.name] = value_of(one, schema, study.own)
        except ConfigError as error:
            problems += error.problems
        except ValueError as error:
            word = f"--{one.name}" if one.value else f"--no-{one.name}"
            problems.append(Problem(COMMAND_LINE, word, None, str(error)))
    base = {section: module for section, module in study.base.items() if section not in chosen}
    modules, wrong = load_modules(config_dir, base, schema, study.own, str(path))
    problems += wrong
    above = [*chosen.values(), *(Layer(origin, content) for origin, content in by_origin.items())]
    lowest, of_torchrun = process_layers(TORCHRUN, processes)
    below = [*lowest, *modules, Layer(str(path), study.set), *of_torchrun]
    done = layers.complete([*below, *above], str(path), schema, study.own, sound=not problems)
    found = [*problems, *done.problems]
    found += [p for one in given for p in secret_problems(one.origin, {one.name: one.value})]
    reported = {problem.key for problem in found}
    for one in given:
        found += [p for p in _check_name(one, schema, study.own) if p.key not in reported]
    if found:
        raise ConfigError(found)
    assigned = [layers.named(layer, done.written, schema, study.own)[0] for layer in above]
    if chosen:  # what is set inside of a module's lists is part of them
        assigned = [Layer(str(path), compose.merge(assigned).content)]
    assignments = {name: v for layer in assigned for name, v in compose.leaves(layer.content)}
    return done.config, {name: compose.coerce(name, v, schema) for name, v in assignments.items()}


def _load_named(
    chosen: Sequence[Given], config_dir: Path, schema: Schema
) -> tuple[dict[str, Layer], list[Problem]]:
    """Load the modules of --config NAME: section -> layer; none where it was not given."""
    for one in chosen:
        if one.flag or isinstance(one.value, Mapping | list):
            hint = "needs the name of a configuration; write --config=NAME"
            return {}, [Problem(one.origin, NAMED, None if one.flag else one.value, hint)]
        name = str(one.value) if one.text is None else one.text
        try:
            return load_named(config_dir, name, schema, one.origin, NAMED), []
        except ConfigError as error:
            field = schema.path_only.get(NAMED)
            more = "" if field is None else f". The field is written {field}"
            return {}, [replace(problem, hint=problem.hint + more) for problem in error.problems]
    return {}, []


def _check_name(one: Given, schema: Schema, own: Collection[str]) -> list[Problem]:
    """Refuse a name that nothing reads but means a field, and a short one of two meanings."""
    if is_own(one.name, own):
        return []
    path = schema.path_only.get(one.name)
    if path is not None:
        hint = (
            f"could be {path}, or a hyperparameter of your own; write {path}, or {_own(one.name)}"
        )
        return [Problem(one.origin, one.name, one.value, hint)]
    if isinstance(one.value, Mapping) and one.name in schema.fields:
        try:  # its leaves would be hyperparameters of one's own
            compose.coerce(schema.fields[one.name][0], one.value, schema)
        except ValueError as error:
            return [Problem(one.origin, one.name, one.value, str(error))]
    known = schema.is_known(one.name) or ("." not in one.name and is_taken(one.name, schema))
    meant = () if known else fields_meant(one.name, schema)
    if not meant:
        elsewhere = () if known else other_systems(one.name, schema.system)
        if not elsewhere:
            return []
        hint = f"is {' or '.join(elsewhere)}, and the study trains {schema.system}; choose a study "
        hint += f"of that by --study, or {_own(one.name)}"
        return [Problem(one.origin, one.name, one.value, hint)]
    hint = f"is not a field; did you mean {' or '.join(meant)}? Or {_own(one.name)}"
    return [Problem(one.origin, one.name, one.value, hint)]


def _own(name: str) -> str:
    return f"to accept it as a hyperparameter of your own, add own: [{name}] to the study"


def train_by_hand(
    plan: Plan,
    *,
    interrupted: Callable[[], bool] = lambda: False,
    on_run: Callable[[Path], None] = lambda folder: None,
) -> Record:
    """Train as planned, or use what the store has; returns the record.

    Args:
        plan: What, and where.
        interrupted: Whether to save and stop.
        on_run: Called with the run's folder once it is known.

    Raises:
        Interrupted: Asked to stop, after saving.
        ResweepError: A fault of the machine or of the data; the same call may succeed later.
    """
    trial = plan.trial
    schema = system_of(trial.config).schema
    own = sorted(path for path in trial.assignments if not schema.is_known(path))
    if own:
        log.info("your own hyperparameters, which only tell runs apart: %s", ", ".join(own))
    write_trial(plan.layout.trial(trial.study, trial.phase, trial.trial), trial)
    train_trial(
        trial,
        plan.record,
        plan.options,
        interrupted=interrupted,
        on_run=on_run,
    )
    return read_record(plan.record)


def result_text(record: Record, layout: Layout) -> str:
    """Return the result, for people: the run's folder, its status, the final metrics."""
    if record.run_id is None:
        return f"{record.status}: {record.stop_reason}"
    head = f"{layout.run(record.run_id)}: {record.end_text}"
    metrics = record.metrics
    width = max(map(len, metrics), default=0)
    return "\n".join([head, *(f"  {name:{width}}  {metrics[name]:.6g}" for name in metrics)])
