"""A sweep phase from its keys in the study and its sweep file: trials or rounds, and rungs.

keys of the phase + sweep file + configuration below it  ->  SweepPhase
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from resweep.config import compose
from resweep.config.compose import Layer
from resweep.config.nesting import PathError, nest
from resweep.config.schema import Schema
from resweep.config.section import Misfit, Positive, Seed, Text
from resweep.config.spelling import nearest, no_such_field
from resweep.errors import ConfigError, Problem
from resweep.files import is_file
from resweep.paths import NAME
from resweep.plurals import counted
from resweep.search.observe import check_tables
from resweep.search.stages import round_names
from resweep.study.command_layers import NO_LAYERS, CommandLayers, command_layers
from resweep.study.fit_fields import fit_fields
from resweep.study.kinds.sweep_phase import Search, SweepPhase
from resweep.study.kinds.sweep_rungs import load_rungs, read_rule
from resweep.study.metric import PhaseScore, check_logged_by_all, choose_metric, warn_of_unused
from resweep.study.name_trials import name_trials, resolve_parameters, warn_of_repeats
from resweep.study.phase_file import Loaded, PhaseFile, Surroundings
from resweep.study.sweep_names import check_names
from resweep.sweep import EarlyTerminate, Parameter, Sweep, load_sweep
from resweep.sweep.points import MOST_POINTS
from resweep.systems.registry import metric_of, system_of
from resweep.violations import UNKNOWN, violations

ROUND_SIZE = 8
MOST_CHECKED = 1_000  # trials of which a study says that they are infeasible: 30 us each


class SweepKeys(PhaseFile):
    """The keys of a phase whose trials are those of a sweep file."""

    sweep: Text | None = Field(None, description="name in config/sweep/, or a path")
    trials: Annotated[Positive, Field(le=MOST_POINTS)] | None = Field(
        None, description="at most N trials; null: run_cap"
    )
    seed: Seed | None = Field(None, description="seed of random draws; null: the sweep file's")
    round_size: Annotated[Positive, Field(le=MOST_POINTS)] | None = Field(
        None, description="for method: bayes: trials proposed together; null: 8"
    )
    warm_start: list[Text] | None = Field(
        None,
        description="for method: bayes: phases (PHASE, STUDY/PHASE) or CSV files to start from",
    )
    early_terminate: dict[str, Any] | Literal["off"] | None = Field(
        None, description="replaces the sweep file's; off: all trials train to the end"
    )

    def of_command(self, config_dir: Path, schema: Schema, own: Collection[str]) -> CommandLayers:
        """Return what the command of its sweep file sets."""
        file = sweep_file(self.sweep, config_dir) if self.sweep is not None else None
        if file is None or not is_file(file):
            return NO_LAYERS  # reported when it is loaded
        try:
            sweep = load_sweep(file)
        except ConfigError:  # as well
            return NO_LAYERS
        return command_layers(sweep, config_dir, schema, own)

    def check_files(self, config_dir: Path) -> list[Problem]:
        """Return what is wrong with its sweep file."""
        if self.sweep is not None:
            try:
                load_sweep(sweep_file(self.sweep, config_dir))
            except ConfigError as error:
                return list(error.problems)
        return []

    def sample(self, around: Surroundings) -> Layer | None:
        """Return the constants of its sweep file, and the first value of all else."""
        own, schema = around.common["own"], around.system.schema
        try:
            sweep = load_sweep(_sweep_path(self.sweep or "", around))
            sweep = fit_fields(sweep, around.config, schema, own)
            swept, constants = resolve_parameters(
                sweep, around.config, around.overrides, schema, own
            )
            first = {
                parameter.name: compose.coerce(parameter.name, parameter.extremes[0], schema)
                for parameter in swept.values()
            }
        except (ConfigError, ValueError):  # reported when it is loaded
            return None
        return Layer(sweep.origin, nest({**constants, **first}))

    def load_sweep_phase(self, around: Surroundings) -> Loaded:
        """Load them; raises ConfigError with all errors of the phase and of its sweep file."""
        if self.sweep is None:
            hint = "is missing: name a file of config/sweep/"
            raise ConfigError(around.problem("sweep", None, hint))
        own, schema = around.common["own"], around.system.schema
        sweep = load_sweep(_sweep_path(self.sweep, around))
        sweep = fit_fields(sweep, around.config, schema, own)
        of_names, problems, unclear = check_names(sweep, around.config, schema, own)
        problems += _check_adaptive_keys(self, sweep, around)
        warnings = [*sweep.warnings, *of_names]
        score: PhaseScore | None = None
        rule: EarlyTerminate | None = None
        try:
            score = choose_metric(around.score, sweep, around.study_path, around.system)
            warnings += warn_of_unused(score, sweep, around.study_path)
        except ConfigError as error:
            problems += error.problems
        try:
            rule = read_rule(self.early_terminate, sweep, around)
        except ConfigError as error:
            problems += error.problems
        clear = tuple(param for param in sweep.parameters if param.name not in unclear)
        try:
            swept, constants = resolve_parameters(
                replace(sweep, parameters=clear), around.config, around.overrides, schema, own
            )
        except ConfigError as error:
            raise ConfigError([*error.problems, *problems]) from None
        layer = Layer(sweep.origin, nest(constants))
        filled: dict[str, Any] = {"space": tuple(swept.values())}
        try:
            if sweep.method == "bayes":
                search = filled["search"] = _search(self, sweep, swept, around)
                names = [parameter.name for parameter in search.parameters]
                # Rankings of phases may not exist yet.
                tables = [Path(name) for name in search.warm_start if name.endswith(".csv")]
                if score is not None:
                    problems += check_tables(tables, score.metric, names, schema)
            elif problems:  # all points of a large grid take seconds: the first one is enough
                next(sweep.points(self.trials, self.seed), None)
            else:
                assignments = name_trials(sweep, swept, schema, self.trials, self.seed)
                filled["assignments"] = assignments
                warnings += warn_of_repeats(sweep, assignments, schema)
        except ConfigError as error:
            problems += error.problems
        if problems:
            raise ConfigError(problems)
        if not around.complete:
            return Loaded(phase=None, layer=layer, warnings=warnings)
        assert score is not None, "else there are problems"
        complete = compose.assign(around.complete, constants)
        problems += _unknown_places(complete, swept, sweep, schema)
        problems += _misfits(complete, swept, sweep, schema)
        if problems:
            raise ConfigError(problems)
        rungs, found = load_rungs(
            rule,
            sweep,
            swept.values(),
            complete,
            metric_of(complete, score.metric),
            around,
        )
        phase = SweepPhase(config=complete, score=score, rungs=rungs, **filled, **around.common)
        by_study = around.score.metric is not None or sweep.metric is None
        where = around.study_path if by_study else sweep.origin
        check_logged_by_all(score, complete, phase.varied(), where)
        warnings += [*found, *_warn_of_infeasible(phase, sweep), *_warn_of_idle(phase, sweep)]
        return Loaded(phase=phase, layer=layer, warnings=warnings)


class SweepFile(SweepKeys):
    """A sweep, as written."""

    kind: Literal["sweep"] = Field(description="the trials of a sweep file")

    def load(self, around: Surroundings) -> Loaded:
        """Load the phase; raises ConfigError with all errors of it and of its sweep file."""
        return self.load_sweep_phase(around)


def _sweep_path(name: str, around: Surroundings) -> Path:
    """Return the file of a sweep; raises ConfigError if there is none."""
    path = sweep_file(name, around.config_dir)
    if is_file(path):
        return path
    names = [file.stem for file in (around.config_dir / "sweep").glob("*.yaml")]
    meant = nearest(name, names)
    hint = f"did you mean {meant}?" if meant else f"there are: {', '.join(sorted(names)) or 'none'}"
    raise ConfigError(around.problem("sweep", name, f"there is no file {path}; {hint}"))


def sweep_file(name: str, config_dir: Path) -> Path:
    """Return the file that a name, or a path, means."""
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    return config_dir / "sweep" / f"{name}.yaml"


def _check_adaptive_keys(part: SweepKeys, sweep: Sweep, around: Surroundings) -> list[Problem]:
    problems = []
    if sweep.method != "bayes":
        hint = f"needs a sweep of method: bayes, but {sweep.origin} has method: {sweep.method}"
        problems += [
            around.problem(key, getattr(part, key), hint)
            for key in ("round_size", "warm_start")
            if getattr(part, key) is not None
        ]
    own = "{study}/{name}".format(**around.common)
    for source in part.warm_start or []:
        known = source in around.earlier or source.endswith(".csv")
        if source == own:
            problems.append(
                around.problem("warm_start", source, "is this phase itself; name an earlier one")
            )
        elif not known and not re.fullmatch(f"{NAME}/{NAME}", source):
            earlier = ", ".join(around.earlier) or "none"
            hint = f"should be an earlier phase ({earlier}), STUDY/PHASE or a .csv file"
            problems.append(around.problem("warm_start", source, hint))
        elif not known and source.partition("/")[0] == around.common["study"]:
            hint = f"is not an earlier phase of this study; there are: {', '.join(around.earlier)}"
            problems.append(around.problem("warm_start", source, hint))
    return problems


def _search(
    part: SweepKeys, sweep: Sweep, swept: dict[str, Parameter], around: Surroundings
) -> Search:
    trials = part.trials or sweep.run_cap
    if trials is None:
        hint = "is missing: a Bayesian sweep needs a number of trials (run_cap: 32, or trials: in "
        raise ConfigError(Problem(sweep.origin, "run_cap", None, f"{hint}the study's phase)"))
    if not any(parameter.swept for parameter in sweep.parameters):
        raise ConfigError(
            Problem(
                sweep.origin, "parameters", None, "should have at least one with several values"
            )
        )
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


def _unknown_places(
    config: Mapping[str, Any], swept: Mapping[str, Parameter], sweep: Sweep, schema: Schema
) -> list[Problem]:
    """Return the parameters that no configuration has a place for: of an entry of a list."""
    first = {path: parameter.extremes[0] for path, parameter in swept.items()}
    problems = []
    for path, value in first.items():
        try:
            compose.assign(dict(config), {path: value})
        except PathError as error:
            problems.append(Problem(sweep.origin, f"parameters.{path}", None, error.hint))
    if problems:
        return problems
    trial = compose.assign(dict(config), first)
    try:
        schema.validate(trial)
    except ValidationError as error:
        problems += [
            Problem(sweep.origin, f"parameters.{one.key}", None, no_such_field(one.key, schema))
            for one in violations(error, trial)
            if one.type == UNKNOWN and one.key in swept
        ]
    return problems


def _misfits(
    config: Mapping[str, Any], swept: Collection[str], sweep: Sweep, schema: Schema
) -> list[Problem]:
    """Return which constants fit in no trial: what they have to fit is not swept either."""
    try:
        schema.validate(config)
    except ValidationError as error:
        names = {path.rpartition(".")[2] for path in swept}
        return [
            Problem(sweep.origin, one.key, one.value, one.hint)
            for one in violations(error, config)
            if isinstance(one.error, Misfit) and names.isdisjoint(one.error.fields)
        ]
    return []


def _warn_of_infeasible(phase: SweepPhase, sweep: Sweep) -> list[str]:
    """Warn of named trials that cannot be trained; of a large sweep, the first ones are checked."""
    schema = system_of(phase.config).schema
    checked = list(islice(phase.assignments, MOST_CHECKED))
    found = (compose.infeasible(phase.trial_config(trial), schema) for trial in checked)
    reasons = [why for why in found if why is not None]
    if not reasons:
        return []
    every = counted(len(checked), "trial")
    if len(checked) < len(phase.assignments):
        every = f"the first {every}"
    number = f"{len(reasons)} of {every} cannot be trained"
    if len(reasons) == len(checked):
        number = f"none of {every} can be trained"
    return [f"{sweep.origin}: {number}: {reasons[0]}"]


def _warn_of_idle(phase: SweepPhase, sweep: Sweep) -> list[str]:
    """Warn about rounds that learn nothing, and about rungs at which no trial stops."""
    found = []
    search = phase.search
    if search is not None and len(search.rounds) == 1 and not search.warm_start:
        count = len(phase.trials)
        found.append(
            f"{sweep.origin}: {counted(count, 'trial')} fit in one round of "
            f"{search.round_size}, so none is proposed from results; set a smaller "
            "round_size in the study's phase (resweep sweep: --round-size)"
        )
    sizes = {size for _, size in phase.rung_sizes}
    if phase.rungs is not None and len(sizes) == 1:
        found.append(
            f"{sweep.origin}: early_terminate stops nothing: with so few trials, all of them "
            "continue at every rung; use more trials, or a larger round_size or eta"
        )
    return found
