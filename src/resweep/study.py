"""A study: its file, checked once and resolved into frozen phases with their trials.

    config/studies/NAME.yaml + modules + sweep files + overrides  ->  Study

How many trials each phase has, and what the trials of a sweep are called, follows from these files
alone. The layers of a phase's configuration, later ones winning:

    base of the study, set of the study, base of the phase, set of the phase, set of the command line

and above them what a sweep assigns; in a rerun the assignments of the best trial come before the
phase's own set.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from resweep import yaml12
from resweep.canonical import canonical_json, digest
from resweep.config import compose
from resweep.config.compose import Layer
from resweep.config.schema import Int, Positive
from resweep.errors import ConfigError, Problem
from resweep.sweep import Sweep, load_sweep

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
RESERVED_STUDIES = ("runs", "data", "trash")
RESERVED_PHASES = ("artifacts", "data", "wandb")


class _Part(BaseModel):
    """Base of all parts of a study file: immutable, strict, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Score(_Part):
    """How trials are ranked; formulas in `resweep.scores`."""

    metric: str | None = Field(None, description="final value; default: the sweep's, or val/loss")
    goal: Literal["minimize", "maximize"] | None = Field(None, description="of the metric")
    early_metric: str = Field("train/loss", description="whose early slope counts")
    early_steps: Positive = Field(100, description="the slope is over steps up to this one")
    slope_weight: float = 1.0
    final_weight: float = 1.0
    normalize: Literal["zscore", "raw"] = "zscore"


class Tracking(_Part):
    """Where metrics are sent beside the files."""

    wandb: Literal["offline", "online", "disabled"] = "offline"
    project: str = "resweep"
    entity: str | None = None


class Publish(_Part):
    """What becomes a versioned artifact."""

    configs: bool = True
    models: Literal["best", "none"] = "best"


class Resources(_Part):
    """What one training asks a cluster for; null is estimated from the trial (docs/slurm.md)."""

    gpus: Annotated[Int, Field(ge=0)] = 1
    gpu_model: str | None = None
    cpus: Positive = 1
    mem_mb: Positive | None = None
    runtime: Positive | None = Field(None, description="minutes")
    partition: str | None = None
    slurm_extra: str | None = Field(None, description="more sbatch options")


Keep = Literal["best", "all", "none"]


class _PhaseFile(_Part):
    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    kind: Literal["sweep", "rerun"]
    base: dict[str, Any] = {}
    set: dict[str, Any] = {}
    keep: Keep | None = None
    resources: Resources | None = None
    sweep: str | None = None
    trials: Positive | None = None
    seed: Annotated[Int, Field(ge=0)] | None = None
    of: Annotated[str | None, Field(validate_default=False)] = None
    top: Positive | None = None
    seeds: list[Annotated[Int, Field(ge=0)]] | None = None


class _StudyFile(_Part):
    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    description: str = ""
    base: dict[str, Any]
    set: dict[str, Any] = {}
    phases: Annotated[list[_PhaseFile], Field(min_length=1)]
    score: Score = Score()
    keep: Keep = "best"
    tracking: Tracking = Tracking()
    publish: Publish = Publish()
    resources: Resources = Resources()
    tolerate_failures: Annotated[Int, Field(ge=0)] = 0


@dataclass(frozen=True)
class Phase:
    """One stage of a study.

    Attributes:
        study: The study's name.
        name: The phase's name.
        kind: sweep (trials known from the files) or rerun (numbered slots).
        config: The configuration below what each trial assigns, complete and checked.
        keep: Whose weights stay: best, all or none.
        resources: For the cluster.
        score: How its trials are ranked.
        assignments: sweep: for each trial, path -> value of what is swept.
        overrides: rerun: path -> value set above the best trial's assignments.
        source: rerun: the phase whose best are rerun.
        top: rerun: how many of them.
        seeds: rerun: seeds that each of them is trained with.
        selects: How many best configurations later phases ask of this one (at least one).
    """

    study: str
    name: str
    kind: str
    config: dict[str, Any]
    keep: str
    resources: Resources
    score: Score
    assignments: dict[str, dict[str, Any]] = field(default_factory=dict)
    overrides: dict[str, Any] = field(default_factory=dict)
    source: str | None = None
    top: int = 0
    seeds: tuple[int, ...] = ()
    selects: int = 1

    @property
    def static(self) -> bool:
        """Whether the trials' configurations are known before any job."""
        return self.kind == "sweep"

    @property
    def trials(self) -> list[str]:
        """Names of the trials: hashes of what is swept, or numbers of slots."""
        if self.static:
            return list(self.assignments)
        count = self.top * len(self.seeds)
        return [f"{slot:0{max(2, len(str(count)))}d}" for slot in range(1, count + 1)]

    def trial_data(self, trial: str) -> dict[str, Any]:
        """Return the data settings of a trial of a sweep."""
        swept = {p: v for p, v in self.assignments[trial].items() if p.startswith("data.")}
        return dict(assign(self.config, swept)["data"])

    def data_settings(self) -> list[dict[str, Any]]:
        """Return the different data settings of the phase's trials, as far as they are known."""
        if not self.static:
            return [self.config["data"]]
        unique = {canonical_json(self.trial_data(trial)): trial for trial in self.trials}
        return [self.trial_data(trial) for trial in unique.values()]

    def plan(self) -> dict[str, Any]:
        """Return what a rerun's slots are filled from, beside the best configurations."""
        return {
            "study": self.study,
            "phase": self.name,
            "config": self.config,
            "overrides": self.overrides,
            "seeds": list(self.seeds),
        }

    def trial_config(self, trial: str) -> dict[str, Any]:
        """Return the configuration that a trial of a sweep trains."""
        return assign(self.config, self.assignments[trial])

    def trial_content(self, trial: str) -> str:
        """Return what the trial file of a sweep's trial holds, as canonical JSON."""
        return canonical_json(
            {
                "study": self.study,
                "phase": self.name,
                "trial": trial,
                "assignments": self.assignments[trial],
                "config": self.trial_config(trial),
            }
        )


@dataclass(frozen=True)
class Study:
    """One experiment from start to end.

    Attributes:
        origin: The file it was read from.
        warnings: Lines that a user should see, and that stop nothing.
    """

    name: str
    origin: str
    phases: tuple[Phase, ...]
    score: Score
    tracking: Tracking
    publish: Publish
    tolerate_failures: int
    warnings: tuple[str, ...] = ()

    def data_settings(self) -> list[dict[str, Any]]:
        """Return the different data settings of all phases."""
        found = [settings for phase in self.phases for settings in phase.data_settings()]
        return list({canonical_json(settings): settings for settings in found}.values())

    def phase(self, name: str) -> Phase:
        """Return a phase by name; raises KeyError."""
        return next(phase for phase in self.phases if phase.name == name)

    def resolved(self) -> dict[str, Any]:
        """Return the whole study as plain values, for `results/{study}/study.yaml`."""
        return {
            "name": self.name,
            "score": self.score.model_dump(),
            "tracking": self.tracking.model_dump(),
            "publish": self.publish.model_dump(),
            "tolerate_failures": self.tolerate_failures,
            "phases": [
                {
                    "name": phase.name,
                    "kind": phase.kind,
                    "trials": len(phase.trials),
                    "keep": phase.keep,
                    "of": phase.source,
                    "top": phase.top or None,
                    "seeds": list(phase.seeds) or None,
                    "overrides": phase.overrides or None,
                    "resources": phase.resources.model_dump(),
                    "config": phase.config,
                }
                for phase in self.phases
            ],
        }


def assign(config: dict[str, Any], assignments: Mapping[str, Any]) -> dict[str, Any]:
    """Return `config` with each dotted path of `assignments` set."""
    for path, value in assignments.items():
        config = compose.with_value(config, path, value)
    return config


def find_study(name: Any, config_dir: Path) -> Path:
    """Return the file of a study given by name or path.

    Snakemake's command line turns a name like `001` into a number; it finds its file again.

    Raises:
        ConfigError: There is no such study (lists those there are).
    """
    folder = config_dir / "studies"
    known = sorted(folder.glob("*.yaml"))
    if isinstance(name, int) and not isinstance(name, bool):
        same = [path for path in known if path.stem.isdigit() and int(path.stem) == name]
        if len(same) == 1:
            return same[0]
    text = str(name)
    if text.endswith((".yaml", ".yml")) or "/" in text:
        path = Path(text)
        if not path.is_file():
            raise ConfigError(Problem(text, "", None, "there is no such study file"))
        return path
    if re.fullmatch(NAME, text) and (folder / f"{text}.yaml").is_file():
        return folder / f"{text}.yaml"
    names = [path.stem for path in known]
    close = difflib.get_close_matches(text, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names) or 'none'}"
    raise ConfigError(Problem(str(folder), "study", text, f"no such study; {hint}"))


def load_studies(settings: Mapping[str, Any], config_dir: Path = Path("config")) -> list[Study]:
    """Load the studies that Snakemake's configuration names, with its overrides.

    Args:
        settings: `study` (a name or path) or `studies` (a list, or `[a,b]` as text), and `set`
            (path -> value) for all of them.
        config_dir: Where studies and modules are.

    Raises:
        ConfigError: All that is wrong, in all of them.
    """
    names = compose.read_override(settings.get("studies") or [])
    if isinstance(names, str):
        names = yaml12.parse(names) if names.startswith("[") else [names]
    if settings.get("study") is not None:
        names = [settings["study"]]
    overrides = compose.read_override(settings.get("set") or {})
    if isinstance(overrides, str):
        overrides = yaml12.parse(overrides)
    problems: list[Problem] = []
    if not names:
        problems.append(Problem("config/config.yaml", "studies", None, "names no study"))
    if not isinstance(overrides, dict):
        problems.append(
            Problem("--config", "set", overrides, "should be {path: value}, quoted as one word")
        )
        overrides = {}
    studies: list[Study] = []
    for name in names:
        try:
            studies.append(load_study(find_study(name, config_dir), config_dir, overrides))
        except ConfigError as error:
            problems += error.problems
    seen = [study.name.replace("-", "_") for study in studies]
    for study in studies:
        if seen.count(study.name.replace("-", "_")) > 1:
            problems.append(
                Problem(study.origin, "name", study.name, "two studies share this name")
            )
    if problems:
        raise ConfigError(problems)
    return studies


def load_study(
    path: Path, config_dir: Path = Path("config"), overrides: Mapping[str, Any] | None = None
) -> Study:
    """Read, check and resolve one study file.

    Args:
        path: The study's file.
        config_dir: Where its modules and sweep files are.
        overrides: path -> value, set above everything but what is swept.

    Raises:
        ConfigError: All that is wrong with the study, its modules and sweeps, at once.
    """
    return _Resolver(path, config_dir, dict(overrides or {})).resolve()


class _Resolver:
    """Turns one study file into a `Study`, collecting problems on the way."""

    def __init__(self, path: Path, config_dir: Path, overrides: dict[str, Any]):
        self.path = path
        self.config_dir = config_dir
        self.overrides = overrides
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def resolve(self) -> Study:
        given = self._read()
        phases: list[Phase] = []
        for position, part in enumerate(given.phases):
            phase = self._phase(given, position, part, phases)
            if phase is not None:
                phases.append(phase)
        self._check_names(given)
        if self.problems:
            raise ConfigError(self.problems_in_order())
        return Study(
            given.name,
            str(self.path),
            tuple(_with_selects(phases)),
            given.score,
            given.tracking,
            given.publish,
            given.tolerate_failures,
            tuple(self.warnings),
        )

    def problems_in_order(self) -> list[Problem]:
        """Problems without repetition: a bad base value would be told once a phase."""
        unique: dict[str, Problem] = {}
        for problem in self.problems:
            unique.setdefault(str(problem), problem)
        return list(unique.values())

    def _read(self) -> _StudyFile:
        content = yaml12.load_mapping(self.path)
        try:
            return _StudyFile.model_validate(content)
        except ValidationError as error:
            raise ConfigError(
                [self._file_problem(dict(details)) for details in error.errors()]
            ) from None

    def _file_problem(self, details: dict[str, Any]) -> Problem:
        key = ".".join(str(part) for part in details["loc"])
        value, message = details["input"], re.sub(r"^(Value error, |Input )", "", details["msg"])
        if details["type"] == "extra_forbidden":
            message = "is no key of a study file" + self._meant(details["loc"])
        elif details["type"] == "missing":
            value, message = None, "is missing"
        elif details["type"] == "string_pattern_mismatch":
            message = "should be letters, digits, - and _, the first a letter or digit"
        return Problem(str(self.path), key, None if isinstance(value, dict) else value, message)

    @staticmethod
    def _meant(location: tuple[Any, ...]) -> str:
        parts = {"phases": _PhaseFile, "score": Score, "tracking": Tracking, "publish": Publish}
        holder: type[_Part] = (
            _StudyFile if len(location) == 1 else parts.get(str(location[0]), Resources)
        )
        meant = compose.nearest(str(location[-1]), holder.model_fields)
        known = ", ".join(sorted(holder.model_fields))
        return f"; did you mean {meant}?" if meant else f"; there are: {known}"

    def _check_names(self, given: _StudyFile) -> None:
        names = [part.name for part in given.phases]
        if given.name in RESERVED_STUDIES:
            self._problem("name", given.name, "is the name of a folder of results/; choose another")
        for position, name in enumerate(names):
            if name in RESERVED_PHASES:
                self._problem(f"phases.{position}.name", name, "is reserved; choose another")
            if [n.replace("-", "_") for n in names].count(name.replace("-", "_")) > 1:
                self._problem(f"phases.{position}.name", name, "two phases share this name")

    def _problem(self, key: str, value: Any, mend: str) -> None:
        self.problems.append(Problem(str(self.path), key, value, mend))

    def _phase(
        self, given: _StudyFile, position: int, part: _PhaseFile, before: list[Phase]
    ) -> Phase | None:
        layers = self._layers(given, part)
        try:
            config = compose.merge([self._named(layer, {}) for layer in layers])
            config = compose.merge([self._named(layer, config.content) for layer in layers])
        except ConfigError as error:
            self.problems += error.problems
            return None
        complete, wrong = compose.validate(config, str(self.path))
        self.problems += wrong
        if wrong:
            return None
        common = {
            "study": given.name,
            "name": part.name,
            "kind": part.kind,
            "keep": part.keep or given.keep,
            "resources": part.resources or given.resources,
        }
        where = f"phases.{position}"
        if part.kind == "sweep":
            return self._sweep_phase(given, part, where, config.content, complete, common)
        return self._rerun_phase(given, part, where, config.content, complete, common, before)

    def _layers(self, given: _StudyFile, part: _PhaseFile) -> list[Layer]:
        layers = []
        try:
            layers += [
                compose.load_module(self.config_dir, section, name)
                for base in (given.base, part.base)
                for section, name in base.items()
            ]
        except ConfigError as error:
            self.problems += error.problems
        study_modules = len(given.base)
        layers.insert(study_modules, Layer(str(self.path), given.set))
        layers.append(Layer(str(self.path), part.set))
        layers.append(Layer("--config set", self.overrides))
        return layers

    def _named(self, layer: Layer, config: dict[str, Any]) -> Layer:
        """Give each leaf of a layer its full path."""
        flat = {}
        for name, value in compose.leaves(layer.content):
            flat[self._resolve(layer.origin, name, config)] = value
        try:
            return Layer(layer.origin, compose.nest(flat))
        except ValueError as error:
            raise ConfigError(Problem(layer.origin, "set", None, str(error))) from None

    @staticmethod
    def _resolve(origin: str, name: str, config: dict[str, Any]) -> str:
        try:
            return compose.resolve_name(name, config)
        except ValueError as error:
            raise ConfigError(Problem(origin, name, None, str(error))) from None

    def _sweep_phase(
        self,
        given: _StudyFile,
        part: _PhaseFile,
        where: str,
        config: dict[str, Any],
        complete: dict[str, Any],
        common: dict[str, Any],
    ) -> Phase | None:
        for key in ("of", "top", "seeds"):
            if getattr(part, key) is not None:
                self._problem(f"{where}.{key}", getattr(part, key), "is for kind: rerun")
        if part.sweep is None:
            self._problem(f"{where}.sweep", None, "is missing: name a file of config/sweep/")
            return None
        try:
            sweep = load_sweep(self._sweep_path(part.sweep))
            self.warnings += [text for text in sweep.warnings if text not in self.warnings]
            assignments, constants = self._trials(sweep, part, config, complete)
        except ConfigError as error:
            self.problems += error.problems
            return None
        score = given.score
        if sweep.metric is not None and score.metric is None:
            goal = score.goal or sweep.metric.goal
            score = score.model_copy(update={"metric": sweep.metric.name, "goal": goal})
        return Phase(
            config=assign(complete, constants), score=score, assignments=assignments, **common
        )

    def _sweep_path(self, name: str) -> Path:
        if name.endswith((".yaml", ".yml")):
            return Path(name)
        return self.config_dir / "sweep" / f"{name}.yaml"

    def _trials(
        self, sweep: Sweep, part: _PhaseFile, config: dict[str, Any], complete: dict[str, Any]
    ) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        """Name the sweep's trials; returns their assignments, and what is constant in all."""
        problems: list[Problem] = []
        paths: dict[str, str] = {}
        fixed = {
            self._resolve("set", name, config)
            for layer in (part.set, self.overrides)
            for name, _ in compose.leaves(layer)
        }
        for parameter in sweep.parameters:
            try:
                path = self._resolve(sweep.origin, parameter.name, config)
            except ConfigError as error:
                problems += error.problems
                continue
            paths[parameter.name] = path
            problems += self._check_values(sweep, parameter, path, config)
            if path in fixed and parameter.swept:
                problems.append(
                    Problem(sweep.origin, path, None, "is swept, and set at once; drop one of them")
                )
        if problems:
            raise ConfigError(problems)
        swept = {parameter.name for parameter in sweep.parameters if parameter.swept}
        constants = {
            paths[parameter.name]: compose.coerce(paths[parameter.name], parameter.values[0])
            for parameter in sweep.parameters
            if not parameter.swept and paths[parameter.name] not in fixed
        }
        assignments: dict[str, dict[str, Any]] = {}
        counts: dict[str, int] = {}
        for point in sweep.points(part.trials, part.seed):
            assigned = {
                paths[name]: compose.coerce(paths[name], value)
                for name, value in point.items()
                if name in swept
            }
            label = digest(assigned, 10)
            counts[label] = counts.get(label, 0) + 1
            assignments[label if counts[label] == 1 else f"{label}-{counts[label]}"] = assigned
        return assignments, constants

    def _check_values(
        self, sweep: Sweep, parameter: Any, path: str, config: dict[str, Any]
    ) -> list[Problem]:
        """Check each value of a parameter on its own; pairs that do not fit are infeasible trials."""
        problems = []
        for value in parameter.extremes:
            try:
                canonical_json({path: compose.coerce(path, value)})
            except ValueError as error:
                problems.append(Problem(sweep.origin, parameter.name, value, str(error)))
        head = parameter.extremes[0]
        content = compose.with_value({}, path, head)
        for wrong, value, meant in compose.misspellings(content):
            problems.append(Problem(sweep.origin, wrong, value, f"did you mean {meant}?"))
        return problems

    def _rerun_phase(
        self,
        given: _StudyFile,
        part: _PhaseFile,
        where: str,
        config: dict[str, Any],
        complete: dict[str, Any],
        common: dict[str, Any],
        before: list[Phase],
    ) -> Phase | None:
        for key in ("sweep", "trials", "seed"):
            if getattr(part, key) is not None:
                self._problem(f"{where}.{key}", getattr(part, key), "is for kind: sweep")
        sources = {phase.name: phase for phase in before}
        source = sources.get(part.of or "")
        if source is None:
            if any(other.name == part.of for other in given.phases[: int(where.split(".")[1])]):
                return None  # that phase has problems of its own
            known = ", ".join(sources) or "none"
            self._problem(
                f"{where}.of", part.of, f"should name an earlier phase; there are: {known}"
            )
            return None
        top = part.top or 1
        if top > len(source.trials):
            self._problem(
                f"{where}.top", top, f"phase {source.name} has only {len(source.trials)} trials"
            )
            return None
        seeds = part.seeds or [complete["training"]["seed"]]
        if len(set(seeds)) < len(seeds):
            self._problem(f"{where}.seeds", seeds, "names a seed twice")
        overrides = {}
        for layer in (part.set, self.overrides):
            for name, value in compose.leaves(layer):
                path = self._resolve(str(self.path), name, config)
                overrides[path] = compose.coerce(path, value)
        return Phase(
            config=complete,
            score=source.score,
            overrides=overrides,
            source=source.name,
            top=top,
            seeds=tuple(seeds),
            **common,
        )


def _with_selects(phases: list[Phase]) -> list[Phase]:
    """Tell each phase how many of its best the later ones ask for."""
    asked = {phase.name: 1 for phase in phases}
    for phase in phases:
        if phase.source is not None:
            asked[phase.source] = max(asked[phase.source], phase.top)
    return [Phase(**{**phase.__dict__, "selects": asked[phase.name]}) for phase in phases]
