"""What the command of a sweep file sets, as layers of its phase's configuration.

    torchrun --nproc-per-node=4    ->  training.processes, and below all else training.distributed
    arch=large                     ->  the module config/arch/large.yaml, where arch is a section
    --config=NAME                  ->  the modules of that name in all sections, if there are any
    lr=1e-4, --ema=True            ->  values, under the names and types of their fields

They are above what the study sets for all phases, and below what the phase sets; the parameters of
the sweep are above them all.
"""

import contextlib
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from resweep.config import compose
from resweep.config.compose import Layer
from resweep.config.modules import load_module, load_named
from resweep.config.own_names import is_own
from resweep.config.schema import Schema
from resweep.errors import ConfigError, Problem, secret_problems
from resweep.sweep import Sweep
from resweep.sweep.arguments import NAMED, Given


class CommandLayers(NamedTuple):
    """Layers of a command.

    Attributes:
        below: Below everything that the study says.
        modules: By section, in place of those that the study's base names.
        above: Above what the study says for all phases.
        warnings: Of what is left out.
    """

    below: list[Layer]
    modules: dict[str, Layer]
    above: list[Layer]
    warnings: list[str]


NO_LAYERS = CommandLayers([], {}, [], [])


def command_layers(
    sweep: Sweep, config_dir: Path, schema: Schema, own: Collection[str]
) -> CommandLayers:
    """Return what the command of a sweep sets.

    Args:
        sweep: The search space, whose parameters win.
        config_dir: Where modules are.
        schema: The known fields.
        own: Names of the user's own hyperparameters.

    Raises:
        ConfigError: A section is given a module that does not exist, a field no value, or a word
            has a secret.
    """
    if sweep.command is None:
        return NO_LAYERS
    modules: dict[str, Layer] = {}
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    left_out: list[str] = []
    literals = sweep.command.literals
    named = [one for one in literals if _names_modules(one, config_dir, schema, own)]
    for one in named[-1:]:  # those of a single section go before them
        try:
            modules |= load_named(config_dir, str(one.value), schema, sweep.origin, "command")
        except ConfigError as error:
            problems += error.problems
    for one in literals:
        if one in named:
            continue
        problems += secret_problems(sweep.origin, {one.name: one.value})
        if not is_own(one.name, own) and (
            one.name in schema.path_only or _is_in_the_way(one.name, sweep, schema)
        ):
            left_out.append(one.name)
            continue
        try:
            if names_module(one, schema, own):
                modules[one.name] = load_module(
                    config_dir, one.name, one.value, sweep.origin, "command"
                )
            else:
                values[one.name] = value_of(one, schema, own)
        except ConfigError as error:
            problems += error.problems
        except ValueError as error:
            problems.append(Problem(sweep.origin, f"command.{one.name}", None, str(error)))
    if problems:
        raise ConfigError(problems)
    below, processes = process_layers(sweep.origin, sweep.command.processes)
    warnings = []
    if left_out:
        warnings.append(
            f"{sweep.origin}: command: {', '.join(dict.fromkeys(left_out))} could be a field or a "
            "hyperparameter of your own, and sets nothing; write the full path, or list it in own:"
        )
    above = [*processes, Layer(sweep.origin, values)]
    return CommandLayers(below, modules, above, warnings)


def process_layers(origin: str, processes: int | None) -> tuple[list[Layer], list[Layer]]:
    """Return what a number of processes sets below all other layers, and above the study's.

    Args:
        origin: Who starts them, for messages.
        processes: How many; None: not said.
    """
    if processes is None:
        return [], []
    distributed = {"training": {"distributed": "ddp"}} if processes > 1 else {}
    return [Layer(origin, distributed)], [Layer(origin, {"training": {"processes": processes}})]


def names_module(one: Given, schema: Schema, own: Collection[str]) -> bool:
    """Whether a parameter is the name of a section's module: `arch=large`."""
    is_section = one.name in schema.sections and not is_own(one.name, own)
    return is_section and isinstance(one.value, str)


def _names_modules(one: Given, config_dir: Path, schema: Schema, own: Collection[str]) -> bool:
    """Whether it is `--config=NAME`, and sections have modules of that name."""
    if one.name != NAMED or is_own(NAMED, own) or not isinstance(one.value, str):
        return False
    files = (config_dir / section / f"{one.value}.yaml" for section in schema.sections)
    return any(file.is_file() for file in files)


def value_of(one: Given, schema: Schema, own: Collection[str]) -> Any:
    """Return a parameter's value; its plain text where the field accepts only that.

    Raises:
        ValueError: It was given without a value, and its field is not a boolean.
    """
    if one.flag and not _is_boolean(one, schema):
        hint = "needs a value" if one.value else "is for booleans"
        raise ValueError(f"{hint}; write --{one.name}=VALUE")
    if one.text is None or isinstance(one.value, str):
        return one.value
    with contextlib.suppress(
        ValueError
    ):  # ambiguous names and wrong values are reported with their layer
        path = compose.resolve_name(one.name, {}, schema, own)
        try:
            compose.coerce(path, one.value, schema)
        except ValueError:
            compose.coerce(path, one.text, schema)
            return one.text
    return one.value


def _is_boolean(one: Given, schema: Schema) -> bool:
    """Whether a parameter's field can be true or false; of one's own, any can be."""
    try:
        compose.coerce(compose.resolve_name(one.name, {}, schema), one.value, schema)
    except ValueError:
        return False
    return True


def _is_in_the_way(name: str, sweep: Sweep, schema: Schema) -> bool:
    """Whether a name that nothing reads is a section of names that the sweep has."""
    is_above = any(parameter.name.startswith(f"{name}.") for parameter in sweep.parameters)
    return is_above and name not in schema.sections and not schema.is_known(name)
