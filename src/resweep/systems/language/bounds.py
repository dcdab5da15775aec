"""What the training of a language model takes at most, without building it.

    FLOPs        6 per parameter and token, and 12 layers * width * context for attention (PaLM,
                 Chowdhery et al. 2022, appendix B)
    checkpoint   float32 weights and two moments of each, the headers of their files, the tokenizer
    gradients    float32, and as many again for each sample

Known for our own GPT, and for the families of transformers below if their config has the sizes.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from resweep.config.training_section import Training
from resweep.systems.language.model_section import Model
from resweep.systems.language.size import count_parameters, find_size, shape_of
from resweep.systems.values import Bounds

# Dense decoders whose matrices `count_parameters` counts, or more; their vectors are added here.
FAMILIES = ("gpt2", "llama", "mistral", "qwen2", "gpt_neox")
OF_LAYER, OUTSIDE = 16, 8  # tensors: at most, in any of these
VECTORS = 20  # of the model's width, in a layer: biases and norms
FLOAT = 4  # bytes
HEADER = 256  # bytes of a safetensors file that describe a tensor
PICKLED = 1024  # bytes of gradients.pt besides the numbers of a tensor
SMALL_FILES = 16 * 1024  # config.json, trainer.json, digests.json


class _Size(NamedTuple):
    """Attributes: floats in the file of weights, trained floats, tensors, FLOPs per token."""

    stored: int
    trained: int
    tensors: int
    token_flops: float


def find_bounds(
    model: Model, training: Training, vocab_size: int, tokenizer_bytes: int
) -> Bounds | None:
    """Return the bounds; None if the model has to be built first.

    Args:
        model: The section.
        training: The section.
        vocab_size: Number of tokens, at most.
        tokenizer_bytes: Of the tokenizer's files, which each checkpoint has.
    """
    size = (
        _size_of_gpt(model, vocab_size) if model.kind == "gpt" else _size_of_hf(model, vocab_size)
    )
    if size is None:
        return None
    sequences = training.batch_size * training.gradient_accumulation_steps
    floats, tensors = size.stored + 2 * size.trained, 3 * size.tensors
    sets = 1 + (training.gradient_samples or 0)
    gradients = sets * (FLOAT * size.trained + PICKLED * size.tensors)
    return Bounds(
        step_flops=size.token_flops * sequences * model.context_length,
        checkpoint_bytes=FLOAT * floats + HEADER * tensors + SMALL_FILES + tokenizer_bytes,
        gradient_bytes=gradients if training.save_gradients else 0,
    )


def _size_of_gpt(model: Model, vocab_size: int) -> _Size:
    with_biases = model.model_copy(update={"bias": True})  # stored as zeros where there are none
    trained = count_parameters(model, vocab_size)
    positions = model.context_length * model.n_embd
    attention = 12 * model.n_layer * model.n_embd * model.context_length
    return _Size(
        stored=count_parameters(with_biases, vocab_size),
        trained=trained,
        tensors=OF_LAYER * model.n_layer + OUTSIDE,
        token_flops=6 * (trained - positions) + attention,
    )


def _size_of_hf(model: Model, vocab_size: int) -> _Size | None:
    given: Mapping[str, Any] = model.config
    family = given.get("model_type")
    if family not in FAMILIES or model.lora_rank is not None:
        return None
    named = [find_size(given, what) for what in ("layers", "width", "inner")]
    if family != "gpt2" and None in named:
        return None  # the family's own defaults
    layers, width, _ = shape_of(model)
    heads = max(width, (given.get("num_attention_heads") or 0) * (given.get("head_dim") or 0))
    vectors = layers * VECTORS * heads + 2 * width
    used = count_parameters(model, vocab_size) + layers * 4 * (heads - width) * width + vectors
    positions = max(given.get("n_positions") or 1024, model.context_length)
    floats = used + (positions * width if family == "gpt2" else 0)
    if not given.get("tie_word_embeddings", False):
        used -= vocab_size * width  # counted twice, and only one of them is multiplied
    return _Size(
        stored=floats,
        trained=floats,
        tensors=OF_LAYER * layers + OUTSIDE,
        token_flops=6 * used + 12 * layers * heads * model.context_length,
    )
