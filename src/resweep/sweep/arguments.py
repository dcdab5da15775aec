"""Parameters as a command line gives them: by hand, or as W&B's sweep agents do.

    --lr=5e-4  --lr 5e-4  lr=5e-4  +lr=5e-4  ++lr=5e-4     a value
    --bias  --no-bias                                      true, false
    '{"lr": 5e-4, "model": {"bias": true}}'                JSON of many
    point.json  point.yaml                                 a file of many

Text is read as YAML 1.2; `None`, `True`, lists and mappings in Python's spelling are accepted too,
since agents write values by `str()`. That does not distinguish `1` from `"1"`, and false flags may
be missing altogether. So the file that `WANDB_SWEEP_PARAM_PATH` names is read as well: it has all
values with their types, and a word that matches the file gets the type of the file.
"""

import ast
import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.errors import ConfigError, Problem

COMMAND_LINE = "command line"
OPTIONS = ("study", "results", "device", "keep")  # of train.py; all else is a parameter
NAMED = "config"  # its modules; an option too, unless it is a hyperparameter of the user's own
SET = "set"  # how a study's settings are changed; here they are the parameters themselves
FORMS = "NAME=VALUE, --NAME VALUE, --NAME, JSON, or a .json or .yaml file"

_ASSIGNMENT = re.compile(r"\+{0,2}([A-Za-z_][\w.-]*)=(.*)", re.DOTALL)
_NULLS = ("~", "null", "Null", "NULL", "None")
_BOOLEANS = ("true", "True", "TRUE", "false", "False", "FALSE")
_EXPONENT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+")


@dataclass(frozen=True)
class Given:
    """A parameter.

    Attributes:
        name: As given: a flat name or a dotted path.
        value: The value of its text.
        text: Its text; None where the value came with its type.
        origin: The command line, or the file that it comes from.
        flag: Whether it was given without a value, as `--NAME`.
    """

    name: str
    value: Any
    text: str | None = None
    origin: str = COMMAND_LINE
    flag: bool = False


@dataclass(frozen=True)
class Arguments:
    """A command line, read.

    Attributes:
        options: The command's own options that were given.
        given: Parameters; of two with the same name the later wins.
        problems: Words that are not parameters, files that cannot be read.
    """

    options: dict[str, str]
    given: tuple[Given, ...]
    problems: tuple[Problem, ...] = ()


def parse_arguments(
    words: Sequence[str], options: Collection[str] = (), swept: Path | None = None
) -> Arguments:
    """Read a command line.

    Args:
        words: All words after the program.
        options: Names of the command's own options, in all forms that parameters have.
        swept: The file of parameters that a sweep's agent wrote; the command line overrides it.
    """
    reader = _Reader(words)
    if swept is not None:
        reader.read_file(str(swept), lambda: read_parameters(swept))
        reader.typed = {one.name: one.value for one in reader.given}
    reader.read_words()
    chosen = {one.name: _as_text(one) for one in reader.given if one.name in options}
    rest = tuple(one for one in reader.given if one.name not in options)
    return Arguments(chosen, rest, tuple(reader.problems))


def _as_text(one: Given) -> str:
    return str(one.value) if one.text is None else one.text


class _Reader:
    """Goes through the words once."""

    def __init__(self, words: Sequence[str]):
        self.words = words
        self.typed: dict[str, Any] = {}
        self.given: list[Given] = []
        self.problems: list[Problem] = []

    def read_words(self) -> None:
        """Read all words."""
        position = 0
        while position < len(self.words):
            position += self._read_word(self.words[position], position + 1)

    def _read_word(self, word: str, following: int) -> int:
        """Read the word before a position; returns how many words were read."""
        assignment = _ASSIGNMENT.fullmatch(word)
        if assignment:
            self._add(assignment[1], assignment[2])
        elif word.startswith("--") and len(word) > 2:
            name, equals, text = word[2:].partition("=")
            if equals and name:
                self._add(name, text)
            elif not equals:
                return self._read_flag(name, self.words[following : following + 1])
            else:
                self._refuse(word)
        elif word.startswith("{"):
            self.read_file(COMMAND_LINE, lambda: _with_numbers(_mapping_of_json(word)))
        elif Path(word).suffix in (".json", ".yaml", ".yml") and not word.startswith(("+", "-")):
            self.read_file(word, lambda: read_parameters(Path(word)))
        else:
            self._refuse(word)
        return 1

    def _read_flag(self, name: str, following: Sequence[str]) -> int:
        """Read `--NAME`, whose value may be the word after it."""
        word = following[0] if following else None
        if word is not None and self._is_swept(name, word):
            self._add(name, word)
            return 2
        negated = name.removeprefix("no-")
        if negated != name and name not in self.typed:
            self.given.append(Given(negated, False, flag=True))
            return 1
        if word is None or word.startswith("--") or re.match(r"\+.*=", word):
            self.given.append(Given(name, True, flag=True))
            return 1
        if name == SET:
            self._add(name, word)
        elif _ASSIGNMENT.fullmatch(word):
            hint = f"is it the value of --{name}? write --{name}={word}, or --{name}=true {word}"
            self.problems.append(Problem(COMMAND_LINE, word, None, hint))
        else:
            self._add(name, word)
        return 2

    def _add(self, name: str, text: str) -> None:
        if self._is_swept(name, text):
            self.given.append(Given(name, self.typed[name]))
        elif name == SET and (text.startswith("{") or _ASSIGNMENT.fullmatch(text)):
            hint = f"a training has no --{SET}; leave it out and write {FORMS}"
            self.problems.append(Problem(COMMAND_LINE, f"--{SET}", text, hint))
        else:
            self.given.append(Given(name, read_value(text), text))

    def _is_swept(self, name: str, text: str) -> bool:
        """Whether this text is the agent's spelling of the value in its file."""
        return name in self.typed and str(self.typed[name]) == text

    def _refuse(self, word: str) -> None:
        self.problems.append(
            Problem(COMMAND_LINE, word, None, f"is not a parameter; write {FORMS}")
        )

    def read_file(self, origin: str, read: Callable[[], Mapping[str, Any]]) -> None:
        """Add all parameters of a mapping."""
        try:
            self.given += [Given(name, value, None, origin) for name, value in read().items()]
        except ConfigError as error:
            self.problems += error.problems


def read_value(text: str) -> Any:
    """Return the value of a text: null, a boolean, a number, a list, a mapping; else the text."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return text.lower() == "true"
    if text.startswith(("[", "{")):
        return next(_collections(text), text)
    value = None if re.search(r"[\s#]", text) else yaml12.parse_scalar(text)
    return value if isinstance(value, int | float) else text


def _collections(text: str) -> Iterator[Any]:
    """Yield a list or mapping as Python, then as YAML (and so JSON) would read it."""
    for read in (ast.literal_eval, yaml12.parse):
        try:
            value = read(text)
        except Exception:  # whatever a parser raises for text in another language
            continue
        if isinstance(value, list | dict):
            yield value


def read_parameters(path: Path) -> dict[str, Any]:
    """Read a file of parameters: a flat or nested mapping, or a W&B run's configuration.

    The latter has `wandb_version` at its top, and `{value: ...}` for each name.

    Raises:
        ConfigError: It is missing, or something else.
    """
    if path.suffix != ".json":
        content = yaml12.load_mapping(path)
    else:
        try:
            content = _mapping_of_json(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(Problem(str(path), "", None, f"cannot be read: {error}")) from None
    if content.pop("wandb_version", None) is not None:
        bare = [name for name, entry in content.items() if not _has_value(entry)]
        if bare:
            hint = "should be {value: ...}, as in all files with wandb_version"
            raise ConfigError([Problem(str(path), name, content[name], hint) for name in bare])
        content = {name: entry["value"] for name, entry in content.items()}
    return dict(_with_numbers(content))


def _has_value(entry: Any) -> bool:
    return isinstance(entry, dict) and "value" in entry


def _mapping_of_json(text: str, origin: str = COMMAND_LINE) -> dict[str, Any]:
    try:
        content = json.loads(text, object_pairs_hook=_without_repetition)
    except RecursionError:
        raise ConfigError(Problem(origin, text[:40], None, "is nested too deeply")) from None
    except ValueError as error:
        raise ConfigError(Problem(origin, text[:40], None, f"is not valid JSON: {error}")) from None
    if not isinstance(content, dict):
        raise ConfigError(Problem(origin, text[:40], None, "should be a JSON object: {...}"))
    return content


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object; raises ValueError for a duplicate key, of which the last would win."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} appears twice; remove one")
    return content


def _with_numbers(value: Any) -> Any:
    """Turn `"1e-4"` back into a number: W&B reads sweep files as YAML 1.1."""
    if isinstance(value, str):
        return float(value) if _EXPONENT.fullmatch(value) else value
    if isinstance(value, dict):
        return {name: _with_numbers(inner) for name, inner in value.items()}
    return [_with_numbers(inner) for inner in value] if isinstance(value, list) else value
