"""Studies from their files: found, checked once, all errors reported together.

    config/studies/NAME.yaml + modules + sweep files + overrides  ->  Study

The layers of a phase's configuration, later ones winning:

    the study's base, the study's set, the command of the phase's sweep file, the phase's base, the
    phase's set, set of the command line

and above them what a sweep assigns. A rerun builds on the layers of the phase that it reruns,
including the constants of its sweep file; the assignments of the best trial come before its own
set.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from resweep.config import compose, layers
from resweep.config.compose import Layer
from resweep.config.modules import load_modules
from resweep.config.nesting import OWN
from resweep.config.own_names import is_own, is_taken, meaning_of, own_path
from resweep.config.schema import Schema
from resweep.config.unread import find_unread, warn_of_constants
from resweep.errors import ConfigError, Problem
from resweep.paths import RESERVED_PHASES, RESERVED_STUDIES
from resweep.study.command_layers import NO_LAYERS, CommandLayers
from resweep.study.deciding import deciding_phase
from resweep.study.metric import warn_of_goals
from resweep.study.phase_file import PhaseFile, Surroundings
from resweep.study.resolution_notes import resolution_notes
from resweep.study.rule_names import RuleNames, phase_rules
from resweep.study.study import Phase, Study
from resweep.study.study_file import ReadStudy, StudyFile, read_study_file
from resweep.systems.registry import find_system, other_systems
from resweep.systems.system import DEFAULT, System


def load_study(
    path: Path,
    config_dir: Path = Path("config"),
    overrides: Mapping[str, Any] | None = None,
    overrides_from: str = "--config set",
) -> Study:
    """Read, check and resolve one study file.

    Args:
        path: The study's file.
        config_dir: Where its modules and sweep files are.
        overrides: path -> value, set above everything except what is swept.
        overrides_from: Where these are from, for messages.

    Raises:
        ConfigError: All errors of the study, its modules and its sweeps.
    """
    above = Layer(overrides_from, dict(overrides or {}))
    return _Resolver(path, config_dir, above).resolve()


class _Resolver:
    """Turns one study file into a `Study`, collecting problems on the way."""

    def __init__(self, path: Path, config_dir: Path, overrides: Layer):
        self.path = path
        self.config_dir = config_dir
        self.overrides = overrides
        self.problems: list[Problem] = []
        self.system: System
        self.sound = True
        self.warnings: dict[str, None] = {}
        self.unread: dict[str, dict[str, None]] = {}
        self.layers_of: dict[str, list[Layer]] = {}
        self.own_layers: dict[str, list[Layer]] = {}  # of a phase by itself

    def resolve(self) -> Study:
        read = read_study_file(self.path)
        given, self.problems = read.content, list(read.problems)
        self.sound = not read.unsound & {"base", "set", "own"}
        system = self._find_system(read)
        phases: dict[str, Phase] = {}
        if system is None:
            self._check_files(given)
        else:
            self.system = system
            self._check_own(given.own)
            self._check_overrides(given.own)
            for position, part in enumerate(given.phases):
                phase = self._phase(read, position, part, phases)
                if phase is not None:
                    phases[phase.name] = phase
        if given.publish.models == "best" and phases:
            deciding = deciding_phase(list(phases.values()))
            if deciding.keep == "none":
                hint = (
                    f"phase {deciding.name}, which has the best model, keeps no weights; set keep: "
                    "best there, or publish.models: none"
                )
                self._problem("publish.models", "best", hint)
        if given.publish.models == "none":
            for position, target in enumerate(given.publish.to):
                if isinstance(target, dict):
                    hint = "is for the best model; set publish.models: best, or remove it"
                    self._problem(f"publish.to.{position}", target, hint)
        self._check_names(read)
        self._check_rules(given, phases)
        if self.problems:
            # Without duplicates: a bad value of the base would be reported for every phase.
            raise ConfigError({str(problem): problem for problem in self.problems}.values())
        return Study(
            name=given.name,
            system=self.system.name,
            origin=str(self.path),
            phases=tuple(_with_selects(list(phases.values()))),
            score=given.score,
            tracking=given.tracking,
            publish=given.publish,
            tolerate_failures=given.tolerate_failures,
            budget=given.budget,
            notify=given.notify,
            warnings=(
                *_say_own(given.own, phases.values(), self.system.schema, str(self.path)),
                *warn_of_constants(self.unread, self.system.schema, other_systems),
                *self.warnings,
                *(line for phase in phases.values() for line in resolution_notes(phase, phases)),
            ),
        )

    def _find_system(self, read: ReadStudy) -> System | None:
        if "system" in read.unsound:
            return None
        try:
            return find_system(read.content.system or DEFAULT, str(self.path))
        except ConfigError as error:
            self.problems += error.problems
            return None

    def _check_files(self, given: StudyFile) -> None:
        """Check what can be checked without knowing what is trained."""
        bases = [("base", given.base)]
        bases += [(f"phases.{number}.base", part.base) for number, part in enumerate(given.phases)]
        for key, base in bases:
            found = load_modules(self.config_dir, base, None, given.own, str(self.path), key)
            self.problems += found[1]
        for part in given.phases:
            self.problems += part.check_files(self.config_dir)

    def _check_own(self, names: list[str]) -> None:
        """Refuse fields of the system, by their full paths, as the user's own hyperparameters."""
        for position, name in enumerate(names):
            if self.system.schema.is_known(name):
                self._problem(f"own.{position}", name, "is a field that resweep reads; remove it")

    def _check_overrides(self, own: list[str]) -> None:
        """Refuse keys of the study's file, which the command line cannot set, and drop them."""
        sound = {}
        for path, value in self.overrides.content.items():
            key = path.partition(".")[0]
            is_setting = is_own(path, own) or is_taken(key, self.system.schema)
            if key in StudyFile.model_fields and not is_setting:
                hint = f"{key} is a key of the study, not a setting of its trainings; change it in "
                hint += str(self.path)
                self.problems.append(Problem(self.overrides.origin, path, value, hint))
            else:
                sound[path] = value
        self.overrides = Layer(self.overrides.origin, sound)

    def _check_names(self, read: ReadStudy) -> None:
        given = read.content
        names = [part.name for part in given.phases]
        if given.name in RESERVED_STUDIES:
            self._problem("name", given.name, "is the name of a folder in results/; choose another")
        for position, name in enumerate(names):
            if position in read.broken:
                continue
            if name in RESERVED_PHASES:
                self._problem(f"phases.{position}.name", name, "is reserved; choose another")
            if names.count(name) > 1:
                self._problem(f"phases.{position}.name", name, "two phases share this name")

    def _check_rules(self, given: StudyFile, phases: Mapping[str, Phase]) -> None:
        """Refuse phases whose rules could have one name: `sweep` with rungs, and `sweep_b1`."""
        rules: dict[str, RuleNames] = {}
        for position, part in enumerate(given.phases):
            if part.name not in phases or part.name in rules:
                continue
            own = phase_rules(phases[part.name])
            for other, theirs in rules.items():
                rule = own.shared(theirs)
                if rule is not None:
                    hint = f"{rule} would be a rule of phase {other} too; choose another name"
                    self._problem(f"phases.{position}.name", part.name, hint)
                    break
            rules[part.name] = own

    def _problem(self, key: str, value: Any, hint: str) -> None:
        self.problems.append(Problem(str(self.path), key, value, hint))

    def _phase(
        self, read: ReadStudy, position: int, part: PhaseFile, before: Mapping[str, Phase]
    ) -> Phase | None:
        given = read.content
        reported = len(self.problems)
        found = self._layers(given, position, part)
        if position in read.broken:
            return None
        sound = self.sound and len(self.problems) == reported
        complete, config, wrong, unread = layers.complete(
            found, str(self.path), self.system.schema, given.own, sound
        )
        self._note_unread(unread)
        around = Surroundings(
            study_path=str(self.path),
            where=f"phases.{position}",
            config_dir=self.config_dir,
            system=self.system,
            config=config,
            complete=complete,
            score=given.score,
            given=self._given([*self.own_layers[part.name], self.overrides], config, given.own),
            overrides=self._set_above(part, config, given.own),
            earlier=before,
            broken={other.name for other in given.phases[:position]} - before.keys(),
            common={
                "study": given.name,
                "name": part.name,
                "keep": part.keep or given.keep,
                "resources": part.resources or given.resources,
                "own": tuple(given.own),
            },
        )
        schema = self.system.schema
        sample = part.sample(around) if wrong and _is_between_fields(wrong, schema) else None
        if sample is not None:  # what does not fit together may not be what its trials train
            again = layers.complete([*found, sample], str(self.path), schema, given.own, sound)
            if not again.problems:
                wrong, around = [], dataclasses.replace(around, complete=again.config)
        self.problems += wrong
        try:
            loaded = part.load(around)
        except ConfigError as error:
            self.problems += error.problems
            return None
        self.warnings |= dict.fromkeys(loaded.warnings)
        if loaded.layer is not None:
            self.layers_of[part.name].append(loaded.layer)
            self._note_unread(find_unread(compose.merge([loaded.layer]), schema, given.own))
        if loaded.phase is not None:
            goals = warn_of_goals(loaded.phase.score, str(self.path), self.system)
            self.warnings |= dict.fromkeys(goals)
        return loaded.phase

    def _note_unread(self, found: Mapping[str, Iterable[str]]) -> None:
        for place, paths in found.items():
            self.unread.setdefault(place, {}).update(dict.fromkeys(paths))

    def _layers(self, given: StudyFile, position: int, part: PhaseFile) -> list[Layer]:
        """Return the layers of a phase, above those of the phase that it builds on, if any."""
        command = self._of_command(part, given.own)
        below = self.layers_of.get(part.builds_on or "")
        if below is None:
            system = Layer(str(self.path), self.system.schema.identity)
            base = {name: one for name, one in given.base.items() if name not in command.modules}
            below = [system, *self._modules(given, base), Layer(str(self.path), given.set)]
        replaced = [{section} for section in part.replaces if section in part.base]
        of_study = str(self.path)
        below = [one for one in below if one.origin == of_study or set(one.content) not in replaced]
        implied = Layer(str(self.path), part.implied(given.name))
        modules = self._modules(given, part.base, f"phases.{position}.base")
        own = [*modules, Layer(str(self.path), part.set)]
        self.own_layers[part.name] = own
        above = [implied, *command.modules.values(), *command.above, *own]
        self.layers_of[part.name] = [*command.below, *below, *above]
        return [*self.layers_of[part.name], self.overrides]

    def _of_command(self, part: PhaseFile, own: list[str]) -> CommandLayers:
        try:
            found = part.of_command(self.config_dir, self.system.schema, own)
        except ConfigError as error:
            self.problems += error.problems
            return NO_LAYERS
        self.warnings |= dict.fromkeys(found.warnings)
        return found

    def _modules(self, given: StudyFile, base: dict[str, Any], key: str = "base") -> list[Layer]:
        modules, wrong = load_modules(
            self.config_dir, base, self.system.schema, given.own, str(self.path), key
        )
        self.problems += wrong
        return modules

    def _set_above(self, part: PhaseFile, config: dict[str, Any], own: list[str]) -> dict[str, Any]:
        """Return what the phase and the command line set by path, without ambiguous names."""
        return self._given([Layer("set", part.set), self.overrides], config, own)

    def _given(
        self, given: Iterable[Layer], config: dict[str, Any], own: list[str]
    ) -> dict[str, Any]:
        """Return what layers set by path; what is wrong with them is reported elsewhere."""
        found: dict[str, Any] = {}
        for layer in given:
            found |= compose.leaves(layers.named(layer, config, self.system.schema, own)[0].content)
        return found


def _is_between_fields(problems: Iterable[Problem], schema: Schema) -> bool:
    """Whether each value is right, and only some do not fit together."""
    return all(problem.key in ("", *schema.sections) for problem in problems)


def _say_own(own: list[str], phases: Iterable[Phase], schema: Schema, where: str) -> list[str]:
    """Return a line about own names with a value that would mean something else without `own`."""
    used: set[str] = set()
    for phase in phases:
        used.update(map(own_path, phase.config.get(OWN, {})))
        used.update(path for assigned in phase.varied() for path in assigned)
    names = (name for name in own if is_taken(name, schema) and own_path(name) in used)
    taken = dict.fromkeys(names)
    if not taken:
        return []
    named = [f"{name} is {own_path(name)}, not {meaning_of(name, schema)}" for name in taken]
    return [f"{where}: your own: {', '.join(named)}"]


def _with_selects(phases: list[Phase]) -> list[Phase]:
    """Set on each phase how many of its best the later ones take."""
    asked = {phase.name: 1 for phase in phases}
    for phase in phases:
        for source, top in phase.asks.items():
            asked[source] = max(asked[source], top)
    return [dataclasses.replace(phase, selects=asked[phase.name]) for phase in phases]
