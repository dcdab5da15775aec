"""The configuration of a training: which sections it has, by the system that is trained.

Every system has the sections training, early_stopping and run, and adds its own. Unknown keys are
the user's own hyperparameters: kept, part of the run's identity, a column in every table. Fields
marked `LABEL` do not change the numbers of a run and are left out of its identity
(`resweep.store.identity`). A field added later carries `AsBefore(value)`: while it has that value
it is left out too, so that older runs keep their names. Fields that only one kind of model has are
marked `OnlyFor(kind)`.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, create_model, model_validator

from resweep.config.section import LABEL, PATH_ONLY, AsBefore, OnlyFor, Section

SYSTEM = "system"  # the key that names the system


def _all_fit(config: Any) -> None:
    """Accept every configuration."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Schema:
    """The sections of a training's configuration.

    Attributes:
        system: Name of the system whose trainings it describes.
        implied: Whether a configuration that names no system means this one.
        sections: Their models by name, in the order of files and tables.
        open: Paths of mappings with foreign keys (`model.config`): each key is set by itself.
        synonyms: What other trainers call a field: path -> names.
        aliases: Other short names that fields are given by: name -> path.
        check: Raises Misfit for values of several sections that do not fit together.
    """

    system: str
    implied: bool
    sections: Mapping[str, type[Section]]
    open: tuple[str, ...] = ()
    synonyms: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    check: Callable[[Any], None] = _all_fit

    @cached_property
    def fields(self) -> dict[str, list[str]]:
        """The paths of each field by its short name, or by another one that it has."""
        found: dict[str, list[str]] = {}
        for name, section in self.sections.items():
            for field in section.model_fields:
                found.setdefault(field, []).append(f"{name}.{field}")
        for alias, path in self.aliases.items():
            found.setdefault(alias, []).append(path)
        return found

    @cached_property
    def path_only(self) -> Mapping[str, str]:
        """Short names that a sweep has to write as paths: name -> path."""
        return {
            field: f"{name}.{field}"
            for name, section in self.sections.items()
            for field, info in section.model_fields.items()
            if PATH_ONLY in info.metadata
        }

    @cached_property
    def paths(self) -> frozenset[str]:
        """The paths of all fields."""
        return frozenset(path for paths in self.fields.values() for path in paths)

    @cached_property
    def model(self) -> type[BaseModel]:
        """A pydantic model of the whole configuration, without the key `system`."""
        fields: dict[str, Any] = {}
        for name, section in self.sections.items():
            try:
                fields[name] = (section, section())
            except ValidationError:  # it has no defaults: training needs its length
                fields[name] = (section, ...)

        def sections_fit(config: Any) -> Any:
            self.check(config)
            return config

        return create_model(
            "Config",
            __config__=ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False),
            __validators__={"sections_fit": cast(Any, model_validator(mode="after")(sections_fit))},
            **fields,
        )

    @property
    def required(self) -> list[str]:
        """Sections that cannot be left out."""
        return [name for name, field in self.model.model_fields.items() if field.is_required()]

    @property
    def identity(self) -> dict[str, str]:
        """What a configuration and its run's identity say about the system: nothing if implied."""
        return {} if self.implied else {SYSTEM: self.system}

    def takes_numbers(self, path: str) -> bool:
        """Whether some number fits the field at a path; bounds are not looked at."""
        section, _, name = path.partition(".")
        field = self.sections[section].model_fields.get(name) if section in self.sections else None
        return field is not None and any(
            part in (int, float) or type(part) in (int, float) for part in _parts(field.annotation)
        )

    def is_known(self, path: str) -> bool:
        """Whether a training reads the value at a path."""
        return path in self.paths or path.startswith(tuple(f"{open}." for open in self.open))

    def of_other_kinds(self, section: str, chosen: Mapping[str, Any]) -> set[str]:
        """Return the names of the fields of a section that cannot be set beside others.

        Args:
            section: Its name.
            chosen: Values of its fields that choose a kind; others are not looked at.
        """
        return {
            name
            for name, field in self.sections[section].model_fields.items()
            for mark in field.metadata
            if isinstance(mark, OnlyFor)
            and mark.field in chosen
            and chosen[mark.field] not in mark.values
        }

    def choosers(self, section: str) -> set[str]:
        """Return the names of the fields of a section that choose which others can be set."""
        fields = self.sections[section].model_fields.values()
        marks = (mark for field in fields for mark in field.metadata)
        return {mark.field for mark in marks if isinstance(mark, OnlyFor)}

    def known_first(self, paths: Iterable[str]) -> list[str]:
        """Return paths in their order, those that a training reads before all others."""
        return sorted(paths, key=lambda path: not self.is_known(path))

    def validate(self, config: Mapping[str, Any]) -> Any:
        """Return a configuration as typed sections; raises pydantic's ValidationError."""
        return self.model.model_validate({k: v for k, v in config.items() if k != SYSTEM})

    def dump(self, typed: BaseModel) -> dict[str, Any]:
        """Return typed sections as plain values, with the system's name where it is not implied."""
        return {**self.identity, **typed.model_dump(mode="json")}


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the types and values that a union, a literal or an annotated type consists of.

    What containers hold is left out: a list of numbers is not a number.
    """
    if get_origin(annotation) is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for one in get_args(annotation):
            yield from _parts(one)
    elif get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        yield annotation


def is_in_identity(section: type[Section], name: str, value: Any) -> bool:
    """Whether a field's value is part of a run's identity; labels and `AsBefore` values are not."""
    is_label, before = _marks(section).get(name, (False, ()))
    return not is_label and value not in before


def is_always_in_identity(section: type[Section], name: str) -> bool:
    """Whether all values of a field are part of a run's identity."""
    is_label, before = _marks(section).get(name, (False, ()))
    return not is_label and not before


@functools.cache  # pydantic's own look-up is slow, and planning asks for each field of each trial
def _marks(section: type[Section]) -> dict[str, tuple[bool, tuple[Any, ...]]]:
    """Return for each field whether it is a label, and the values that mean "as before"."""
    return {
        name: (
            LABEL in info.metadata,
            tuple(mark.value for mark in info.metadata if isinstance(mark, AsBefore)),
        )
        for name, info in section.model_fields.items()
    }
