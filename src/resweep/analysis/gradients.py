"""What saved gradients say: norms, directions, noise, and where they vanish or explode.

    {parameter: gradient}  ->  by parameter and by layer  ->  norm, RMS, cosines, faults
    {parameter: gradients of n samples}                   ->  variance, share of noise

A layer is a block of the model (`transformer.h.0`), or what lies outside of blocks
(`transformer.wte`, `lm_head`). Sums are float64.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Below its epsilon, Adam's steps shrink with the gradient (Kingma & Ba 2015, algorithm 1).
SMALLEST_RMS = 1e-8
# Between parts of one checkpoint. Gradients that vanish or explode differ by a power of the depth
# (Glorot & Bengio 2010, section 4.2); the number is ours: healthy GPTs stay below a hundred.
MOST_BETWEEN_LAYERS = 1e3
# Over checkpoints. That a norm explodes is judged by the usual norm of its training, as thresholds
# of clipping are (Pascanu, Mikolov & Bengio 2013, section 3.2); the number is ours.
MOST_OVER_TIME = 10.0
FEWEST_CHECKPOINTS = 3  # to know the usual norm


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What the gradients of samples, equal parts of a batch, say of one part of a model.

    Attributes:
        samples: Their number.
        variance: Of one sample's gradient, summed over the elements.
        signal: Squared norm of their mean.
    """

    samples: int
    variance: float
    signal: float

    @property
    def share(self) -> float | None:
        """The expected share of the squared norm that is noise; None if the mean is zero.

        E |mean|^2 = |gradient|^2 + variance / samples (McCandlish et al. 2018, appendix A.1).
        """
        return self.variance / self.samples / self.signal if self.signal > 0 else None


@dataclass(frozen=True, kw_only=True)
class Part:
    """The gradient of a parameter or a layer at one checkpoint.

    Attributes:
        name: Of the parameter, or of the layer.
        elements: Number of values.
        squares: Their sum of squares; nan or infinite if a value is.
        noise: None without samples.
    """

    name: str
    elements: int
    squares: float
    noise: Noise | None = None

    @property
    def norm(self) -> float:
        """Euclidean norm."""
        return math.sqrt(self.squares)

    @property
    def rms(self) -> float:
        """Root mean square of its elements: comparable between parts of different sizes."""
        return math.sqrt(self.squares / self.elements) if self.elements else 0.0


def layer_of(parameter: str) -> str:
    """Return the layer of a parameter: its block, or the module that it belongs to.

    `transformer.h.0.mlp.c_fc.weight` -> `transformer.h.0`; `transformer.wte.weight` ->
    `transformer.wte`.
    """
    names = parameter.split(".")
    for place, name in enumerate(names):
        if name.isdigit():
            return ".".join(names[: place + 1])
    return ".".join(names[:-1]) or parameter


def layers_of(parameters: Iterable[str]) -> dict[str, list[str]]:
    """Return the parameters of each layer, in the order in which they first appear."""
    layers: dict[str, list[str]] = {}
    for parameter in parameters:
        layers.setdefault(layer_of(parameter), []).append(parameter)
    return layers


def measure(name: str, gradient: Tensor, samples: Tensor | None = None) -> Part:
    """Return the gradient of a parameter.

    Args:
        name: Of the parameter.
        gradient: Of any shape.
        samples: Those of parts of the batch: (n, *shape); a single one has no variance.
    """
    noise = None
    if samples is not None and len(samples) > 1:
        whole = samples.double()
        mean = whole.mean(0)
        variance = (whole - mean).square().sum().item() / (len(whole) - 1)
        noise = Noise(samples=len(whole), variance=variance, signal=_dot(mean, mean))
    squares = _dot(gradient, gradient)
    return Part(name=name, elements=gradient.numel(), squares=squares, noise=noise)


def join(name: str, parts: Sequence[Part]) -> Part:
    """Return the gradient of several parameters together."""
    known = [part.noise for part in parts if part.noise is not None]
    noise = None
    if known and len(known) == len(parts):
        noise = Noise(
            samples=known[0].samples,
            variance=sum(one.variance for one in known),
            signal=sum(one.signal for one in known),
        )
    elements, squares = sum(one.elements for one in parts), sum(one.squares for one in parts)
    return Part(name=name, elements=elements, squares=squares, noise=noise)


def _dot(first: Tensor, second: Tensor) -> float:
    return float(torch.dot(first.double().flatten(), second.double().flatten()))


@dataclass(frozen=True)
class Cosines:
    """Cosines between all pairs of some gradients.

    Attributes:
        names: What is compared: layers, or steps as text.
        values: (n, n), symmetric; None where one is zero or not finite.
    """

    names: list[str]
    values: list[list[float | None]]


def cosines(gradients: Mapping[str, Sequence[Tensor]]) -> Cosines:
    """Return the cosines between all pairs of gradients.

    Args:
        gradients: Name -> tensors, which have equal shapes and an equal order for all names.
    """
    names = list(gradients)
    norms = {name: math.sqrt(_product(of, of)) for name, of in gradients.items()}
    values: list[list[float | None]] = [[None] * len(names) for _ in names]
    for row, first in enumerate(names):
        for column in range(row + 1):
            second = names[column]
            size = norms[first] * norms[second]
            if size > 0 and math.isfinite(size):
                product = _product(gradients[first], gradients[second]) if row > column else size
                values[row][column] = max(-1.0, min(1.0, product / size))
                values[column][row] = values[row][column]
    return Cosines(names, values)


def _product(first: Sequence[Tensor], second: Sequence[Tensor]) -> float:
    return sum(_dot(a, b) for a, b in zip(first, second, strict=True))


def between_layers(gradients: Mapping[str, Tensor]) -> Cosines | None:
    """Return the cosines between layers with equal parameters; None without two of these.

    Where there are several kinds, as blocks with experts and without, that with the most layers.
    """
    kinds: dict[tuple[object, ...], dict[str, list[Tensor]]] = {}
    for layer, members in layers_of(gradients).items():
        tensors = {name.removeprefix(layer): gradients[name] for name in members}
        ordered = dict(sorted(tensors.items()))
        kind = tuple((name, tuple(tensor.shape)) for name, tensor in ordered.items())
        kinds.setdefault(kind, {})[layer] = list(ordered.values())
    largest = max(kinds.values(), key=len, default={})
    return cosines(largest) if len(largest) > 1 else None


def faults(
    checkpoint: Sequence[Part], usual: Callable[[str], float | None] = lambda name: None
) -> dict[str, str]:
    """Return which parts of a checkpoint vanish or explode, and by which rule: name -> sentence.

    Args:
        checkpoint: All parameters, or all layers.
        usual: The usual norm of a part over the run; None if that is unknown.
    """
    known = [part.rms for part in checkpoint if math.isfinite(part.rms)]
    middle = statistics.median(known) if known else 0.0
    found = {part.name: _fault(part, middle, usual(part.name)) for part in checkpoint}
    return {name: fault for name, fault in found.items() if fault is not None}


def _fault(part: Part, middle: float, usual: float | None) -> str | None:
    if not math.isfinite(part.norm):
        return "exploding: not finite"
    if part.rms < SMALLEST_RMS:
        return f"vanishing: RMS {part.rms:.2g} is below {SMALLEST_RMS:g}, Adam's epsilon"
    if part.rms * MOST_BETWEEN_LAYERS < middle:
        return f"vanishing: RMS {part.rms:.2g} is {middle / part.rms:.0f} times below the median"
    if part.rms > middle * MOST_BETWEEN_LAYERS > 0:
        return f"exploding: RMS {part.rms:.2g} is {part.rms / middle:.0f} times the median"
    if usual is not None and part.norm > MOST_OVER_TIME * usual:
        return f"exploding: norm {part.norm:.2g} is {part.norm / usual:.0f} times its usual norm"
    return None


def usual_norms(checkpoints: Sequence[Sequence[Part]]) -> dict[str, float]:
    """Return the median norm of each part over a run; empty for fewer than three checkpoints.

    Args:
        checkpoints: The same parts, at each checkpoint.
    """
    if len(checkpoints) < FEWEST_CHECKPOINTS:
        return {}
    norms: dict[str, list[float]] = {}
    for one in checkpoints:
        for part in one:
            if math.isfinite(part.norm):
                norms.setdefault(part.name, []).append(part.norm)
    middles = {name: statistics.median(values) for name, values in norms.items()}
    return {name: middle for name, middle in middles.items() if middle > 0}
