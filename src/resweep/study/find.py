"""The studies that a command line or `config/config.yaml` names."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from resweep import yaml12
from resweep.config import compose
from resweep.config.spelling import nearest
from resweep.errors import ConfigError, Problem
from resweep.paths import Layout
from resweep.study.load import load_study
from resweep.study.schema import NAME
from resweep.study.study import Study

KEYS = ("study", "studies", "set")


def find_study(name: Any, config_dir: Path) -> Path:
    """Return the file of a study given by name or path, or of a sweep's study by the sweep's id.

    Snakemake's command line turns a name like `001` into a number, which finds its file too.

    Raises:
        ConfigError: There is no such study (lists the existing ones).
    """
    folder = config_dir / "studies"
    known = sorted(folder.glob("*.yaml"))
    if isinstance(name, int) and not isinstance(name, bool):
        same = [path for path in known if path.stem.isdigit() and int(path.stem) == name]
        if len(same) == 1:
            return same[0]
    text = str(name)
    if text.endswith((".yaml", ".yml")) or "/" in text:
        path = Path(text)
        if not path.is_file():
            raise ConfigError(Problem(text, "", None, "there is no such study file"))
        return path
    if re.fullmatch(NAME, text) and (folder / f"{text}.yaml").is_file():
        return folder / f"{text}.yaml"
    made = [sweep.study for sweep in Layout().sweeps()]
    same = [path for path in made if text in (path.parent.name, _name(path))]
    if len(same) == 1:
        return same[0]
    names = [path.stem for path in known]
    close = difflib.get_close_matches(text, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(names) or 'none'}"
    raise ConfigError(Problem(str(folder), "study", text, f"no such study; {hint}"))


def _name(path: Path) -> Any:
    return yaml12.load_mapping(path).get("name")


def default_study(config_dir: Path) -> Any:
    """Return the one study that `config/config.yaml` names.

    Raises:
        ConfigError: It names several, or none.
    """
    path = config_dir / "config.yaml"
    content = yaml12.load_mapping(path)
    names = content.get("study", content.get("studies"))
    names = names if isinstance(names, list) else [names]
    if len(names) != 1 or names[0] is None:
        hint = "should name exactly one study; or choose one by --study NAME"
        raise ConfigError(Problem(str(path), "studies", names, hint))
    return names[0]


def load_studies(settings: Mapping[str, Any], config_dir: Path = Path("config")) -> list[Study]:
    """Load the studies that Snakemake's configuration names, with its overrides.

    Args:
        settings: `study` (a name or path) or `studies` (a list, or `[a,b]` as text), and `set`
            (path -> value) for all of them.
        config_dir: Where studies and modules are.

    Raises:
        ConfigError: Everything that is wrong, in all of them.
    """
    names = _read_text("studies", settings.get("studies") or [])
    if settings.get("study") is not None:
        names = settings["study"]
    if not isinstance(names, list):
        names = [names]
    overrides = _read_text("set", settings.get("set") or {})
    problems = [
        Problem("--config", key, settings[key], f"is not a key; did you mean {meant}?")
        for key in settings.keys() - set(KEYS)
        if (meant := nearest(str(key), KEYS))
    ]
    if not names:
        problems.append(Problem("config/config.yaml", "studies", None, "should name a study"))
    if not isinstance(overrides, dict):
        problems.append(
            Problem("--config", "set", overrides, "should be {path: value}, quoted as one word")
        )
        overrides = {}
    problems += [
        Problem("--config", "set", key, "needs a space after the colon: {path: value}")
        for key in overrides
        if ":" in key
    ]
    studies: list[Study] = []
    for name in names:
        try:
            studies.append(load_study(find_study(name, config_dir), config_dir, overrides))
        except ConfigError as error:
            problems += error.problems
    seen = [study.name.replace("-", "_") for study in studies]
    for study in studies:
        if seen.count(study.name.replace("-", "_")) > 1:
            problems.append(
                Problem(study.origin, "name", study.name, "two studies share this name")
            )
    if problems:
        raise ConfigError(problems)
    return studies


def _read_text(key: str, value: Any) -> Any:
    """Read a setting of the command line; lists and mappings may arrive as text."""
    value = compose.read_override(value)
    if not isinstance(value, str):
        return value
    try:
        return yaml12.parse(value)
    except yaml.YAMLError:
        raise ConfigError(Problem("--config", key, value, "is not valid YAML")) from None
