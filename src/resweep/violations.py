"""What pydantic finds wrong with a value, in plain words.

Everything that validates what a user wrote reports it by these messages; none of them names a type
of Python or of pydantic.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

MISSING = "missing"
UNKNOWN = "extra_forbidden"
KIND_MISSING, KIND_UNKNOWN = "union_tag_not_found", "union_tag_invalid"
PATTERN = "string_pattern_mismatch"

_KEY = "[key]"  # pydantic's mark of an error in a key of a mapping
_SHOULD_BE = "should be "
# By the first part of pydantic's name of an error.
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string": "text",
    "bytes": "text",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen": "a list",
    "dict": "a mapping of keys to values",
    "mapping": "a mapping of keys to values",
    "model": "a mapping of keys to values",
    "dataclass": "a mapping of keys to values",
    "none": "null",
    "path": "a path",
}
_LIMITS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}


Location = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One thing that is wrong.

    Attributes:
        place: Keys and indices that lead to it.
        value: What is there; None for a mapping, and where something is missing.
        hint: What it should be.
        type: Pydantic's name of the error: MISSING, UNKNOWN ...
        error: What a check of our own raised, or None.
        location: As pydantic gives it: with the names of the members of unions.
        tag: Which member of a union was asked for, where there is no such one; else None.
    """

    place: Location
    value: Any
    hint: str
    type: str
    error: Exception | None
    location: Location
    tag: Any = None

    @property
    def key(self) -> str:
        """The place as a path: `training.max_steps`."""
        return ".".join(map(str, self.place))


def violations(
    error: ValidationError,
    content: Any,
    in_content: Callable[[Location], Location] = lambda location: location,
) -> list[Violation]:
    """Return what is wrong, one entry for each place.

    Args:
        error: What validation raised.
        content: What was validated.
        in_content: Removes the names of the members of unions from a location where they could be
            taken for keys.
    """
    found: dict[Any, Violation] = {}
    for details in error.errors(include_url=False):
        one = _violation(dict(details), content, in_content)
        of_unknown_kind = one.error is not None or not one.hint.startswith(_SHOULD_BE)
        place = (one.place, one.hint) if of_unknown_kind else (one.place, _SHOULD_BE)
        known = found.setdefault(place, one)
        if known.hint != one.hint:  # a union: pydantic says what is wrong with each member
            more = one.hint.removeprefix(_SHOULD_BE)
            found[place] = Violation(**{**vars(known), "hint": f"{known.hint}, or {more}"})
    return list(found.values())


def _violation(
    details: dict[str, Any], content: Any, in_content: Callable[[Location], Location]
) -> Violation:
    location, name, value = details["loc"], details["type"], details["input"]
    place = _place(in_content(location), content, name == MISSING)
    hint = _hint(name, details.get("ctx", {}), value)
    if _KEY in location:
        hint = "should have text as its key; put it in quotes"
    error = details.get("ctx", {}).get("error")
    return Violation(
        place=place,
        value=None if name == MISSING or isinstance(value, Mapping) else value,
        hint=str(error) if error is not None else hint,
        type=name,
        error=error if isinstance(error, Exception) else None,
        location=location,
        tag=value.get(details["ctx"]["discriminator"].strip("'")) if name == KIND_UNKNOWN else None,
    )


def _place(location: Location, content: Any, missing: bool) -> Location:
    """Return a location without what is not in the content: names of the members of unions."""
    place: list[str | int] = []
    for number, part in enumerate(location, 1):
        is_item = isinstance(part, int) and isinstance(content, list | tuple)
        if isinstance(content, Mapping) and part in content:
            content = content[part]
        elif is_item and int(part) < len(content):
            content = content[int(part)]
        elif not (missing and number == len(location)):
            continue
        place.append(part)
    return tuple(place)


def _hint(name: str, context: Mapping[str, Any], value: Any) -> str:
    if name == MISSING:
        return "is missing"
    if name == UNKNOWN:
        return "is not a key here"
    if name in _LIMITS:
        key, words = _LIMITS[name]
        limit = context[key]
        return f"should be {words} {limit if isinstance(limit, int) else format(limit, 'g')}"
    if name in ("literal_error", "enum"):
        return _SHOULD_BE + str(context["expected"]).replace("'", "")
    if name in ("string_too_short", "too_short"):
        least = context.get("min_length", 1)
        what = "characters" if name.startswith("string") else "entries"
        return "should not be empty" if least == 1 else f"should have at least {least} {what}"
    if name in ("string_too_long", "too_long"):
        what = "characters" if name.startswith("string") else "entries"
        return f"should have at most {context.get('max_length')} {what}"
    if name == PATTERN:
        return f"should match {context['pattern']}"
    plain = _TYPES.get(name.partition("_")[0])
    if plain is None:
        return "cannot be used here"
    if name == "float_type" and isinstance(value, int) and not isinstance(value, bool):
        return "is too large a number"
    quoted = isinstance(value, str) and plain.endswith(("number", "false"))
    more = ", without quotes" if quoted and _is_plain(value) else ""
    return f"{_SHOULD_BE}{plain}{more}"


def _is_plain(text: str) -> bool:
    """Whether text would be a number or a boolean without its quotes."""
    try:
        float(text)
    except ValueError:
        return text.lower() in ("true", "false")
    return True
