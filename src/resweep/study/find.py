"""The studies that a command line or `config/config.yaml` names."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from resweep import yaml12
from resweep.config import compose
from resweep.config.spelling import nearest
from resweep.errors import ConfigError, Problem, secret_problems
from resweep.files import is_file
from resweep.paths import Layout
from resweep.study.load import load_study
from resweep.study.rule_names import RuleNames, study_rules
from resweep.study.study import Study
from resweep.study.study_file import StudyFile

KEYS = ("study", "studies", "set")
COMMAND_LINE = "--config"  # of Snakemake
HOW = "write --config study=NAME, or studies: [NAME] in the file"


def find_study(name: Any, config_dir: Path, where: str = COMMAND_LINE, key: str = "study") -> Path:
    """Return the file of a study given by name or path, or of a sweep's study by the sweep's id.

    Snakemake's command line turns a name like `001` into a number, which finds its file too.

    Args:
        name: The name.
        config_dir: Where studies are.
        where: The file, or the command line, that names it; for messages.
        key: Its key there.

    Raises:
        ConfigError: There is no such study (lists the existing ones).
    """
    folder = config_dir / "studies"
    known = sorted(folder.glob("*.yaml"))
    names = [path.stem for path in known]
    listed = f"there are: {', '.join(names) or 'none'}"
    if isinstance(name, int) and not isinstance(name, bool):
        same = [path for path in known if path.stem.isdigit() and int(path.stem) == name]
        if len(same) == 1:
            return same[0]
    if not isinstance(name, str | int | float) or isinstance(name, bool) or name == "":
        hint = f"should be the name of a study; {listed}"
        raise ConfigError(Problem(where, key, "" if name is None else name, hint))
    text = str(name)
    if text.endswith((".yaml", ".yml")) or "/" in text:
        path = Path(text)
        if not is_file(path):
            raise ConfigError(Problem(where, key, text, f"there is no such study file; {listed}"))
        return path
    if text in names:
        return folder / f"{text}.yaml"
    made = [sweep.study for sweep in Layout().sweeps()]
    same = [path for path in made if text in (path.parent.name, _name(path))]
    if len(same) == 1:
        return same[0]
    close = difflib.get_close_matches(text, names, n=1)
    hint = f"did you mean {close[0]}?" if close else listed
    raise ConfigError(Problem(where, key, text, f"no such study in {folder}; {hint}"))


def _name(path: Path) -> Any:
    return yaml12.load_mapping(path).get("name")


def find_named_study(name: str | None, config_dir: Path) -> Path:
    """Return the file of the study of `--study NAME`; None: of that in `config/config.yaml`.

    Raises:
        ConfigError: There is no such study; or no name, and the file names several or none.
    """
    if name is not None:
        return find_study(name, config_dir, "command line", "--study")
    path = config_dir / "config.yaml"
    content = yaml12.load_mapping(path)
    key = "study" if "study" in content else "studies"
    names = content.get(key)
    names = names if isinstance(names, list) else [names]
    if len(names) != 1 or names[0] is None:
        hint = "should name exactly one study; or choose one by --study NAME"
        raise ConfigError(Problem(str(path), key, names, hint))
    return find_study(names[0], config_dir, str(path), key)


def load_studies(
    settings: Mapping[str, Any],
    config_dir: Path = Path("config"),
    where: str = COMMAND_LINE,
    file: Path | None = None,
) -> list[Study]:
    """Load the studies that settings name, with their overrides.

    Args:
        settings: `study` (a name or path) or `studies` (a list, or `[a,b]` as text), and `set`
            (path -> value) for all of them.
        config_dir: Where studies and modules are.
        where: Where the settings are from, for messages.
        file: A file of settings, which those given override.

    Raises:
        ConfigError: Everything that is wrong, in all of them.
    """
    chosen, origins = _settings(settings, where, file)
    problems = [
        Problem(origins[key], str(key), value, _unknown_setting(str(key)))
        for key, value in chosen.items()
        if key not in KEYS
    ]
    key = "study" if "study" in chosen else "studies"
    names = chosen.get(key)
    names = _read_text(origins.get(key, where), key, names) if key == "studies" else names
    if not isinstance(names, list):
        names = [names] if names is not None or key == "study" else []
    if not names:
        place = origins.get(key, where if file is None else str(file))
        problems.append(Problem(place, key, None, f"names no study; {HOW}"))
    overrides = _read_text(origins.get("set", where), "set", chosen.get("set") or {})
    if not isinstance(overrides, dict):
        hint = "should be {path: value}, quoted as one word"
        problems.append(Problem(origins["set"], "set", overrides, hint))
        overrides = {}
    problems += [
        Problem(origins["set"], "set", path, "needs a space after the colon: {path: value}")
        for path in overrides
        if ":" in path
    ]
    problems += secret_problems(origins.get("set", where), overrides, "set")
    studies: list[Study] = []
    for name in names:
        try:
            path = find_study(name, config_dir, origins[key], key)
            set_by = f"{origins.get('set', where)} set"
            studies.append(load_study(path, config_dir, overrides, set_by))
        except ConfigError as error:
            problems += error.problems
    problems += _clashes(studies)
    if problems:
        raise ConfigError({str(problem): problem for problem in problems}.values())
    return studies


def _settings(
    given: Mapping[str, Any], where: str, file: Path | None
) -> tuple[dict[Any, Any], dict[Any, str]]:
    """Return the settings of a file with those given above them, and where each is from."""
    below = {} if file is None else yaml12.load_mapping(file)
    if "study" in given or "studies" in given:
        below = {key: value for key, value in below.items() if key not in ("study", "studies")}
    chosen = {**below, **given}
    above, under = _read_text(where, "set", given.get("set")), below.get("set")
    if isinstance(above, dict) and isinstance(under, dict):
        chosen["set"] = {**under, **above}
    origins = {key: where if key in given else str(file) for key in chosen}
    return chosen, origins


def _unknown_setting(key: str) -> str:
    """Return the message for a setting that nothing reads."""
    meant = nearest(key, KEYS)
    if meant:
        return f"is not a key; did you mean {meant}?"
    if key in StudyFile.model_fields:
        return f"is not a key here; write {key}: in the study file"
    return f"is not a key; write --config 'set={{{key}: VALUE}}' to override a value of the study"


def _clashes(studies: list[Study]) -> list[Problem]:
    """Return a problem for each study that has a name, or could have a rule, of another one."""
    problems: list[Problem] = []
    if len(studies) == 1:
        return problems
    rules: list[tuple[Study, RuleNames]] = []
    for study in studies:
        own = study_rules(study, several=True)
        for other, theirs in rules:
            rule = own.shared(theirs)
            if rule is not None:
                hint = f"{rule} would be a rule of study {other.name} too; build them one by one"
                if other.name == study.name:
                    hint = f"two studies share this name: {other.origin} and {study.origin}"
                problems.append(Problem(study.origin, "name", study.name, hint))
                break
        rules.append((study, own))
    return problems


def _read_text(where: str, key: str, value: Any) -> Any:
    """Read a setting of the command line; lists and mappings may arrive as text."""
    value = compose.read_override(value)
    if not isinstance(value, str):
        return value
    try:
        return yaml12.parse(value)
    except yaml.YAMLError:
        raise ConfigError(Problem(where, key, value, "is not valid YAML")) from None
