"""A study file, `config/studies/NAME.yaml`: its keys with types, bounds and defaults."""

import copy
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import AfterValidator, Field, ValidationError

from resweep import yaml12
from resweep.config.nesting import path_fault
from resweep.config.section import Count, Text
from resweep.config.spelling import nearest
from resweep.errors import ConfigError, Problem, secret_problems
from resweep.study.kinds.registry import KINDS, kind_name
from resweep.study.names import Name, is_name
from resweep.study.notify import Notify
from resweep.study.phase_file import PhaseFile
from resweep.study.schema import Budget, Keep, Part, Publish, Resources, Score, Tracking
from resweep.systems.system import DEFAULT
from resweep.violations import (
    KIND_MISSING,
    KIND_UNKNOWN,
    UNKNOWN,
    Location,
    Violation,
    violations,
)

if TYPE_CHECKING:
    AnyPhase = PhaseFile
else:  # a type checker cannot read a union that is made when it runs
    AnyPhase = Annotated[Union[KINDS], Field(discriminator="kind")]  # noqa: UP007

KEYS_OF_KINDS = {kind_name(kind): kind.model_fields for kind in KINDS}
PARTS: dict[str, type[Part]] = {
    "score": Score,
    "tracking": Tracking,
    "publish": Publish,
    "resources": Resources,
    "budget": Budget,
    "notify": Notify,
}


def _is_path(value: str) -> str:
    fault = path_fault(value)
    if fault is not None:
        raise ValueError(fault)
    return value


class StudyFile(Part):
    """A whole study, as written."""

    name: Name = Field(description="folder and rule names")
    description: str = Field("", description="for readers")
    system: Text | None = Field(
        None, description=f"what is trained, a folder of systems/; null: {DEFAULT}"
    )
    base: dict[str, Any] = Field(description="modules: section, name (or the content itself)")
    set: dict[str, Any] = Field({}, description="values that override the modules")
    own: list[Annotated[str, AfterValidator(_is_path)]] = Field(
        [], description="hyperparameters of your own, which resweep does not read"
    )
    phases: list[AnyPhase] = Field(description="in order")
    score: Score = Field(Score(), description="how trials are ranked")
    keep: Keep = Field("best", description="which trials keep their weights: the best, all, none")
    tracking: Tracking = Field(Tracking(), description="W&B settings")
    publish: Publish = Field(Publish(), description="what is published")
    resources: Resources = Field(
        Resources(), description="what one training requests from a cluster"
    )
    budget: Budget = Field(Budget(), description="limits for the whole study")
    notify: Notify = Field(Notify(), description="who is notified when its build ends")
    tolerate_failures: Count = Field(
        0, description="rank a phase without its failed trials if there are at most N"
    )


@dataclass(frozen=True, kw_only=True)
class ReadStudy:
    """A study file, as far as it can be read.

    Attributes:
        content: Without what is wrong: defaults instead, and stand-ins for broken phases.
        problems: Everything wrong.
        broken: Positions of the phases that must not be loaded.
        unsound: Keys at the top of the file whose content is not all that was written.
    """

    content: StudyFile
    problems: list[Problem]
    broken: frozenset[int]
    unsound: frozenset[str]


def read_study_file(path: Path) -> ReadStudy:
    """Read a study file; raises ConfigError if it is not a mapping in YAML, or nothing is left."""
    content = yaml12.load_mapping(path)
    problems = secret_problems(str(path), content)
    broken: set[int] = set()
    unsound: set[str] = set()
    if content.get("phases") == []:
        problems.append(Problem(str(path), "phases", [], "should have at least one"))
    while True:  # without what is wrong, to find what else is
        try:
            study = StudyFile.model_validate(content)
        except ValidationError as error:
            found = violations(error, content, _without_kind)
            problems += [_problem(path, one) for one in found]
            unsound |= {str(one.place[0]) for one in found if one.type != UNKNOWN}
            before = copy.deepcopy(content)
            for one in sorted(found, key=lambda one: one.type != UNKNOWN):
                _leave_out(content, one, broken)
            if content == before:
                raise ConfigError(problems) from None
            continue
        return ReadStudy(
            content=study,
            problems=problems,
            broken=frozenset(broken),
            unsound=frozenset(unsound),
        )


def _without_kind(location: Location) -> Location:
    """Return a location in the file: pydantic adds the kind of a phase after its number."""
    return (*location[:2], *location[3:]) if location[0] == "phases" else location


def _problem(path: Path, one: Violation) -> Problem:
    place, value, hint = one.place, one.value, one.hint
    if one.type == UNKNOWN:
        hint = _unknown_key(one.location)
    elif one.type == KIND_MISSING:
        place, value, hint = (*place, "kind"), None, f"is missing: should be {_kinds()}"
    elif one.type == KIND_UNKNOWN:
        place, value = (*place, "kind"), one.tag
        meant = nearest(str(value), KEYS_OF_KINDS)
        hint = f"did you mean {meant}?" if meant else f"should be {_kinds()}"
    return Problem(str(path), ".".join(map(str, place)), value, hint)


def _leave_out(content: Any, one: Violation, broken: set[int]) -> None:
    """Remove what is wrong; a phase, or a key that is needed, is replaced."""
    top, *rest = one.place
    if one.type == UNKNOWN:
        for part in one.place[:-1]:
            content = content[part]
        del content[one.place[-1]]
    elif top == "phases" and rest:
        position, phases = int(rest[0]), content["phases"]
        broken.add(position)
        phases[position] = _stand_in(phases[position], position)
    elif top in STAND_INS:
        content[top] = STAND_INS[str(top)]
    else:
        content.pop(top, None)


STAND_INS: dict[str, Any] = {"name": "study", "base": {}, "phases": []}


def _stand_in(phase: Any, position: int) -> dict[str, Any]:
    """Return what can be read in place of a phase: its name and its base, if they are sound."""
    given = phase if isinstance(phase, dict) else {}
    name, base = given.get("name"), given.get("base")
    named = isinstance(name, str) and is_name(name)
    based = isinstance(base, dict) and all(isinstance(section, str) for section in base)
    return {
        "name": name if named else f"phase-{position}",
        "kind": kind_name(KINDS[0]),
        "base": base if based else {},
    }


def _kinds() -> str:
    return " or ".join(KEYS_OF_KINDS)


def _unknown_key(location: tuple[Any, ...]) -> str:
    """Return the message for a key that is unknown in its place."""
    key, known = str(location[-1]), _known_keys(location[:-1])
    if location[0] == "phases" and len(location) == 4:
        others = [kind for kind, keys in KEYS_OF_KINDS.items() if key in keys]
        if others:
            return f"is only for kind: {' or '.join(others)}"
    meant = nearest(key, known)
    hint = f"did you mean {meant}?" if meant else f"there are: {', '.join(sorted(known))}"
    return f"is not a key here; {hint}"


def _known_keys(location: tuple[Any, ...]) -> Collection[str]:
    """Return the keys that a part of the file allows."""
    around = [PARTS[part].model_fields for part in location if part in PARTS]
    if location[:1] == ("phases",):
        around.insert(0, KEYS_OF_KINDS[location[2]])
    return around[-1] if around else StudyFile.model_fields
