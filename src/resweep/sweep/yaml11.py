"""What W&B, which reads YAML 1.1, makes of text that YAML 1.2 leaves as text.

`yes` is a boolean there, and `1_000` a number. Here they are read as such where a number or a
boolean is meant, and stay text elsewhere: quotes are gone once a file is read.
"""

import math
import re
from typing import Any

from resweep import yaml12

BOOLEANS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
DECIMAL = re.compile(r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?")


def as_number(value: Any) -> Any:
    """Return text like `1_000` as the number that it is; all else as it is."""
    if isinstance(value, str) and "_" in value:
        return _number(value)
    return value


def as_whole(value: Any) -> Any:
    """Return `1_000`, and a float without a fraction, as an int; all else as it is."""
    value = as_number(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def as_boolean(value: Any) -> Any:
    """Return a word for true or false as a boolean; all else as it is."""
    return BOOLEANS.get(value.lower(), value) if isinstance(value, str) else value


def other_reading(value: Any) -> Any:
    """Return what a field that refuses a value may take it for; the value itself if nothing.

    0 and 1 are booleans, and text in quotes is a number, where only such can be meant.
    """
    if type(value) is int and value in (0, 1):
        return bool(value)
    boolean = as_boolean(value)
    return _number(boolean) if isinstance(boolean, str) else boolean


def is_quoted_number(value: Any) -> bool:
    """Whether it is text that would be a number without quotes."""
    return isinstance(value, str) and _number(value) is not value


def _number(text: str) -> Any:
    """Return the finite number that a text is; the text itself if it is none."""
    if not DECIMAL.fullmatch(text):
        return text
    number = yaml12.parse_scalar(text.replace("_", ""))
    finite = isinstance(number, int) or (isinstance(number, float) and math.isfinite(number))
    return number if finite else text
