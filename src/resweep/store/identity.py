"""What a run is called: a hash of all that determines its numbers, and of nothing else.

configuration + prepared data  ->  resolved configuration  ->  identity  ->  run_id
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from resweep.canonical import digest
from resweep.config.nesting import leaves
from resweep.config.schema import SYSTEM, Schema, is_always_in_identity, is_in_identity
from resweep.data.store import Prepared
from resweep.errors import ConfigError, Problem
from resweep.paths import Layout
from resweep.store.parent import find_parent, note_parent, resumed_step
from resweep.systems.registry import find_system, is_system, system_of
from resweep.systems.system import DEFAULT
from resweep.training.schedule import resolve_warmup
from resweep.violations import violations

RESULTS = Layout()
# Fields that `resolve` and `identity` replace by what they come to, as all of data and run.
REPLACED = frozenset(
    f"training.{name}"
    for name in (
        "batch_size",
        "gradient_accumulation_steps",
        "max_steps",
        "num_epochs",
        "warmup_steps",
        "pct_warmup",
    )
)


def resolve(config: Mapping[str, Any], data: Prepared, layout: Layout = RESULTS) -> dict[str, Any]:
    """Fill in what only data and weights determine: steps of epochs, vocabulary, architecture.

    Fields of other kinds of models are dropped; warmup is in steps; `run.checkpoint` is a folder.

    Args:
        config: A trial's.
        data: Its data, prepared.
        layout: Of the results folder: where the runs are that `run.checkpoint` may name.

    Raises:
        ConfigError: Fields that do not fit each other, the data or the weights to start from.
        DataError: There is too little data.
        StoreError: The weights to start from are missing, and were never seen.
    """
    system = system_of(config)
    schema = system.schema
    try:
        resolved = schema.dump(schema.validate(copy.deepcopy(dict(config))))
    except ValidationError as error:
        first = violations(error, config)[0]
        raise ConfigError(Problem("trial", first.key, None, first.hint)) from None
    for path in system.unused(resolved):
        section, _, name = path.partition(".")
        del resolved[section][name]
    system.derive(resolved)
    parent = find_parent(system, resolved, layout)
    note_parent(resolved, parent)
    system.resolve(resolved, data, parent)
    training = resolved["training"]
    steps, share = training["warmup_steps"], training["pct_warmup"]
    training["warmup_steps"] = resolve_warmup(steps, share, training["max_steps"])
    training["pct_warmup"] = None
    step = resumed_step(resolved)
    if step is not None and step >= training["max_steps"]:
        hint = f"should be more than {step}, the step that it continues from"
        raise ConfigError(Problem("trial", "training.max_steps", training["max_steps"], hint))
    return resolved


def identity(resolved: Mapping[str, Any], data: Prepared) -> dict[str, Any]:
    """Return what determines a run's numbers, from a resolved configuration and its data.

    Labels are left out; the digest of the data replaces all its known settings, so that moved or
    renamed text is the same data; batch size and accumulation count as their product; fields added
    later are left out while they mean "as before"; the system is left out while it is the implied
    one.
    """
    system = system_of(resolved)
    content: dict[str, Any] = {}
    own: dict[str, Any] = {}  # apart, so that no hyperparameter can replace recipe or digest
    for section, fields in resolved.items():
        known = system.schema.sections.get(section)
        if section == SYSTEM:
            continue
        if known is None:
            own[section] = fields
            continue
        kept = {
            name: value
            for name, value in fields.items()
            if is_in_identity(known, name, value)
            and not (section == "data" and name in known.model_fields)
        }
        if kept:
            content[section] = kept
    training = content["training"]
    training["batch_size"] *= training.pop("gradient_accumulation_steps")
    del training["num_epochs"], training["pct_warmup"]
    if "data" in content:
        own["data"] = content["data"]
    if own:
        content["own"] = own
    content |= system.schema.identity
    content["data"] = {"digest": data.digest}
    content["recipe"] = system.recipe(resolved)
    return content | system.more_identity(resolved)


def run_id(resolved: Mapping[str, Any], data: Prepared) -> str:
    """Name of the run: 12 hex digits of the hash of its identity."""
    return digest(identity(resolved, data), 12)


def identity_without_data(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a run's identity that follows from a trial's configuration alone.

    Leaves that depend on data or weights are left out.

    Args:
        config: A trial's, complete.
    """
    system = system_of(config)
    known = system.schema.dump(system.schema.validate(config))
    for path in system.unused(known):
        section, _, name = path.partition(".")
        del known[section][name]
    system.derive(known)
    training = known["training"]
    if training["max_steps"] is None:
        training["warmup_steps"] = None
    else:
        steps, share = training["warmup_steps"], training["pct_warmup"]
        training["warmup_steps"] = resolve_warmup(steps, share, training["max_steps"])
    content = identity(known, Prepared(Path(), "", {}))
    of_weights = {"model", "run"} if system.weights_named(known)[1] is not None else {"run"}
    return {name: part for name, part in content.items() if name not in {"data", *of_weights}}


def keeps_value(path: str, schema: Schema) -> bool:
    """Whether runs with different values at a path are different runs, whatever else they have.

    True for the user's own hyperparameters, and for fields that enter the identity as they are.
    Fields of a kind of model are among them: for other kinds, they can only have their defaults.
    """
    section, _, name = path.partition(".")
    if not schema.is_known(path):
        return True
    fields = schema.sections[section]
    of_system = find_system(schema.system).replaced
    replaced = (
        path in REPLACED
        or section in ("data", "run")
        or any(path == above or path.startswith(f"{above}.") for above in of_system)
    )
    return not replaced and is_always_in_identity(fields, name)


def find_resolved_difference(config: Mapping[str, Any], trained: Mapping[str, Any]) -> str | None:
    """Compare a resolved configuration with the identity of its run, apart from its data.

    Returns:
        The difference, as a predicate; None if there is none, or if its system was removed.
    """
    if not is_system(config.get(SYSTEM, DEFAULT)):
        return None
    data = Prepared(Path(), trained.get("data", {}).get("digest", ""), {})
    try:
        differs = find_difference(identity(config, data), trained)
    except (LookupError, AttributeError, TypeError) as error:
        return f"has no {error}" if isinstance(error, KeyError) else "is not a configuration"
    if differs is None:
        return None
    key, value, other = differs
    return f"has {key} = {value!r:.40}, but the run was trained with {other!r:.40}"


def find_difference(
    asked: Mapping[str, Any], trained: Mapping[str, Any], whole: bool = True
) -> tuple[str, Any, Any] | None:
    """Return the first leaf in which two identities differ, apart from the recipe's version.

    Args:
        asked: Of what a trial asks for.
        trained: Of a run.
        whole: Whether `asked` is complete; else only its leaves that are not None are compared.

    Returns:
        The path of the leaf in a configuration, and both values; None if there is no difference.
    """
    own, other = dict(leaves(asked, entries=True)), dict(leaves(trained, entries=True))
    paths = dict.fromkeys([*own, *other]) if whole else [p for p in own if own[p] is not None]
    for path in paths:
        is_version = "." not in path and path != SYSTEM  # of a recipe: an upgrade raises it
        if not is_version and own.get(path) != other.get(path):
            return path.removeprefix("own."), own.get(path), other.get(path)
    return None
