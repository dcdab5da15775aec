"""Studies from their files: found, checked once, everything wrong reported together.

    config/studies/NAME.yaml + modules + sweep files + overrides  ->  Study

The layers of a phase's configuration, later ones winning:

    the study's base, the study's set, the phase's base, the phase's set, set of the command line

and above them what a sweep assigns; in a rerun the assignments of the best trial come before the
phase's own set.
"""

import contextlib
import dataclasses
import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from resweep import yaml12
from resweep.canonical import canonical_json, digest
from resweep.config import compose
from resweep.config.compose import Layer
from resweep.errors import ConfigError, Problem
from resweep.study import Phase, Study
from resweep.study_file import NAME, Part, PhaseFile, Publish, Resources, Score, StudyFile, Tracking
from resweep.sweep import Parameter, Sweep, load_sweep

RESERVED_STUDIES = ("runs", "data", "trash", "artifacts", "wandb")
RESERVED_PHASES = ("artifacts", "data", "wandb")


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
    names = _read_text("studies", settings.get("studies") or [])
    if settings.get("study") is not None:
        names = settings["study"]
    if not isinstance(names, list):
        names = [names]
    overrides = _read_text("set", settings.get("set") or {})
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


def _read_text(key: str, value: Any) -> Any:
    """Read a setting of the command line, whose lists and mappings may arrive as text."""
    value = compose.read_override(value)
    if not isinstance(value, str):
        return value
    try:
        return yaml12.parse(value)
    except yaml.YAMLError:
        raise ConfigError(Problem("--config", key, value, "is not valid YAML")) from None


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

    def _read(self) -> StudyFile:
        content = yaml12.load_mapping(self.path)
        try:
            return StudyFile.model_validate(content)
        except ValidationError as error:
            for details in error.errors():
                self.problems.append(self._file_problem(dict(details)))
                if details["type"] == "extra_forbidden":
                    _remove(content, details["loc"])
        try:  # without the unknown keys, to tell what else is wrong
            return StudyFile.model_validate(content)
        except ValidationError:
            raise ConfigError(self.problems) from None

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
        parts: dict[str, type[Part]] = {
            "phases": PhaseFile,
            "score": Score,
            "tracking": Tracking,
            "publish": Publish,
            "resources": Resources,
        }
        around = [parts[name] for name in map(str, location[:-1]) if name in parts]
        holder = around[-1] if around else StudyFile
        meant = compose.nearest(str(location[-1]), holder.model_fields)
        known = ", ".join(sorted(holder.model_fields))
        return f"; did you mean {meant}?" if meant else f"; there are: {known}"

    def _check_names(self, given: StudyFile) -> None:
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
        self, given: StudyFile, position: int, part: PhaseFile, before: list[Phase]
    ) -> Phase | None:
        told = len(self.problems)
        layers = self._layers(given, part)
        config = compose.merge([self._named(layer, {}) for layer in layers])
        config = compose.merge([self._named(layer, config.content) for layer in layers])
        complete: dict[str, Any] = {}
        if len(self.problems) == told:  # else what is missing is missing for a reason told already
            complete, wrong = compose.validate(config, str(self.path))
            self.problems += wrong
        if not complete and part.kind == "rerun":
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

    def _layers(self, given: StudyFile, part: PhaseFile) -> list[Layer]:
        return [
            *self._modules(given.base),
            Layer(str(self.path), given.set),
            *self._modules(part.base),
            Layer(str(self.path), part.set),
            Layer("--config set", self.overrides),
        ]

    def _modules(self, base: dict[str, Any]) -> list[Layer]:
        layers = []
        for section, name in base.items():
            try:
                layers.append(compose.load_module(self.config_dir, section, name))
            except ConfigError as error:
                self.problems += error.problems
        return layers

    def _named(self, layer: Layer, config: dict[str, Any]) -> Layer:
        """Give each leaf of a layer its full path."""
        flat = {}
        for name, value in compose.leaves(layer.content):
            try:
                flat[self._resolve(layer.origin, name, config)] = value
            except ConfigError as error:
                self.problems += error.problems
        try:
            return Layer(layer.origin, compose.nest(flat))
        except ValueError as error:
            self.problems.append(Problem(layer.origin, "set", None, str(error)))
            return Layer(layer.origin, {})

    @staticmethod
    def _resolve(origin: str, name: str, config: dict[str, Any]) -> str:
        try:
            return compose.resolve_name(name, config)
        except ValueError as error:
            raise ConfigError(Problem(origin, name, None, str(error))) from None

    def _sweep_phase(
        self,
        given: StudyFile,
        part: PhaseFile,
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
            assignments, constants = self._trials(sweep, part, config)
        except ConfigError as error:
            self.problems += error.problems
            return None
        score = given.score
        if sweep.metric is not None and score.metric is None:
            goal = score.goal or sweep.metric.goal
            score = score.model_copy(update={"metric": sweep.metric.name, "goal": goal})
        return Phase(
            config=compose.assign(complete, constants),
            score=score,
            assignments=assignments,
            **common,
        )

    def _sweep_path(self, name: str) -> Path:
        if name.endswith((".yaml", ".yml")):
            return Path(name)
        return self.config_dir / "sweep" / f"{name}.yaml"

    def _trials(
        self, sweep: Sweep, part: PhaseFile, config: dict[str, Any]
    ) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        """Name the sweep's trials; returns their assignments, and what is constant in all."""
        problems: list[Problem] = []
        paths: dict[str, str] = {}
        fixed = self._set_paths(part, config)
        for parameter in sweep.parameters:
            try:
                path = self._resolve(sweep.origin, parameter.name, config)
            except ConfigError as error:
                problems += error.problems
                continue
            if path in paths.values():
                problems.append(
                    Problem(sweep.origin, parameter.name, None, f"{path} is in the sweep twice")
                )
            paths[parameter.name] = path
            problems += self._check_values(sweep, parameter, path)
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
            assigned = {}
            for name, value in point.items():
                if name not in swept:
                    continue
                try:
                    assigned[paths[name]] = compose.coerce(paths[name], value)
                except ValueError as error:  # the bounds are fine, what lies between is not
                    raise ConfigError(
                        Problem(sweep.origin, f"parameters.{name}", value, str(error))
                    ) from None
            label = digest(assigned, 10)
            counts[label] = counts.get(label, 0) + 1
            assignments[label if counts[label] == 1 else f"{label}-{counts[label]}"] = assigned
        return assignments, constants

    def _set_paths(self, part: PhaseFile, config: dict[str, Any]) -> set[str]:
        """Return what the phase and the command line set, where the names are clear."""
        paths = set()
        for layer in (part.set, self.overrides):
            for name, _ in compose.leaves(layer):
                with contextlib.suppress(ConfigError):  # told with its layer
                    paths.add(self._resolve("set", name, config))
        return paths

    def _check_values(self, sweep: Sweep, parameter: Parameter, path: str) -> list[Problem]:
        """Check each value on its own; values that do not fit together are infeasible trials."""
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
        given: StudyFile,
        part: PhaseFile,
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


def _remove(content: Any, location: tuple[Any, ...]) -> None:
    for part in location[:-1]:
        content = content[part]
    content.pop(location[-1], None)


def _with_selects(phases: list[Phase]) -> list[Phase]:
    """Tell each phase how many of its best the later ones ask for."""
    asked = {phase.name: 1 for phase in phases}
    for phase in phases:
        if phase.source is not None:
            asked[phase.source] = max(asked[phase.source], phase.top)
    return [dataclasses.replace(phase, selects=asked[phase.name]) for phase in phases]
