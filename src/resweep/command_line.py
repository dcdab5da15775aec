"""Arguments of commands, checked before anything is done: types for argparse.

Each returns the value of a text, or raises argparse.ArgumentTypeError, from which argparse makes
one line that names the argument.
"""

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError

from resweep.canonical import canonical_json, text_fault
from resweep.errors import one_line
from resweep.paths import NAME, is_run_id
from resweep.violations import MISSING, violations

MOST = 10**12  # of whole numbers
MOST_SHOWN = 60  # characters of a wrong text


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words of a command, and those after `--`, which are for what it starts."""
    at = words.index("--") if "--" in words else len(words)
    return list(words[:at]), list(words[at + 1 :])


def command_again(script: str) -> list[str]:
    """Return the command line that does again what this process does.

    Args:
        script: Its `__file__`; where `resweep` runs a script, `sys.argv` does not name the file.
    """
    return ["python", os.path.relpath(script), *sys.argv[1:]]


def positive(text: str) -> int:
    """Read a whole number above 0."""
    return _whole_number(text, 1)


def count(text: str) -> int:
    """Read a whole number, 0 or more."""
    return _whole_number(text, 0)


def _whole_number(text: str, least: int) -> int:
    if not re.fullmatch(r"\d{1,13}", text, re.ASCII) or not least <= int(text) <= MOST:
        raise _wrong(text, f"should be a whole number from {least} to {MOST}")
    return int(text)


def seconds(text: str) -> float:
    """Read a duration."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MOST:
        raise _wrong(text, "should be a number of seconds, 0 or more")
    return value


def file_path(text: str) -> Path:
    """Read the path of a file or a folder, existing or not."""
    if not text.strip() or text_fault(text):
        raise _wrong(text, "should be a path")
    return Path(text)


def folder_name(text: str) -> str:
    """Read the name of a study or a phase: that of a folder, and no path."""
    if not re.fullmatch(NAME, text):
        raise _wrong(text, "should be a name of letters, digits, - and _")
    return text


def id_of_run(text: str) -> str:
    """Read the id of a run."""
    if not is_run_id(text):
        raise _wrong(text, "should be the id of a run: 12 hexadecimal digits")
    return text


def plain_text(text: str) -> str:
    """Read text that is not empty."""
    if not text.strip() or text_fault(text):
        raise _wrong(text, "should not be empty")
    return text


def text_argument(text: str) -> str:
    """Return the text of an argument: itself, or the content of `@FILE`.

    One argument of a command ends at 128 kB: what may be longer comes in a file.

    Raises:
        OSError: The file cannot be read.
    """
    if not text.startswith("@"):
        return text
    try:
        return file_path(text[1:]).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise argparse.ArgumentTypeError(f"{text[1:]} is not a text file") from None


@dataclass(frozen=True)
class JsonArgument:
    """A type for JSON, or `@FILE`, a file of it.

    Attributes:
        shape: The type of its content, checked strictly.
        make: Makes the value of the content; may raise TypeError for keys that it does not know.
    """

    shape: Any = dict[str, Any]
    make: Callable[[Any], Any] = lambda content: content

    def __call__(self, text: str) -> Any:
        """Return the value of an argument."""
        text = text_argument(text)
        try:
            content = json.loads(text, parse_constant=_refuse)
            canonical_json(content)
        except (ValueError, RecursionError) as error:
            raise _wrong(text, f"should be JSON ({error})") from None
        try:
            TypeAdapter(self.shape).validate_json(text, strict=True)
            return self.make(content)
        except ValidationError as error:
            first = violations(error, content)[0]
            if first.type == MISSING:
                raise argparse.ArgumentTypeError(f"has no {first.key}") from None
            shown = f"{first.key} {first.hint}".strip()
            raise _wrong(json.dumps(first.value), shown) from None
        except TypeError as error:
            raise argparse.ArgumentTypeError(f"has other keys than it should: {error}") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _wrong(text: str, hint: str) -> argparse.ArgumentTypeError:
    shown = text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
    return argparse.ArgumentTypeError(one_line(f"{hint}, not {shown!r}"))
