"""Fitting a fine-tuning to the run whose weights it starts from: model, tokens, first data."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from resweep.errors import ConfigError, Problem
from resweep.systems.language.data_section import Data, first_data_from

SHAPE = ("n_layer", "n_head", "n_embd")  # of our GPT
GPT2 = "gpt2"  # what its checkpoints are


def model_misfits(
    model: Mapping[str, Any], before: Mapping[str, Any], given: Collection[str]
) -> Iterator[Problem]:
    """Yield what weights cannot fit, as far as settings say so: the shape of our GPT.

    Args:
        model: The section of what is trained, complete.
        before: That of runs that it may start from, complete.
        given: Paths that are set for it.
    """
    if before["kind"] != "gpt":
        return
    if model["kind"] == "hf":
        kind = model["config"].get("model_type", GPT2)
        if kind != GPT2:
            hint = f"should be {GPT2}, as in the runs whose weights it takes; remove it"
            yield Problem("trial", "model.config.model_type", kind, hint)
        return
    for key in SHAPE:
        if f"model.{key}" in given and model[key] != before[key]:
            hint = f"should be {before[key]}, as in the runs whose weights it takes; remove it"
            yield Problem("trial", f"model.{key}", model[key], hint)
    longest = before["context_length"]
    if "model.context_length" in given and model["context_length"] > longest:
        hint = f"should be at most {longest}, that of the runs whose weights it takes"
        yield Problem("trial", "model.context_length", model["context_length"], hint)


def fit_data(
    data: dict[str, Any],
    before: Mapping[str, Any],
    *,
    given: Collection[str],
    folder: Path,
    forgetting: bool,
) -> list[str]:
    """Give text the tokens that the weights know, and name the data that they were trained on.

    Args:
        data: The section of the fine-tuning, complete; changed in place.
        before: That of the run that it starts from, complete.
        given: Paths that the fine-tuning sets itself.
        folder: Of the run's prepared data, with its tokenizer.
        forgetting: Whether to measure the loss on the first data too.

    Returns:
        Warnings.

    Raises:
        ConfigError: The weights do not know its tokens.
    """
    before = Data.model_validate(before).model_dump(mode="json")  # with later fields
    chosen = any(path.startswith("data.first_data") for path in given)
    if not chosen:
        data["first_data"] = {}
    if all(data[name] == before[name] for name in data if name != "first_data"):
        return []
    if forgetting and not chosen:
        data["first_data"] = first_data_from(before)
    return _fit_tokens(data, before, given, folder)


def _fit_tokens(
    data: dict[str, Any], before: Mapping[str, Any], given: Collection[str], folder: Path
) -> list[str]:
    if before["tokens"] == "bytes":
        if data["tokens"] != "bytes":
            hint = "the weights were trained on bytes; set data.tokens: bytes"
            raise ConfigError(Problem("trial", "data.tokens", data["tokens"], hint))
        return []
    if data["tokens"] == "tokenizer":  # whether it is theirs is seen when both are there
        return []
    warnings = []
    if "data.tokens" in given:
        warnings.append(
            f"data.tokens = {data['tokens']} is not used: the text is cut into tokens by the "
            "tokenizer of the weights"
        )
    theirs = before["tokenizer"] if before["tokens"] == "tokenizer" else str(folder)
    data |= {"tokens": "tokenizer", "tokenizer": theirs}
    return warnings
