"""Studies from their files: found, checked once, everything wrong reported together.

    config/studies/NAME.yaml + modules + sweep files + overrides  ->  Study

The layers of a phase's configuration, later ones winning:

    the study's base, the study's set, the phase's base, the phase's set, set of the command line

and above them what a sweep assigns. A rerun stands on the layers of the phase that it reruns, the
constants of its sweep file included; the assignments of the best trial come before its own set.
"""

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resweep.config import compose, layers
from resweep.config.compose import Layer
from resweep.errors import ConfigError, Problem
from resweep.paths import BY_HAND
from resweep.study.kinds.sweep import Surroundings, load_sweep_phase
from resweep.study.schema import PhaseFile, StudyFile, read_study_file
from resweep.study.study import Phase, Study
from resweep.systems.registry import find_system
from resweep.systems.system import DEFAULT, System

RESERVED_STUDIES = ("runs", "data", "weights", "trash", "artifacts", "wandb", "sweeps", BY_HAND)
RESERVED_PHASES = ("artifacts", "data", "wandb")


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
        self.system: System
        self.warnings: list[str] = []
        self.layers_of: dict[str, list[Layer]] = {}

    def resolve(self) -> Study:
        given, self.problems = read_study_file(self.path)
        self.system = find_system(given.system or DEFAULT, str(self.path))
        self._check_own(given.own)
        phases: list[Phase] = []
        for position, part in enumerate(given.phases):
            phase = self._phase(given, position, part, phases)
            if phase is not None:
                phases.append(phase)
        last = phases[-1] if phases else None
        if given.publish.models == "best" and last is not None and last.keep == "none":
            mend = "the last phase keeps no weights; set keep: best there, or publish.models: none"
            self._problem("publish.models", "best", mend)
        self._check_names(given)
        if self.problems:
            raise ConfigError(self.problems_in_order())
        return Study(
            given.name,
            self.system.name,
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

    def _check_own(self, names: list[str]) -> None:
        """Refuse a field of the system's as a hyperparameter of the user's own."""
        schema = self.system.schema
        for position, name in enumerate(names):
            known = [name] if name in schema.paths or name in schema.sections else []
            known += schema.fields.get(name, [])
            if known:
                hint = f"is a key of resweep's ({' or '.join(known)}); drop it"
                self._problem(f"own.{position}", name, hint)

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
        found = self._layers(given, part)
        sound = len(self.problems) == told
        complete, config, wrong = layers.complete(
            found, str(self.path), self.system.schema, given.own, sound
        )
        self.problems += wrong
        if not complete and part.kind == "rerun":
            return None
        common = {
            "study": given.name,
            "name": part.name,
            "kind": part.kind,
            "keep": part.keep or given.keep,
            "resources": part.resources or given.resources,
            "own": tuple(given.own),
        }
        where = f"phases.{position}"
        if part.kind == "sweep":
            return self._sweep_phase(given, part, where, config, complete, common, before)
        return self._rerun_phase(given, part, where, config, complete, common, before)

    def _layers(self, given: StudyFile, part: PhaseFile) -> list[Layer]:
        """Return the layers of a phase; a rerun stands on those of the phase that it reruns."""
        below = self.layers_of.get(part.of or "") if part.kind == "rerun" else None
        if below is None:
            system = Layer(str(self.path), self.system.schema.identity)
            below = [system, *self._modules(given.base), Layer(str(self.path), given.set)]
        own = [*below, *self._modules(part.base), Layer(str(self.path), part.set)]
        self.layers_of[part.name] = own
        return [*own, Layer("--config set", self.overrides)]

    def _modules(self, base: dict[str, Any]) -> list[Layer]:
        modules, wrong = layers.load_modules(self.config_dir, base)
        self.problems += wrong
        return modules

    def _sweep_phase(
        self,
        given: StudyFile,
        part: PhaseFile,
        where: str,
        config: dict[str, Any],
        complete: dict[str, Any],
        common: dict[str, Any],
        before: list[Phase],
    ) -> Phase | None:
        fixed = self._set_paths(part, config)
        earlier = [phase.name for phase in before]
        around = Surroundings(
            str(self.path),
            where,
            self.config_dir,
            self.system,
            config,
            complete,
            given.score,
            fixed,
            earlier,
            common,
        )
        try:
            loaded = load_sweep_phase(part, around)
        except ConfigError as error:
            self.problems += error.problems
            return None
        self.warnings += [text for text in loaded.warnings if text not in self.warnings]
        self.layers_of[part.name].append(Layer(loaded.sweep.origin, compose.nest(loaded.constants)))
        return loaded.phase

    def _set_paths(self, part: PhaseFile, config: dict[str, Any]) -> set[str]:
        """Return what the phase and the command line set, where the names are clear."""
        paths = set()
        for layer in (part.set, self.overrides):
            for name, _ in compose.leaves(layer):
                with contextlib.suppress(ConfigError):  # told with its layer
                    paths.add(layers.resolve_name("set", name, config, self.system.schema))
        return paths

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
        for key in ("sweep", "trials", "seed", "round_size", "warm_start", "early_terminate"):
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
                path = layers.resolve_name(str(self.path), name, config, self.system.schema)
                overrides[path] = compose.coerce(path, value, self.system.schema)
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
    return [dataclasses.replace(phase, selects=asked[phase.name]) for phase in phases]
