"""A sweep fitted to the fields that it sets: what W&B accepts, read by the types of the fields.

words of YAML 1.1, 0 and 1, quoted numbers  ->  the booleans and numbers that a field takes
bounds that are never drawn                 ->  bounds inside, where a field refuses them
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.config.schema import Schema
from resweep.sweep import Parameter, Sweep
from resweep.sweep.parameter import BETWEEN, choice_key
from resweep.sweep.yaml11 import other_reading

QUANTISABLE = ("log_uniform_values", "log_uniform", "normal", "log_normal", "beta")


def fit_fields(
    sweep: Sweep, config: Mapping[str, Any], schema: Schema, own: Collection[str] = ()
) -> Sweep:
    """Return a sweep whose values and bounds are those of its fields, as far as they can be.

    What no field takes stays as it is, and so do the user's own hyperparameters.

    Args:
        sweep: As in its file.
        config: The configuration that its names are resolved in.
        schema: The known fields.
        own: Names of the user's own hyperparameters.
    """
    fitted = []
    for parameter in sweep.parameters:
        try:
            path = compose.resolve_name(parameter.name, config, schema, own)
        except ValueError:  # reported with the names
            path = parameter.name
        fitted.append(_fit(parameter, path, schema))
    return replace(sweep, parameters=tuple(fitted))


def _fit(parameter: Parameter, path: str, schema: Schema) -> Parameter:
    def allows(value: Any) -> bool:
        return _allows(path, value, schema)

    def read(value: Any) -> Any:
        for reading in (value, other_reading(value)):
            if allows(reading):
                taken = compose.coerce(path, reading, schema)
                taken = list(taken) if isinstance(taken, tuple) else taken
                return value if choice_key(taken) == choice_key(value) else taken
        return value

    if parameter.values:
        return replace(parameter, values=tuple(map(read, parameter.values)))
    whole = parameter.distribution == "int_uniform"
    if whole and (parameter.low, parameter.high) == (0, 1) and allows(False) and not allows(0):
        return replace(parameter, distribution="categorical", values=(False, True))
    return parameter.within(allows)


def hint_for(parameter: Parameter, path: str, value: Any, schema: Schema) -> str:
    """Return what to write instead of a value that a field refuses; empty if nothing is known."""
    if not parameter.swept and isinstance(value, list) and value:
        return "; the list under value: is one value: write values: to try each entry"
    if value == "None" and _allows(path, None, schema):
        return "; write null for no value"
    low, high = parameter.low, parameter.high
    if parameter.distribution == "int_uniform":
        if _allows(path, low + BETWEEN * (high - low), schema):
            return f"; for fractions too, write min: {low:.1f}, max: {high:.1f}"
    elif not parameter.values and isinstance(value, float) and _allows(path, round(value), schema):
        named = parameter.distribution
        whole = f"q_{named} with q: 1" if named in QUANTISABLE else "int_uniform"
        return f"; {named} draws fractions: for whole numbers use {whole}"
    return ""


def _allows(path: str, value: Any, schema: Schema) -> bool:
    """Whether a field takes a value."""
    try:
        canonical_json(compose.coerce(path, value, schema))
    except ValueError:
        return False
    return True
