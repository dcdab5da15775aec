"""Pictures for the report."""

from collections.abc import Iterable

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from resweep.systems.predictive_coding.checkpoint_files import RECONSTRUCTIONS
from resweep.systems.values import Image, Pictures, TrainedRun

DIGITS = 3  # of a brightness, which a screen shows in 256 steps


def reconstructions(runs: Iterable[TrainedRun]) -> list[Pictures]:
    """Return validation images above their reconstructions by the best trial that has weights."""
    for run in runs:
        if run.checkpoint is None:
            continue
        try:
            shown = load_file(run.checkpoint / RECONSTRUCTIONS)
        except (OSError, SafetensorError):  # the audit reports damage
            continue
        images, found = shown["images"], shown["reconstructions"]
        errors = np.square(found - images).mean((1, 2, 3))
        return [
            Pictures(
                title="Reconstructions",
                caption=f"Validation images, and what trial {run.trial} predicts from the top "
                f"alone after inference, with mean squared errors of {errors.min():.4f} to "
                f"{errors.max():.4f}, {errors.mean():.4f} on average.",
                rows={
                    "image": [Image(pixels=_pixels(image)) for image in images],
                    "reconstruction": [
                        Image(pixels=_pixels(image), label=f"{error:.4f}")
                        for image, error in zip(found, errors, strict=True)
                    ],
                },
            )
        ]
    return []


def _pixels(image: np.ndarray) -> list[list[float | tuple[float, float, float]]]:
    """(height, width, channels) -> rows of brightness, or of (red, green, blue)."""
    rounded = image.astype(np.float64).round(DIGITS)
    if image.shape[2] == 1:
        gray: list[list[float | tuple[float, float, float]]] = rounded[:, :, 0].tolist()
        return gray
    return [[(p[0], p[1], p[2]) for p in row] for row in rounded.tolist()]
