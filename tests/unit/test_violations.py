"""What pydantic finds wrong, in plain words, at its place in what was written."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from resweep.violations import Violation, violations


class Inner(BaseModel):
    """A part with one of each type."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    whole: Annotated[int, Field(ge=1, le=9)] = 1
    real: Annotated[float, Field(gt=0, lt=1)] = 0.5
    flag: bool = True
    text: Annotated[str, Field(min_length=1, max_length=3)] = "a"
    many: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    pair: tuple[str, ...] = ()
    named: dict[str, int] = {}
    one: Literal["a", "b"] = "a"
    either: dict[str, Any] | Literal["off"] | None = None
    wide: list[int] | int = 1
    nothing: None = None


class Outer(BaseModel):
    """A part in a part."""

    model_config = ConfigDict(extra="forbid", strict=True)

    inner: Inner
    parts: list[Inner] = []


def found(content: Any) -> list[Violation]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Outer).validate_python(content)
    return violations(caught.value, content)


@pytest.mark.parametrize(
    ("inner", "key", "hint"),
    [
        ({"whole": "a"}, "inner.whole", "should be a whole number"),
        ({"whole": "3"}, "inner.whole", "should be a whole number, without quotes"),
        ({"whole": 0}, "inner.whole", "should be at least 1"),
        ({"whole": 10**400}, "inner.whole", "should be at most 9"),
        ({"real": 0}, "inner.real", "should be above 0"),
        ({"real": 1}, "inner.real", "should be below 1"),
        ({"real": 10**400}, "inner.real", "is too large a number"),
        ({"real": True}, "inner.real", "should be a number"),
        ({"real": float("nan")}, "inner.real", "should be a finite number"),
        ({"real": "1e-3"}, "inner.real", "should be a number, without quotes"),
        ({"flag": "yes"}, "inner.flag", "should be true or false"),
        ({"flag": "true"}, "inner.flag", "should be true or false, without quotes"),
        ({"text": ""}, "inner.text", "should not be empty"),
        ({"text": "abcd"}, "inner.text", "should have at most 3 characters"),
        ({"text": 1}, "inner.text", "should be text"),
        ({"many": []}, "inner.many", "should not be empty"),
        ({"many": [1, 2, 3]}, "inner.many", "should have at most 2 entries"),
        ({"many": [1, "x"]}, "inner.many.1", "should be a whole number"),
        ({"pair": 5}, "inner.pair", "should be a list"),
        ({"named": 5}, "inner.named", "should be a mapping of keys to values"),
        ({"named": {1: 1}}, "inner.named.1", "should have text as its key; put it in quotes"),
        ({"one": "c"}, "inner.one", "should be a or b"),
        ({"either": 5}, "inner.either", "should be a mapping of keys to values, or off"),
        ({"wide": "x"}, "inner.wide", "should be a list, or a whole number"),
        ({"wide": [1, "x"]}, "inner.wide.1", "should be a whole number"),
        ({"nothing": 1}, "inner.nothing", "should be null"),
        ({"other": 1}, "inner.other", "is not a key here"),
        (5, "inner", "should be a mapping of keys to values"),
    ],
)
def test_each_is_said_plainly_at_its_place(inner: Any, key: str, hint: str) -> None:
    one = found({"inner": inner})[0]
    assert (one.key, one.hint) == (key, hint)


def test_what_is_missing_has_its_place_and_no_value() -> None:
    (one,) = found({})
    assert (one.key, one.value, one.hint) == ("inner", None, "is missing")


def test_all_places_are_found() -> None:
    content = {"inner": {"whole": 0, "real": 0}, "parts": [{}, {"flag": 1}, 3]}
    assert [one.key for one in found(content)] == [
        "inner.whole",
        "inner.real",
        "parts.1.flag",
        "parts.2",
    ]
