"""A sweep phase from its sweep file: trials or rounds, and rungs.

phase of the study file + sweep file + configuration below it -> Phase
"""

import math
import re
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resweep.config import compose
from resweep.config.metric import Logged, Metric
from resweep.errors import ConfigError, Problem
from resweep.search.observe import check_tables
from resweep.search.rungs import step_of, values_of
from resweep.search.stages import round_names
from resweep.study.metric import PhaseScore, choose_metric, warn_of_unused
from resweep.study.name_trials import check_unread, name_trials, resolve_parameters
from resweep.study.schema import NAME, PhaseFile, Score
from resweep.study.study import Phase, Rungs, Search
from resweep.sweep import EarlyTerminate, Parameter, Sweep, load_sweep
from resweep.sweep.early_terminate import read_early_terminate
from resweep.sweep.findings import Findings
from resweep.systems.registry import metric_of, system_of
from resweep.systems.system import System
from resweep.training.schedule import resolve_warmup

ROUND_SIZE = 8
EARLY = 0.2  # of a training: the order of curves that are cut before says little about the end
ADVISED = 0.25


@dataclass(frozen=True)
class Surroundings:
    """What a sweep phase is read in.

    Attributes:
        study_path: The study file, for messages.
        where: The phase's place in it.
        config_dir: Where sweep files are.
        system: What is trained.
        config: The configuration as written, to resolve names in.
        complete: The same with defaults; empty where it has problems of its own.
        score: The study's.
        fixed: Paths that the phase and the command line set.
        earlier: Names of the phases before.
        common: What every phase has.
    """

    study_path: str
    where: str
    config_dir: Path
    system: System
    config: dict[str, Any]
    complete: dict[str, Any]
    score: Score
    fixed: Collection[str]
    earlier: Sequence[str]
    common: dict[str, Any]

    def problem(self, key: str, value: Any, mend: str) -> Problem:
        """Return what is wrong with a key of the phase."""
        return Problem(self.study_path, f"{self.where}.{key}", value, mend)


@dataclass(frozen=True)
class LoadedSweep:
    """A sweep phase with what its file says beside it.

    Attributes:
        phase: None where the configuration below has problems of its own.
        sweep: The file.
        constants: What it sets in all trials.
        warnings: For people.
    """

    phase: Phase | None
    sweep: Sweep
    constants: dict[str, Any]
    warnings: list[str]


def load_sweep_phase(part: PhaseFile, around: Surroundings) -> LoadedSweep:
    """Read a sweep phase.

    Raises:
        ConfigError: All that is wrong with the phase and its sweep file.
    """
    problems = [
        around.problem(key, getattr(part, key), "is for kind: rerun")
        for key in ("of", "top", "seeds")
        if getattr(part, key) is not None
    ]
    if part.sweep is None:
        mend = "is missing: name a file of config/sweep/"
        raise ConfigError([*problems, around.problem("sweep", None, mend)])
    own, schema = around.common["own"], around.system.schema
    try:
        sweep = load_sweep(_sweep_path(part.sweep, around.config_dir))
        swept, constants = resolve_parameters(sweep, around.config, around.fixed, schema, own)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    warnings = list(sweep.warnings)
    score: PhaseScore | None = None
    try:
        warnings += check_unread(sweep, swept, schema, own)
    except ConfigError as error:
        problems += error.problems
    try:
        score = choose_metric(around.score, sweep, around.study_path, around.system)
        warnings += warn_of_unused(score, sweep, around.study_path)
    except ConfigError as error:
        problems += error.problems
    problems += _check_adaptive_keys(part, sweep, around)
    filled: dict[str, Any] = {}
    try:
        if sweep.method == "bayes":
            search = filled["search"] = _search(part, sweep, swept, around)
            names = [parameter.name for parameter in search.parameters]
            # Rankings of phases may not be there yet.
            tables = [Path(name) for name in search.warm_start if name.endswith(".csv")]
            if score is not None:
                problems += check_tables(tables, score.metric, names, schema)
        else:
            filled["assignments"] = name_trials(sweep, swept, schema, part.trials, part.seed)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    if not around.complete:
        return LoadedSweep(None, sweep, constants, warnings)
    complete = compose.assign(around.complete, constants)
    assert score is not None, "else there are problems"
    metric = metric_of(complete, score.metric)
    rungs, doubts = _rungs(part, sweep, swept.values(), complete, metric, around)
    phase = Phase(config=complete, score=score, rungs=rungs, **filled, **around.common)
    warnings += [*doubts, *_warn_of_infeasible(phase, sweep), *_warn_of_idle(phase, sweep)]
    return LoadedSweep(phase, sweep, constants, warnings)


def _sweep_path(name: str, config_dir: Path) -> Path:
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    return config_dir / "sweep" / f"{name}.yaml"


def _check_adaptive_keys(part: PhaseFile, sweep: Sweep, around: Surroundings) -> list[Problem]:
    problems = []
    if sweep.method != "bayes":
        mend = f"is for sweeps by method: bayes, and {sweep.origin} has {sweep.method}"
        problems += [
            around.problem(key, getattr(part, key), mend)
            for key in ("round_size", "warm_start")
            if getattr(part, key) is not None
        ]
    own = "{study}/{name}".format(**around.common)
    for source in part.warm_start or []:
        known = source in around.earlier or source.endswith(".csv")
        if source == own:
            problems.append(around.problem("warm_start", source, "is this phase itself"))
        elif not known and not re.fullmatch(f"{NAME}/{NAME}", source):
            earlier = ", ".join(around.earlier) or "none"
            mend = f"should be an earlier phase ({earlier}), STUDY/PHASE or a .csv file"
            problems.append(around.problem("warm_start", source, mend))
        elif not known and source.partition("/")[0] == around.common["study"]:
            mend = f"is no earlier phase of this study; there are: {', '.join(around.earlier)}"
            problems.append(around.problem("warm_start", source, mend))
    return problems


def _search(
    part: PhaseFile, sweep: Sweep, swept: dict[str, Parameter], around: Surroundings
) -> Search:
    trials = part.trials or sweep.run_cap
    if trials is None:
        mend = "is missing: say how many trials a Bayesian sweep has (run_cap: 32, or trials in "
        raise ConfigError(Problem(sweep.origin, "run_cap", None, f"{mend}the study's phase)"))
    if not swept:
        raise ConfigError(Problem(sweep.origin, "parameters", None, "should sweep something"))
    size = part.round_size or ROUND_SIZE
    metric = sweep.metric
    compared = metric is not None and around.score.metric in (None, metric.name)
    return Search(
        rounds=round_names(trials, size),
        round_size=size,
        parameters=tuple(sorted(swept.values(), key=lambda parameter: parameter.name)),
        sampler=sweep.sampler or "auto",
        seed=sweep.seed if part.seed is None else part.seed,
        target=metric.target if metric is not None and compared else None,
        warm_start=tuple(part.warm_start or ()),
    )


def _warn_of_infeasible(phase: Phase, sweep: Sweep) -> list[str]:
    """Warn where none of the named trials can be trained; goes no further than to one that can."""
    first, schema = None, system_of(phase.config).schema
    for trial in phase.assignments:
        why = compose.infeasible(phase.trial_config(trial), schema)
        if why is None:
            return []
        first = first or why
    told = f"none of its {len(phase.assignments)} trials can be trained: {first}"
    return [f"{sweep.origin}: {told}"] if first else []


def _warn_of_idle(phase: Phase, sweep: Sweep) -> list[str]:
    """Warn of rounds that learn nothing, and of rungs at which nobody stops."""
    found = []
    if phase.search is not None and len(phase.search.rounds) == 1:
        count = len(phase.trials)
        found.append(
            f"{sweep.origin}: {count} trials are one round of up to {phase.search.round_size}: "
            "nothing is proposed from results; set a smaller round_size in the study's phase "
            "(run_sweep.py --round-size)"
        )
    sizes = {size for _, size in phase.rung_sizes}
    if phase.rungs is not None and len(sizes) == 1:
        found.append(
            f"{sweep.origin}: early_terminate stops nothing: all of a batch so small go on at "
            "every rung; have more trials, or a larger round_size or eta"
        )
    return found


def _rungs(
    part: PhaseFile,
    sweep: Sweep,
    swept: Collection[Parameter],
    config: dict[str, Any],
    metric: Metric,
    around: Surroundings,
) -> tuple[Rungs | None, list[str]]:
    """Turn early_terminate into bands below the longest training's end, with what speaks against.

    Raises:
        ConfigError: The metric has no values on the way, or the training's length is not known.
    """
    if part.early_terminate == "off":
        return None, []
    rule = sweep.early_terminate
    origin = sweep.origin
    if part.early_terminate is not None:
        origin = around.study_path
        findings = Findings(origin)
        rule = read_early_terminate(part.early_terminate, findings)
        if findings.problems:
            raise ConfigError(
                replace(problem, key=f"{around.where}.{problem.key}")
                for problem in findings.problems
            )
    if rule is None:
        return None, []
    if metric.logged is Logged.END:
        others = around.system.metrics_logged(Logged.EVALUATION)
        hint = (
            f"is known only at the end: rungs need a metric of every evaluation, like {others[0]}"
        )
        where = around.study_path if around.score.metric is not None else sweep.origin
        raise ConfigError(Problem(where, "metric", metric.name, hint))
    trainings = _extremes(config["training"], swept)
    lengths = [values_of(metric, training) for training in trainings]
    known = [length for length in lengths if length is not None]
    if len(known) < len(lengths) and rule.max_iter is None and rule.type == "hyperband":
        mend = "needs training.max_steps instead of num_epochs, or max_iter and s in its place"
        raise ConfigError(Problem(origin, "early_terminate.min_iter", rule.min_iter, mend))
    longest = max(known) if len(known) == len(lengths) else sys.maxsize
    bands = rule.bands(longest)
    if not bands:
        return None, [
            f"{origin}: early_terminate stops nothing: its first rung would be at or behind the "
            f"{longest} values of {metric.name} that a training logs"
        ]
    warnings = _warn_of_early_rungs(rule, bands[0], trainings, metric, origin)
    if not rule.strict:
        text = "early_terminate.strict = false changes nothing: rungs compare values at the band"
        warnings.append(f"{origin}: {text}")
    return Rungs(rule, bands), warnings


def _extremes(training: dict[str, Any], swept: Collection[Parameter]) -> list[dict[str, Any]]:
    """The training section with each extreme of what is swept in it, one at a time."""
    sections = [training]
    for parameter in swept:
        section, _, _ = parameter.name.partition(".")
        if section == "training":
            for value in parameter.extremes:
                assigned = compose.assign({"training": training}, {parameter.name: value})
                sections.append(assigned["training"])
    return sections


def _warn_of_early_rungs(
    rule: EarlyTerminate,
    band: int,
    trainings: Sequence[dict[str, Any]],
    metric: Metric,
    origin: str,
) -> list[str]:
    """Warn of a first rung at which the order of the curves says little (docs/sweeps.md)."""
    warnings: dict[str, None] = {}
    for training in trainings:
        length = training["max_steps"]
        if length is None:
            continue
        step = step_of(band, metric, training) or 0
        warmup = resolve_warmup(training["warmup_steps"], training["pct_warmup"], length)
        every = metric.interval(training)
        advised = max(warmup // every + 1, math.ceil(ADVISED * length / every))
        instead = " in place of max_iter and s" if rule.max_iter is not None else ""
        mend = f"set min_iter: {advised}{instead} in early_terminate, or evaluate less often"
        if advised * every >= length:
            mend = "shorten the warmup, or evaluate more often"
        at = f"{origin}: the first rung is at step {step} of {length}"
        if step <= warmup:
            warnings.setdefault(
                f"{at}, inside a warmup of {warmup} steps, where those lead that warm up faster; "
                f"{mend}"
            )
        elif step < EARLY * length:
            warnings.setdefault(f"{at}, where curves still cross; {mend}")
    return list(warnings)[:1]
