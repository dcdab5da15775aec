"""The size of a decoder and the cost of training it, from the settings alone.

FLOPs     2 per weight and patch that a forward pass multiplies, and attention; a step of
          inference is a forward pass and a backward pass to the states, learning a forward pass
          and a backward pass to states and weights
memory    16 bytes per parameter (weights, gradients, two moments), and of one micro-batch the
          states with gradients and velocities, and what a backward pass keeps
"""

from resweep.systems.predictive_coding.sections import (
    Inference,
    Model,
    PredictiveCodingTraining,
)
from resweep.systems.values import Bounds, Cost

BYTES_PER_PARAMETER = 16
BYTES_PER_SNAPSHOT = 12
FLOAT = 4  # bytes
HEADER = 256  # bytes of a safetensors file that describe a tensor
TENSORS = 3 * 16  # weights, and two moments of each, at most
SMALL_FILES = 16 * 1024  # config.json, trainer.json, digests.json
SHOWN_IMAGES = 12  # of validation, whose reconstructions are in a checkpoint
KEPT = 24  # numbers that a block keeps for its backward pass, per unit of width


def count_parameters(model: Model, patch_size: int) -> int:
    """Return the number of parameters of a resolved section's decoder."""
    values, width = _values(model, patch_size), model.hidden_size
    of_block = 4 * width * (width + 1) + 4 * width + model.mlp_size * (2 * width + 1) + width
    return 2 * values * width + width + values + model.num_blocks * of_block


def step_flops(model: Model, inference: Inference, patch_size: int, images: int) -> float:
    """Return the floating-point operations of a training step on some images."""
    patches = _patches(model, patch_size)
    width = model.hidden_size
    matrices = 4 * width * width + 2 * width * model.mlp_size
    of_block = 2.0 * matrices + 4.0 * width * patches  # the latter in attention
    forward = patches * (4.0 * _values(model, patch_size) * width + model.num_blocks * of_block)
    return images * forward * (2 * inference.steps + 3)


def estimate_cost(
    model: Model, inference: Inference, training: PredictiveCodingTraining, patch_size: int
) -> Cost:
    """Return the estimate from a resolved section of the model, and the others."""
    parameters = count_parameters(model, patch_size)
    images = training.batch_size * training.gradient_accumulation_steps
    limits = (training.batch_size, training.max_gpu_batch_size)
    micro_batch = min(n for n in limits if n)
    patches, width = _patches(model, patch_size), model.hidden_size
    of_level = width * (KEPT + 2 * model.mlp_size / width) + model.num_heads * patches
    numbers = (
        micro_batch * patches * ((model.num_blocks + 1) * of_level + 6 * _values(model, patch_size))
    )
    flops = step_flops(model, inference, patch_size, images)
    pixels = patches * _values(model, patch_size)
    return Cost(
        step_flops=flops,
        step_units=images,
        process_bytes=BYTES_PER_PARAMETER * parameters + FLOAT * numbers,
        snapshot_bytes=BYTES_PER_SNAPSHOT * parameters,
        bounds=Bounds(
            step_flops=flops,
            checkpoint_bytes=3 * FLOAT * parameters
            + TENSORS * HEADER
            + 2 * FLOAT * SHOWN_IMAGES * pixels
            + SMALL_FILES,
        ),
    )


def _values(model: Model, patch_size: int) -> int:
    """Numbers of a patch."""
    return patch_size * patch_size * (model.channels or 1)


def _patches(model: Model, patch_size: int) -> int:
    """Patches of an image."""
    return ((model.height or 0) // patch_size) * ((model.width or 0) // patch_size)
