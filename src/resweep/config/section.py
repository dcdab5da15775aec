"""What all sections of a configuration share: types of fields, and marks on them.

Every number is bounded, so that whatever is computed from it (steps, memory, cost) is a number too.
The bounds are far from what anybody trains; a value beyond them was never intended.
"""

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


class OnlyFor:
    """The values of another field of the section without which this one cannot be set.

    Args:
        values: These values.
        field: The other field.
    """

    def __init__(self, *values: str, field: str = "kind"):
        self.values = values
        self.field = field


@dataclass(frozen=True)
class ReadWith:
    """The values of another field of the section with which this one is read."""

    field: str
    values: tuple[str, ...]


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


MOST = 10**12  # of steps, and of what is counted in them; some write 1e9 for "never"
MOST_SIZE = 10**8  # of widths, lengths and batches, whose products have to fit in memory
LARGEST = 1e30  # of real numbers; float32 ends at 3e38

Int = Annotated[int, BeforeValidator(_whole_number)]
Count = Annotated[Int, Field(ge=0, le=MOST)]
Positive = Annotated[Int, Field(gt=0, le=MOST)]
Size = Annotated[Int, Field(gt=0, le=MOST_SIZE)]
Seed = Annotated[Int, Field(ge=0, lt=2**63)]
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
NonNegative = Annotated[float, Field(ge=0, le=LARGEST)]
Above0 = Annotated[float, Field(gt=0, le=LARGEST)]
Fraction = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
Text = Annotated[str, Field(min_length=1)]


class Misfit(ValueError):
    """Fields that do not fit each other.

    Attributes:
        fields: Their names: a value of one of them has to change.
    """

    def __init__(self, hint: str, *fields: str):
        super().__init__(hint)
        self.fields = fields


class Section(BaseModel):
    """Base of all sections: immutable, strict types, unknown keys kept."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)
