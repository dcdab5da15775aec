"""The size and cost of a loop transformer, without building it or importing torch.

    forward      2 FLOPs per weight of a layer and cell, 4 cells * width for attention
    step         3 times that for cycles with gradient, once for those without
    memory       20 bytes per weight (weights, average, gradients, two moments), the carried states,
                 the activations of a micro-batch in the cycles with gradient
    checkpoint   weights, average, two moments, the carried states

So time and memory grow linearly with the repeats of the stages.
"""

from resweep.systems.loop_transformer.sections import Arch, Data, LoopTraining
from resweep.systems.values import Bounds, Cost

PAD, EMPTY = 0, 1  # tokens; digit d is EMPTY + d
WIDTH_STEP = 32  # inner widths are multiples of it
FLOAT = 4  # bytes
TENSOR_BYTES = 1024  # of files: a tensor's header, or what pickles add
SMALL_FILES = 16 * 1024  # config.json, trainer.json, digests.json
LINE_BYTES = 1024


def vocab_size(size: int) -> int:
    """Return the number of tokens: padding, an empty cell, the digits."""
    return size + 2


def inner_width(arch: Arch) -> int:
    """Return the inner width of SwiGLU."""
    return WIDTH_STEP * max(1, -(-round(arch.expansion * arch.hidden_size * 2 / 3) // WIDTH_STEP))


def layer_weights(arch: Arch) -> int:
    """Return the weights of a layer."""
    width = arch.hidden_size
    return 4 * width * width + 3 * width * inner_width(arch)


def count_parameters(arch: Arch, size: int) -> int:
    """Return the number of weights, without their average."""
    width = arch.hidden_size
    outside = 2 * vocab_size(size) * width + width + 1
    outside += size * size * width if arch.learned_positions else 0
    return (
        outside + len(arch.known_states) * width + sum(arch.depths.values()) * layer_weights(arch)
    )


def step_flops(arch: Arch, training: LoopTraining, size: int) -> float:
    """Return the floating-point operations of an optimizer step."""
    cells, width = size * size, arch.hidden_size
    with_gradient = 3 * (arch.outer_cycles - arch.free_cycles)
    passes = (arch.free_cycles + with_gradient) * arch.layers_per_cycle()
    per_cell = passes * (2 * layer_weights(arch) + 4 * cells * width)
    head = 6 * vocab_size(size) * width
    return float(_rows(training) * cells * (per_cell + head))


def estimate_cost(arch: Arch, data: Data, training: LoopTraining) -> Cost:
    """Return the cost of a training."""
    parameters = count_parameters(arch, data.size)
    rows = _rows(training)
    limits = (training.batch_size, training.max_gpu_batch_size, rows // training.processes)
    micro_batch = min(n for n in limits if n)
    states = len(arch.known_states)
    carried = FLOAT * rows * (states * data.cells * arch.hidden_size)
    tables = rows * (2 * data.cells + 9)  # the puzzle, its step, whether it halted: with room
    kept = 1 if training.gradient_checkpointing else 12 + 4 * inner_width(arch) // arch.hidden_size
    passes = (arch.outer_cycles - arch.free_cycles) * arch.layers_per_cycle()
    floats = (passes * kept + 2 * states + 20) * arch.hidden_size
    activations = FLOAT * micro_batch * data.cells * floats
    copies = 5 if training.ema else 4
    saved = FLOAT * (copies - 1) * parameters + carried + tables
    tensors = 4 * (10 + states + 4 * sum(arch.depths.values()))
    flops = step_flops(arch, training, data.size)
    sets = 1 + (training.gradient_samples or 0)
    gradients = sets * (FLOAT * parameters + TENSOR_BYTES * tensors)
    return Cost(
        step_flops=flops,
        step_units=rows,
        process_bytes=FLOAT * copies * parameters + 2 * (carried + tables) + activations,
        snapshot_bytes=saved + (2 * gradients if training.save_gradients else 0),
        bounds=Bounds(
            step_flops=flops,
            checkpoint_bytes=saved + TENSOR_BYTES * tensors + SMALL_FILES,
            gradient_bytes=gradients if training.save_gradients else 0,
            line_bytes=LINE_BYTES,
        ),
    )


def _rows(training: LoopTraining) -> int:
    return training.batch_size * training.gradient_accumulation_steps
