"""The gradients of a run's checkpoints, read from its files and compared.

    gradients.pt, gradient_samples.pt of checkpoints  ->  GradientAnalysis  ->  JSON

Files are mapped into memory: only what is compared at a time needs to fit.
"""

import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resweep.analysis.checkpoints import Checkpoint, Found
from resweep.analysis.gradients import (
    Cosines,
    Part,
    between_layers,
    cosines,
    faults,
    join,
    layers_of,
    measure,
    usual_norms,
)
from resweep.canonical import file_digest
from resweep.config.spelling import nearest
from resweep.errors import ConfigError, DamagedFile, Problem, StoreError
from resweep.store.checkpoints import DIGESTS, read_digests
from resweep.training.gradients import GRADIENTS, SAMPLES

_TRAINED_AGAIN = "forget the run, so that it is trained again (resweep forget runs)"


@dataclass(frozen=True, kw_only=True)
class CheckpointGradients:
    """The gradients of one checkpoint.

    Attributes:
        checkpoint: Which.
        whole: Those of all parameters together.
        layers, parameters: By layer, and by parameter.
        faults: Which of them vanish or explode: name -> the rule and its numbers.
        between_layers: Cosines between layers with equal parameters; None without two of these.
    """

    checkpoint: Checkpoint
    whole: Part
    layers: list[Part]
    parameters: list[Part]
    faults: Mapping[str, str]
    between_layers: Cosines | None

    def part(self, name: str) -> Part | None:
        """Return a layer or a parameter; None if it is not in this checkpoint."""
        every = (*self.layers, *self.parameters)
        return next((part for part in every if part.name == name), None)


@dataclass(frozen=True, kw_only=True)
class GradientAnalysis:
    """The gradients of some checkpoints.

    Attributes:
        given: What was analyzed, as it was named.
        layer: The layer or parameter whose course was asked for; None: all layers.
        checkpoints: By step.
        between_checkpoints: Cosines between the checkpoints' gradients: of `layer`, or of all
            parameters.
    """

    given: str
    layer: str | None
    checkpoints: list[CheckpointGradients]
    between_checkpoints: Cosines

    @property
    def last(self) -> CheckpointGradients:
        """The last checkpoint."""
        return self.checkpoints[-1]


def analyze_gradients(found: Found, layer: str | None = None) -> GradientAnalysis:
    """Analyze the gradients of checkpoints; those without any are left out.

    Args:
        found: The checkpoints.
        layer: Name of a layer or a parameter, whole or without what all have in common.

    Raises:
        StoreError: None has gradients.
        ConfigError: No such layer.
        DamagedFile: A file is not what was written.
    """
    known = [one for one in found.checkpoints if (one.folder / GRADIENTS).is_file()]
    if not known:
        names = ", ".join(one.short for one in found.checkpoints)
        raise StoreError(
            f"{found.given}: none of its checkpoints ({names}) has gradients; train with "
            "training.save_gradients: true, and keep: all in the study (docs/gradients.md)"
        )
    gradients = {one.short: read_gradients(one.folder / GRADIENTS) for one in known}
    chosen = None if layer is None else find_part(layer, gradients[known[-1].short])
    measured = [_measure(one, gradients[one.short]) for one in known]
    usual = usual_norms([[*one.layers, *one.parameters] for one in measured])
    return GradientAnalysis(
        given=found.given,
        layer=chosen,
        checkpoints=[_with_faults(one, usual) for one in measured],
        between_checkpoints=_between(gradients, chosen),
    )


def read_gradients(path: Path) -> dict[str, Tensor]:
    """Read gradients.pt or gradient_samples.pt, mapped into memory.

    Raises:
        DamagedFile: It is not a dictionary of tensors, or not the one that was written.
    """
    if (path.parent / DIGESTS).is_file():  # not in folders of other trainers
        digests = read_digests(path.parent)
        if path.name in digests and file_digest(path) != digests[path.name]:
            raise DamagedFile(path, "was changed after it was written", _TRAINED_AGAIN)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        what = f"cannot be read by torch ({str(error).splitlines()[0]:.80})"
        raise DamagedFile(path, what, _TRAINED_AGAIN) from None
    is_gradients = isinstance(content, dict) and content
    if not is_gradients or not all(isinstance(value, Tensor) for value in content.values()):
        raise DamagedFile(path, "should be a dictionary of tensors by parameter", _TRAINED_AGAIN)
    return {str(name): tensor for name, tensor in content.items()}


def find_part(name: str, gradients: Mapping[str, Tensor]) -> str:
    """Return the full name of a layer or a parameter: `h.0` -> `transformer.h.0`.

    Raises:
        ConfigError: There is none, or there are several; names similar ones.
    """
    every = [*layers_of(gradients), *gradients]
    if name in every:
        return name
    ends = [one for one in dict.fromkeys(every) if one.endswith(f".{name}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        hint = f"could be {', '.join(ends[:4])}"
    else:
        meant = nearest(name, every)
        hint = (
            f"did you mean {meant}?" if meant else f"there are: {', '.join(layers_of(gradients))}"
        )
    raise ConfigError(Problem("command line", "--layer", name, f"not a layer; {hint}"))


def _measure(one: Checkpoint, gradients: Mapping[str, Tensor]) -> CheckpointGradients:
    file = one.folder / SAMPLES
    samples = read_gradients(file) if file.is_file() else None
    if samples is not None and samples.keys() != gradients.keys():
        raise DamagedFile(file, f"has other parameters than {GRADIENTS}", _TRAINED_AGAIN)
    groups = layers_of(gradients)
    of_samples = samples or {}
    parameters = {
        name: measure(name, gradients[name], of_samples.get(name))
        for members in groups.values()
        for name in members
    }
    layers = [join(name, [parameters[one] for one in of]) for name, of in groups.items()]
    return CheckpointGradients(
        checkpoint=one,
        whole=join("all", layers),
        layers=layers,
        parameters=list(parameters.values()),
        faults={},
        between_layers=between_layers(gradients),
    )


def _with_faults(one: CheckpointGradients, usual: Mapping[str, float]) -> CheckpointGradients:
    found = {**faults(one.layers, usual.get), **faults(one.parameters, usual.get)}
    return replace(one, faults=found)


def _between(gradients: Mapping[str, Mapping[str, Tensor]], layer: str | None) -> Cosines:
    """Return the cosines between checkpoints, over the parameters that all of them have."""
    shared = set.intersection(*({*one} for one in gradients.values()))
    if layer is not None:
        members = layers_of(next(iter(gradients.values()))).get(layer, [layer])
        shared &= set(members)
    names = sorted(shared)
    return cosines({step: [one[name] for name in names] for step, one in gradients.items()})


def to_json(analysis: GradientAnalysis) -> dict[str, Any]:
    """Return an analysis as JSON; numbers that are not finite are null."""
    return {
        "of": analysis.given,
        "layer": analysis.layer,
        "checkpoints": [
            {
                "step": one.checkpoint.step,
                "folder": one.checkpoint.folder.name,
                **_numbers(one.whole, None),
                "layers": {part.name: _numbers(part, one) for part in one.layers},
                "parameters": {part.name: _numbers(part, one) for part in one.parameters},
                "between_layers": one.between_layers and vars(one.between_layers),
            }
            for one in analysis.checkpoints
        ],
        "between_checkpoints": vars(analysis.between_checkpoints),
    }


def _numbers(part: Part, of: CheckpointGradients | None) -> dict[str, Any]:
    noise = part.noise
    numbers: dict[str, Any] = {
        "elements": part.elements,
        "norm": _finite(part.norm),
        "rms": _finite(part.rms),
        "variance": None if noise is None else _finite(noise.variance),
        "noise": None if noise is None else _finite(noise.share),
    }
    return numbers if of is None else {**numbers, "fault": of.faults.get(part.name)}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
