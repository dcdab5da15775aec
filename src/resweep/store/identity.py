"""What a run is called: a hash of all that determines its numbers, and of nothing else.

configuration + prepared data  ->  resolved configuration  ->  identity  ->  run_id
"""

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from resweep.canonical import digest
from resweep.config.schema import SECTIONS, Config
from resweep.config.section import LABEL, AsBefore
from resweep.data.store import Prepared, require_tokens
from resweep.errors import ConfigError, Problem
from resweep.paths import Layout
from resweep.store.parent import Parent, fill_in_parent
from resweep.systems.language.batches import steps_for_epochs
from resweep.systems.language.model_section import fields_of_other_kinds
from resweep.training.schedule import warmup_steps

# Raised by hand when equal configurations give other numbers than before; the reference loss
# curve in tests/integration/systems/language/test_reference_curve.py fails until it is.
RECIPES = {"gpt": "gpt/1", "hf": "hf/1"}
RESULTS = Layout()
DROPOUT_RECIPE = "per-sample/1"  # resweep.systems.language.dropout


def resolve(config: Mapping[str, Any], data: Prepared, layout: Layout = RESULTS) -> dict[str, Any]:
    """Fill in what only data and weights can tell: vocabulary, steps of epochs, architecture.

    Fields of other kinds of models are dropped; warmup is in steps; `run.checkpoint` is a folder.

    Args:
        config: A trial's.
        data: Its data, prepared.
        layout: Of the results folder: where the runs are that `run.checkpoint` may name.

    Raises:
        ConfigError: Fields that do not fit each other, the data or the weights to start from.
        DataError: The data holds no full sequence.
        StoreError: The weights to start from are not there, and never were seen.
    """
    try:
        resolved = Config.model_validate(copy.deepcopy(dict(config))).model_dump(mode="json")
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            Problem("trial", key, None, first["msg"].removeprefix("Value error, "))
        ) from None
    model, training = resolved["model"], resolved["training"]
    require_tokens(data, model["context_length"])
    for name in fields_of_other_kinds(model["kind"]):
        del model[name]
    parent = fill_in_parent(resolved, layout)
    model["vocab_size"] = _vocab_size(model, parent, data)
    if training["max_steps"] is None:
        training["max_steps"] = steps_for_epochs(
            data.tokens["train"],
            model["context_length"],
            training["batch_size"] * training["gradient_accumulation_steps"],
            training["num_epochs"],
        )
        training["num_epochs"] = None
    training["warmup_steps"] = warmup_steps(training, training["max_steps"])
    training["pct_warmup"] = None
    return resolved


def _vocab_size(model: dict[str, Any], parent: Parent | None, data: Prepared) -> int:
    """Return the model's number of tokens, and take it out of `model.config`."""
    said = {
        "model.vocab_size": model["vocab_size"],
        "model.config.vocab_size": model.get("config", {}).pop("vocab_size", None),
        "the weights to start from": parent.config.get("vocab_size") if parent else None,
    }
    given = {key: value for key, value in said.items() if value is not None}
    key, size = next(iter(given.items()), ("model.vocab_size", data.vocab_size))
    for other, value in given.items():
        if value != size:
            raise ConfigError(Problem("trial", key, size, f"is {value} in {other}"))
    if size < data.vocab_size:
        mend = f"should be at least {data.vocab_size}, the vocabulary of the data"
        raise ConfigError(Problem("trial", key, size, mend))
    return int(size)


def identity(resolved: Mapping[str, Any], data: Prepared) -> dict[str, Any]:
    """Return what determines a run's numbers, from a resolved configuration and its data.

    Labels are left out; of the data its digest stands for every known setting, so that moved or
    renamed text is the same data; batch size and accumulation count as their product; fields added
    later are left out while they mean "as before"; how masks are drawn counts where there are any.
    """
    bearing: dict[str, Any] = {}
    own: dict[str, Any] = {}  # apart, so that no hyperparameter takes the place of recipe or digest
    for section, fields in resolved.items():
        known = SECTIONS.get(section)
        if known is None:
            own[section] = fields
            continue
        kept = {}
        for name, value in fields.items():
            field = known.model_fields.get(name)
            marks = field.metadata if field is not None else []
            if LABEL in marks or (section == "data" and field is not None):
                continue
            if any(isinstance(mark, AsBefore) and mark.value == value for mark in marks):
                continue
            kept[name] = value
        if kept:
            bearing[section] = kept
    training = bearing["training"]
    training["batch_size"] *= training.pop("gradient_accumulation_steps")
    del training["num_epochs"], training["pct_warmup"]
    if "data" in bearing:
        own["data"] = bearing["data"]
    if own:
        bearing["own"] = own
    bearing["data"] = {"digest": data.digest}
    bearing["recipe"] = RECIPES[resolved["model"]["kind"]]
    model = resolved["model"]
    if max(model["dropout"], model.get("lora_dropout", 0.0)) > 0:
        bearing["dropout"] = DROPOUT_RECIPE
    return bearing


def run_id(resolved: Mapping[str, Any], data: Prepared) -> str:
    """Name of the run: 12 hex digits of the hash of its identity."""
    return digest(identity(resolved, data), 12)


def last_step(resolved: Mapping[str, Any], stop: int | None) -> int:
    """Return the step that a trial asks for: its stop, at most the run's horizon."""
    horizon = int(resolved["training"]["max_steps"])
    return horizon if stop is None else min(stop, horizon)
