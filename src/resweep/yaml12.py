"""YAML files read by the rules of YAML 1.2, so that `1e-4` is a number.

PyYAML follows YAML 1.1, where `1e-4` is a string, `on` a boolean, `012` ten and `1:30` ninety;
sweep files are full of the first. Merge keys (`<<`) stay, as real files use them. Duplicate keys
are errors, since the last one would silently win.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from resweep.errors import ConfigError, Problem

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
        return int(text, 0 if text.startswith(("0o", "0x")) else 10)
    except ValueError:
        raise _wrong(node, f"{text[:40]} is not a whole number, or has too many digits") from None


def _construct_float(loader: Any, node: Any) -> float:
    text = loader.construct_scalar(node).lower().replace(".inf", "inf").replace(".nan", "nan")
    try:
        return float(text)
    except ValueError:
        raise _wrong(node, f"{text[:40]} is not a number") from None


def _construct_mapping(loader: Any, node: Any) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, dict | list | set):
            raise _wrong(key_node, "a key should be plain text; quote it if it contains braces")
        if key in seen:
            raise _wrong(key_node, f"the key {key!r} appears twice; remove one")
        seen.add(key)
    return yaml.constructor.SafeConstructor.construct_mapping(loader, node, deep=True)


def _construct_sequence(loader: Any, node: Any) -> list[Any]:
    return list(yaml.constructor.SafeConstructor.construct_sequence(loader, node, deep=True))


def _wrong(node: Any, problem: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


_Yaml12Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Yaml12Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)
_Yaml12Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)
_Yaml12Loader.add_constructor("tag:yaml.org,2002:seq", _construct_sequence)


def parse(text: str) -> Any:
    """Parse YAML text; raises `yaml.YAMLError`."""
    try:
        return yaml.load(text, Loader=_Yaml12Loader)
    except RecursionError:
        raise yaml.YAMLError("lists or mappings are nested too deeply") from None


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
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(Problem(str(path), "", None, f"cannot be read: {error}")) from None
    try:
        return parse(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        hint = _hint(error, text.splitlines()[mark.line : mark.line + 1] if mark else [])
        raise ConfigError(
            Problem(str(path), "", None, f"not valid YAML: {where}{error.problem}{hint}")
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise ConfigError(Problem(str(path), "", None, f"not valid YAML: {first}")) from None


def _hint(error: yaml.MarkedYAMLError, lines: list[str]) -> str:
    """Return what to change about an error in a line, after a separator; empty if unknown."""
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
