"""The cost of training a language model, estimated without building it.

    memory    16 bytes per parameter (weights, gradients, two moments, all float32), or 8 if all but
              adapters are frozen; plus activations of one micro-batch. DeepSpeed's shards count in
              full, since loading and saving gathers them
    snapshot  12 bytes per parameter, plus 4 for each saved gradient; 4 if all but adapters are
              frozen
    time      6 FLOPs per parameter and token

The size of kind hf is itself an estimate (`resweep.systems.language.size`).
"""

from collections.abc import Mapping
from typing import Any

from resweep.config.training_section import Training
from resweep.systems.language.bounds import find_bounds
from resweep.systems.language.data_section import BYTE_TOKENS
from resweep.systems.language.model_section import Model
from resweep.systems.language.size import count_parameters, shape_of
from resweep.systems.language.token_data import TokenData
from resweep.systems.values import Cost

BYTES_PER_PARAMETER = 16
BYTES_PER_SNAPSHOT = 12
FROZEN_BYTES, FROZEN_SNAPSHOT = 8, 4
BYTES_PER_GRADIENT = 4  # samples count twice, while they are stacked
# At most, of tokenizer.json of BPE: each token, and the merge that makes it.
TOKENIZER_BYTES, TOKEN_BYTES = 16 * 1024, 256


def find_vocab_size(model: Model, data: TokenData | None) -> int:
    """Return the number of tokens, as far as it is known before weights and data are."""
    given = model.vocab_size or model.config.get("vocab_size")
    return int(given or (data.vocab_size if data else BYTE_TOKENS))


def most_of_tokenizer(
    model: Model, settings: Mapping[str, Any], data: TokenData | None
) -> tuple[int | None, int]:
    """Return what the number of tokens and the bytes of the tokenizer's files are at most.

    The number is None if the data has to be prepared first, or the initial weights decide.
    """
    if model.name_or_path is not None and not (model.vocab_size or model.config.get("vocab_size")):
        return None, 0
    if data is not None:
        files = sum(file.stat().st_size for file in data.tokenizer_files() if file.exists())
        return find_vocab_size(model, data), files
    if settings["tokens"] == "bytes":
        return find_vocab_size(model, None), 0
    if settings["tokens"] == "bpe":
        size = settings["bpe_vocab_size"]
        return max(size, find_vocab_size(model, None)), TOKENIZER_BYTES + TOKEN_BYTES * size
    return None, 0


def estimate_cost(
    model: Model,
    training: Training,
    vocab_size: int,
    *,
    most_tokens: int | None = None,
    tokenizer_bytes: int = 0,
) -> Cost:
    """Return the estimate from two sections and the number of tokens.

    Args:
        model, training: The sections.
        vocab_size: Number of tokens, as far as it is known.
        most_tokens: What it is at most; None if that is not known.
        tokenizer_bytes: Of the tokenizer's files, at most.
    """
    parameters = count_parameters(model, vocab_size)
    sequences = training.batch_size * training.gradient_accumulation_steps
    limits = (
        training.batch_size,
        training.max_gpu_batch_size,
        sequences // training.processes,
    )
    micro_batch = min(n for n in limits if n)
    # Per token: about 16 vectors of the model's width per layer, and logits with gradients.
    shape = shape_of(model)
    floats = 16 * shape.layers * shape.width + 3 * vocab_size
    activations = 4 * floats * micro_batch * model.context_length
    each, copied = BYTES_PER_PARAMETER, BYTES_PER_SNAPSHOT
    if model.lora_rank is not None:
        each, copied = FROZEN_BYTES, FROZEN_SNAPSHOT
    elif training.save_gradients:
        copied += BYTES_PER_GRADIENT * (1 + 2 * (training.gradient_samples or 0))
    step_tokens = sequences * model.context_length
    return Cost(
        step_flops=6.0 * parameters * step_tokens,
        step_units=step_tokens,
        process_bytes=each * parameters + activations,
        snapshot_bytes=copied * parameters,
        bounds=None
        if most_tokens is None
        else find_bounds(model, training, most_tokens, tokenizer_bytes),
    )
