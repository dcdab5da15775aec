"""What all sections of a configuration share: types of fields, and marks on them."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

LABEL = "label"  # marks a field that is not part of a run's identity
# Marks a field whose short name means something else in most sweeps: they have to give its path.
PATH_ONLY = "path only"


@dataclass(frozen=True)
class AsBefore:
    """The value of a later field that leaves all numbers as they were before it existed."""

    value: Any


@dataclass(frozen=True)
class OnlyFor:
    """The one kind of model that has this field."""

    kind: str


def _whole_number(value: Any) -> Any:
    """Read 100.0 as 100: sampled and computed step counts arrive as floats."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def as_tuple(value: Any) -> Any:
    """Read a list, or a single string, as a tuple of strings."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Int = Annotated[int, BeforeValidator(_whole_number)]
Positive = Annotated[Int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Base of all sections: immutable, strict types, unknown keys kept."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)
