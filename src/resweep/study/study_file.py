"""A study file, `config/studies/NAME.yaml`: its keys with types, bounds and defaults."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field, ValidationError

from resweep import yaml12
from resweep.config.section import Int
from resweep.config.spelling import nearest
from resweep.errors import ConfigError, Problem
from resweep.study.kinds.registry import KINDS, kind_name
from resweep.study.phase_file import PhaseFile
from resweep.study.schema import NAME, Keep, Part, Publish, Resources, Score, Tracking
from resweep.systems.system import DEFAULT

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
}


class StudyFile(Part):
    """A whole study, as written."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")] = Field(description="folder and rule names")
    description: str = Field("", description="for readers")
    system: str | None = Field(
        None, min_length=1, description=f"what is trained, a folder of systems/; null: {DEFAULT}"
    )
    base: dict[str, Any] = Field(description="modules: section, name (or the content itself)")
    set: dict[str, Any] = Field({}, description="values that override the modules")
    own: list[str] = Field(
        [], description="hyperparameters of your own, which resweep does not read"
    )
    phases: Annotated[list[AnyPhase], Field(min_length=1)] = Field(description="in order")
    score: Score = Field(Score(), description="how trials are ranked")
    keep: Keep = Field("best", description="which trials keep their weights: the best, all, none")
    tracking: Tracking = Field(Tracking(), description="W&B settings")
    publish: Publish = Field(Publish(), description="what is published")
    resources: Resources = Field(Resources(), description="what one training asks a cluster for")
    tolerate_failures: Annotated[Int, Field(ge=0)] = Field(
        0, description="rank a phase without its failed trials if there are at most N"
    )


def read_study_file(path: Path) -> tuple[StudyFile, list[Problem]]:
    """Read a study file.

    Returns:
        Its content without unknown keys, and the errors of those.

    Raises:
        ConfigError: All errors, where there are others than unknown keys.
    """
    content = yaml12.load_mapping(path)
    problems = []
    try:
        return StudyFile.model_validate(content), []
    except ValidationError as error:
        for details in error.errors():
            problems.append(_problem(path, dict(details)))
            if details["type"] == "extra_forbidden":
                _remove(content, _place(details["loc"]))
    try:  # without its unknown keys, to find other errors
        return StudyFile.model_validate(content), problems
    except ValidationError:
        raise ConfigError(problems) from None


def _problem(path: Path, details: dict[str, Any]) -> Problem:
    location = _place(details["loc"])
    value, message = details["input"], re.sub(r"^(Value error, |Input )", "", details["msg"])
    if details["type"] == "extra_forbidden":
        message = _unknown_key(details["loc"])
    elif details["type"] == "missing":
        value, message = None, "is missing"
    elif details["type"] == "string_pattern_mismatch":
        message = "should consist of letters, digits, - and _, and start with a letter or digit"
    elif details["type"] == "union_tag_not_found":
        location, value, message = (*location, "kind"), None, f"is missing: should be {_kinds()}"
    elif details["type"] == "union_tag_invalid":
        location, value = (*location, "kind"), details["ctx"]["tag"]
        meant = nearest(str(value), KEYS_OF_KINDS)
        message = f"did you mean {meant}?" if meant else f"should be {_kinds()}"
    key = ".".join(map(str, location))
    return Problem(str(path), key, None if isinstance(value, dict) else value, message)


def _kinds() -> str:
    return " or ".join(KEYS_OF_KINDS)


def _place(location: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the place in the file: pydantic adds the kind of a phase after its number."""
    return (*location[:2], *location[3:]) if location[0] == "phases" else location


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


def _remove(content: Any, location: tuple[Any, ...]) -> None:
    for part in location[:-1]:
        content = content[part]
    content.pop(location[-1], None)
