"""YAML files read by the rules of YAML 1.2, so that `1e-4` is a number.

PyYAML follows YAML 1.1, where `1e-4` is a string, `on` a boolean, `012` ten and `1:30` ninety;
sweep files are full of the first. Merge keys (`<<`) stay, as real files use them. Duplicate keys
are errors, since the last one would silently win. So is what nothing later could work with: text
that is not Unicode, numbers that cannot be written out, and files that a few lines of aliases make
endless.
"""

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from resweep.canonical import MOST_LEVELS, text_fault
from resweep.errors import ConfigError, Problem

MOST_NODES = 1_000_000  # of a file, with all its aliases written out
MOST_BITS = 14_000  # of a whole number: Python writes no longer ones as text
_FEW_NODES = 1000  # a text with fewer signs of nodes is not deep enough to exhaust the C stack
_SIGNS = "[{-?:"

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Yaml12Loader(_Loader):
    """SafeLoader with the scalar rules of the YAML 1.2 core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


class _Yaml12Dumper(_Dumper):
    """SafeDumper that quotes only strings that YAML 1.2 would read as something else."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        return True


_SCALARS = [
    ("merge", r"<<", "<"),
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+0123456789.",
    ),
]
for _class in (_Yaml12Loader, _Yaml12Dumper):
    for _tag, _pattern, _first in _SCALARS:
        _class.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}",
            re.compile(rf"^(?:{_pattern})$"),
            [*_first, ""] if _tag == "null" else list(_first),
        )


def _construct_int(loader: Any, node: Any) -> int:
    text = loader.construct_scalar(node)
    try:
        value = int(text, 0 if text.startswith(("0o", "0x")) else 10)
    except ValueError:
        raise _wrong(node, f"{text[:40]} is not a whole number, or has too many digits") from None
    if value.bit_length() > MOST_BITS:
        raise _wrong(node, f"{text[:40]} has too many digits")
    return value


def _construct_float(loader: Any, node: Any) -> float:
    given = loader.construct_scalar(node)
    text = given.lower().replace(".inf", "inf").replace(".nan", "nan")
    try:
        value = float(text)
    except ValueError:
        raise _wrong(node, f"{given[:40]} is not a number") from None
    if math.isinf(value) and "inf" not in text:
        raise _wrong(node, f"{given[:40]} is too large a number")
    return value


def _construct_str(loader: Any, node: Any) -> str:
    text: str = loader.construct_scalar(node)
    fault = text_fault(text)
    if fault is not None:
        raise _wrong(node, fault)
    return text


def _construct_mapping(loader: Any, node: Any) -> dict[Any, Any]:
    seen: set[Any] = set()
    with _one_level_deeper(loader, node):
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = loader.construct_object(key_node, deep=True)
            if isinstance(key, dict | list | set):
                raise _wrong(key_node, "a key should be plain text; quote it if it contains braces")
            if key in seen:
                raise _wrong(key_node, f"the key {key!r:.80} appears twice; remove one")
            seen.add(key)
        return yaml.constructor.SafeConstructor.construct_mapping(loader, node, deep=True)


def _construct_sequence(loader: Any, node: Any) -> list[Any]:
    with _one_level_deeper(loader, node):
        return list(yaml.constructor.SafeConstructor.construct_sequence(loader, node, deep=True))


@contextmanager
def _one_level_deeper(loader: Any, node: Any) -> Iterator[None]:
    """Count levels of nesting: everything later walks them by recursion."""
    loader.level = getattr(loader, "level", 0) + 1
    if loader.level > MOST_LEVELS:
        raise _wrong(node, _TOO_DEEP)
    yield
    loader.level -= 1


_TOO_DEEP = f"lists or mappings are nested too deeply; at most {MOST_LEVELS} levels are allowed"


def _wrong(node: Any, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


_Yaml12Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Yaml12Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
_Yaml12Loader.add_constructor("tag:yaml.org,2002:str", _construct_str)
_Yaml12Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)
_Yaml12Loader.add_constructor("tag:yaml.org,2002:seq", _construct_sequence)


def parse(text: str) -> Any:
    """Parse YAML text; raises `yaml.YAMLError`."""
    fault = text_fault(text)
    if fault is not None:
        raise yaml.YAMLError(fault)
    if "&" in text or sum(map(text.count, _SIGNS)) > _FEW_NODES:
        _check_size(text)
    return yaml.load(text, Loader=_Yaml12Loader)


def _check_size(text: str) -> None:
    """Refuse a text that is too deep or too large to be composed; raises `yaml.YAMLError`.

    Aliases are counted as often as they are used: nine lines of them can make a billion nodes.
    """
    sizes: dict[str, int] = {}  # nodes below each anchor, and itself
    collections: list[tuple[str | None, int]] = []  # anchors of the open ones, nodes before them
    nodes = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in collections):
                raise _wrong(event, f"*{event.anchor} is inside of &{event.anchor} itself")
            nodes += sizes.get(str(event.anchor), 1)
        elif isinstance(event, yaml.CollectionStartEvent):
            collections.append((event.anchor, nodes))
            nodes += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = collections.pop()
            if anchor is not None:
                sizes[anchor] = nodes - before
        elif isinstance(event, yaml.ScalarEvent):
            nodes += 1
        if nodes > MOST_NODES:
            raise _wrong(event, f"has more than {MOST_NODES:,} values, or aliases that repeat them")
        if len(collections) > MOST_LEVELS:
            raise _wrong(event, _TOO_DEEP)


def parse_scalar(text: str) -> Any:
    """Read one plain scalar as YAML 1.2 would: `"1e-4"` gives 0.0001, `"fast"` stays a string."""
    try:
        value = parse(text)
    except yaml.YAMLError:
        return text
    return text if isinstance(value, dict | list) else value


def load(path: Path) -> Any:
    """Read a YAML file.

    Raises:
        ConfigError: The file is missing or is not YAML; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(Problem(str(path), "", None, "there is no such file")) from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            Problem(str(path), "", None, f"cannot be read: {_reason(error)}")
        ) from None
    return parse_file(text, str(path))


def parse_file(text: str, where: str) -> Any:
    """Parse the text of a file; raises ConfigError, which names the file and the line."""
    try:
        return parse(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        hint = _hint(error, text.splitlines()[mark.line : mark.line + 1] if mark else [])
        raise ConfigError(
            Problem(where, "", None, f"not valid YAML: {line}{error.problem}{hint}")
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(Problem(where, "", None, f"not valid YAML: {first}")) from None


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _hint(error: yaml.MarkedYAMLError, lines: list[str]) -> str:
    """Return what to change about an error in a line, after a separator; empty if unknown."""
    if "determine a constructor" in str(error.problem):
        return "; remove the tag, the word that begins with !"
    if "another document" in str(error.problem):
        return "; keep one document in a file: remove what follows ---"
    if "cannot start any token" in str(error.problem) and any(
        "\t" in line[: len(line) - len(line.lstrip())] for line in lines
    ):
        return "; replace the tab by spaces"
    return ""


def load_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping with string keys (an empty file: `{}`).

    Raises:
        ConfigError: As `load`, or the top level is something else.
    """
    content = load(path)
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(Problem(str(path), "", None, "should be a mapping of names to values"))
    return content


def dump(content: Any) -> str:
    """YAML text that `parse` reads back as the same values, keys in the order given."""
    return yaml.dump(content, Dumper=_Yaml12Dumper, sort_keys=False, allow_unicode=True, width=100)
