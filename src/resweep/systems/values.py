"""The values that pass between a system and the rest: costs, weights, what reports show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a training takes at most, without building the model.

    Attributes:
        step_flops: Floating-point operations of an optimizer step as its learner counts them, over
            all processes.
        checkpoint_bytes: Files of a checkpoint, without gradients and metrics.
        gradient_bytes: File of one set of gradients.
        line_bytes: Of a line of metrics.jsonl.
    """

    step_flops: float
    checkpoint_bytes: int
    gradient_bytes: int = 0
    line_bytes: int = 1024


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of a training, estimated without building the model.

    Attributes:
        step_flops: Floating-point operations of an optimizer step, over all processes; sizes packs
            and requests to a scheduler.
        step_units: Number of the system's units per step.
        process_bytes: Main memory per process besides Python and torch: weights, gradients,
            moments, activations of one micro-batch.
        snapshot_bytes: Additional memory of rank 0 while it saves.
        bounds: What is never exceeded; None while the settings do not determine it.
    """

    step_flops: float
    step_units: int
    process_bytes: float
    snapshot_bytes: float
    bounds: Bounds | None = None


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A value to compare results with: a simple baseline, or chance.

    Attributes:
        metric: Name of its metric.
        name: For example `bigram baseline`.
        value: The value.
        meaning: What it is and which side of it is good, in one sentence.
    """

    metric: str
    name: str
    value: float
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights that a run starts from.

    Attributes:
        folder: Where they are, or were.
        digest: SHA-256 of the weights.
        config: Content of their config.json; empty without one.
    """

    folder: Path
    digest: str
    config: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """A trained trial, for reports.

    Attributes:
        trial: Its name.
        asked: The trial's configuration.
        config: The run's configuration, resolved.
        folder: The run's folder.
        step: The trial's last step.
        metrics: Final values by name.
        checkpoint: Folder of the weights of that step; None if they were not kept.
    """

    trial: str
    asked: Mapping[str, Any]
    config: Mapping[str, Any]
    folder: Path
    step: int
    metrics: Mapping[str, float]
    checkpoint: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure for the report, as data.

    Attributes:
        title: The heading.
        caption: One or two sentences: what is shown, and what to look for.
        kind: How to draw points: connected by lines, or as bars.
        x, y: Axis titles.
        series: Name -> points (x, y); x is a number, or text for bars.
    """

    title: str
    caption: str
    kind: Literal["lines", "bars"]
    x: str
    y: str
    series: Mapping[str, Sequence[tuple[float | str, float]]]


@dataclass(frozen=True, kw_only=True)
class Image:
    """A small picture.

    Attributes:
        pixels: Brightness of each pixel from 0 (black) to 1 (white), row by row, or its (red,
            green, blue). Values beyond are drawn as the nearest of these.
        label: What is written below.
    """

    pixels: Sequence[Sequence[float | tuple[float, float, float]]]
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board of cells with a few letters each, as a puzzle.

    Attributes:
        cells: Their texts, row by row; an empty text is an empty cell.
        looks: How each cell is drawn, by row and column: `given` as a part of the question, `right`
            and `wrong` as parts of an answer, `open` as undecided. Other cells are plain.
        box: Rows and columns of the boxes that thicker lines enclose, or None.
        label: What is written below.
    """

    cells: Sequence[Sequence[str]]
    looks: Mapping[tuple[int, int], Literal["given", "right", "wrong", "open"]]
    box: tuple[int, int] | None = None
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Rows of pictures for the report: images beside what a model makes of them, for example.

    Attributes:
        title: The heading.
        caption: One or two sentences: what is shown, and what to look for.
        rows: Heading of a row -> its pictures, from left to right.
    """

    title: str
    caption: str
    rows: Mapping[str, Sequence[Image | Board]]
