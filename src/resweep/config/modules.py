"""Modules: parts of a configuration in files of their own, which a `base` names.

base: {model: gpt-tiny}   ->  config/model/gpt-tiny.yaml   ->  a layer for the section model
--config small            ->  config/model/small.yaml, config/training/small.yaml: all of that name
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.config.compose import Layer
from resweep.config.nesting import PathError, leaves, nest, path_fault
from resweep.config.own_names import is_own
from resweep.config.schema import SYSTEM, Schema
from resweep.config.spelling import nearest
from resweep.errors import ConfigError, Problem, secret_problems


def load_modules(
    config_dir: Path,
    base: Mapping[str, Any],
    schema: Schema | None,
    own: Collection[str],
    where: str,
    key: str = "base",
) -> tuple[list[Layer], list[Problem]]:
    """Load the modules that a `base` names, section by section.

    Args:
        config_dir: Where modules are.
        base: Section -> name of a module, or its content.
        schema: The known sections; None: unknown.
        own: The user's own hyperparameters, which may be sections.
        where: The file that has the base.
        key: Its key there.
    """
    loaded: list[Layer] = []
    problems: list[Problem] = []
    for section, name in base.items():
        fault = _section_fault(config_dir, section, name, schema, own)
        if fault is not None:
            shown = None if isinstance(name, Mapping) else name
            problems.append(Problem(where, f"{key}.{section}", shown, fault))
            continue
        try:
            loaded.append(load_module(config_dir, section, name, where, key))
        except ConfigError as error:
            problems += error.problems
    return loaded, problems


def _section_fault(
    config_dir: Path, section: str, name: Any, schema: Schema | None, own: Collection[str]
) -> str | None:
    """Return why a base cannot have a section, or None."""
    if schema is None or section in schema.sections:
        return None if re.fullmatch(r"\w+", section) else "should be the name of a section"
    if section == SYSTEM:
        return "is not a section; write system: at the top of the study file"
    meant = nearest(section, schema.sections)
    if meant is not None and not is_own(section, own):
        return f"is not a section; did you mean {meant}?"
    is_folder = re.fullmatch(r"[A-Za-z0-9_-]{1,100}", section) and (config_dir / section).is_dir()
    if is_folder or isinstance(name, Mapping):
        return None
    return f"is not a section; there are: {', '.join(schema.sections)}"


def load_module(
    config_dir: Path, section: str, name: Any, where: str = "study", key: str = "base"
) -> Layer:
    """Load `config/{section}/{name}.yaml`, whose top level is the section's content.

    A mapping instead of a name is the content itself.

    Args:
        config_dir: Where modules are.
        section: Its folder.
        name: Its name, or its content.
        where: The file that names it.
        key: The mapping in that file that has the section as a key; empty: none has.

    Raises:
        ConfigError: There is no such module (lists the existing ones), or it is not a mapping.
    """
    if isinstance(name, dict):
        return _layer(where, section, name)
    folder = config_dir / section
    there = sorted(file.stem for file in folder.glob("*.yaml"))
    if name not in there:
        listed = f"there are: {', '.join(there) or 'none'}"
        if not isinstance(name, str):
            hint = f"should be the name of a file in {folder}, or its content; {listed}"
        else:
            meant = nearest(name, there)
            hint = f"is not in {folder}; " + (f"did you mean {meant}?" if meant else listed)
        raise ConfigError(Problem(where, f"{key}.{section}" if key else section, name, hint))
    path = folder / f"{name}.yaml"
    content = yaml12.load_mapping(path)
    secrets = secret_problems(str(path), content)
    if secrets:
        raise ConfigError(secrets)
    return _layer(str(path), section, content)


def load_named(
    config_dir: Path, name: str, schema: Schema, where: str, key: str
) -> dict[str, Layer]:
    """Load the modules of one name, in every section that has one: section -> layer.

    Args:
        config_dir: Where modules are.
        name: Their name.
        schema: The known sections.
        where: The place that names them.
        key: Its word there.

    Raises:
        ConfigError: No section has such a module (lists the existing names), or one is faulty.
    """
    there = {
        section: {file.stem for file in (config_dir / section).glob("*.yaml")}
        for section in schema.sections
    }
    found = [section for section, names in there.items() if name in names]
    if not found:
        names = sorted(set().union(*there.values()))
        meant = nearest(name, names)
        listed = f"there are: {', '.join(names) or 'none'}"
        hint = f"no section in {config_dir} has a module of this name; "
        hint += f"did you mean {meant}?" if meant else listed
        raise ConfigError(Problem(where, key, name, hint))
    return {section: load_module(config_dir, section, name, where, key) for section in found}


def _layer(origin: str, section: str, content: Mapping[str, Any]) -> Layer:
    paths = [path for path, _ in leaves(content, f"{section}.")]
    faults = [Problem(origin, path, None, fault) for path in paths if (fault := path_fault(path))]
    if faults:
        raise ConfigError(faults)
    try:
        return Layer(origin, {section: nest(content)})
    except PathError as error:
        raise ConfigError(Problem(origin, f"{section}.{error.path}", None, error.hint)) from None
