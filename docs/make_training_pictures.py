"""Draw a stop decision, gradients and curvature: docs/stopping.svg, gradients.svg, curvature.svg.

    python docs/make_training_pictures.py     two minutes on one core; seconds if called again

Two trainings on Python's documentation, whose numbers depend on its version:

    metrics.jsonl  ->  monitors, with and without smoothing         ->  where each stops
    checkpoints    ->  analyses of their gradients and hidden states ->  a chart of each
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from themed_svg import (
    BLUE,
    DOCS,
    GRAY,
    HUES,
    MINOR,
    ORANGE,
    SHADES,
    WIDTH,
    parse_arguments,
    write_svg,
)

from resweep import yaml12
from resweep.analysis.charts import curvature_chart, evolution_chart
from resweep.analysis.checkpoints import find_checkpoints
from resweep.analysis.gradient_analysis import GradientAnalysis, analyze_gradients
from resweep.analysis.trajectories import CurvatureAnalysis, analyze_curvature
from resweep.canonical import canonical_json
from resweep.config.early_stopping_section import EarlyStopping
from resweep.errors import StoreError, run_command
from resweep.paths import BY_HAND, Layout, RunFolder
from resweep.report.charts.spec import Spec, chart, field, layer, rounded
from resweep.systems.registry import find_system
from resweep.training.device import pick_device
from resweep.training.monitors import SmoothedMean, Stop, StopRules, first_stop
from resweep.trials.record import read_record

ROOT = DOCS.parent
LOSS = "train/loss"
PATIENCE = 4  # as in config/early_stopping/loss-monitor.yaml, as is the tolerance
SMOOTHING = EarlyStopping().loss_smoothing
SHOWN = (1.3, 3.1)  # of the loss; the first values lie above
SERIES = ["as logged", f"smoothed by {SMOOTHING:g}"]


@dataclass(frozen=True)
class Training:
    """What is trained.

    Attributes:
        name: Of the trial.
        settings: Those that differ from config/training/quick.yaml.
        keep: Whether its weights are needed: all or none.
    """

    name: str
    settings: Mapping[str, Any]
    keep: str


LONG = Training("long", {"seed": 0, "max_steps": 1500}, "none")
SAVED = Training(
    "saved",
    {
        **{"seed": 1, "max_steps": 800, "save_steps": 100},
        **{"save_gradients": True, "gradient_samples": 4},
    },
    "all",
)


def train(training: Training, layout: Layout) -> str:
    """Train, or have the store answer; returns the id of the run."""
    sections = {
        "model": _module("model/gpt-tiny"),
        "data": _module("data/python-docs"),
        "training": {**_module("training/quick"), **training.settings},
    }
    schema = find_system("language").schema
    trial = {
        **{"study": BY_HAND, "phase": "pictures", "trial": training.name, "assignments": {}},
        "config": schema.dump(schema.validate(sections)),
    }
    record = layout.record(BY_HAND, "pictures", training.name)
    command = [
        *(sys.executable, str(ROOT / "workflow/scripts/train.py")),
        *("--content", canonical_json(trial), "--record", str(record)),
        *("--trial", str(layout.trial(BY_HAND, "pictures", training.name))),
        *("--results", str(layout.root), "--device", "cpu", "--keep", training.keep),
    ]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    run_id = read_record(record).run_id
    if run_id is None:
        raise StoreError(f"{record}: has no run")
    return run_id


def _module(name: str) -> dict[str, Any]:
    return yaml12.load_mapping(ROOT / f"config/{name}.yaml")


def stop_of(lines: Sequence[Mapping[str, Any]], smoothing: float) -> Stop | None:
    """Return where the monitor of the loss stops a training, from its first line on."""
    settings = EarlyStopping(
        loss_patience=PATIENCE, loss_smoothing=smoothing, loss_min_steps_before_check=0
    )
    rules = StopRules(settings=settings, training_loss=LOSS, metric="val/loss", goal="minimize")
    return first_stop(lines, rules)


def stopping_chart(lines: Sequence[Mapping[str, Any]]) -> Spec:
    """Draw the loss, the smoothed loss, and where the monitor stops by each."""
    known = [(line["step"], line[LOSS]) for line in lines if LOSS in line]
    mean = SmoothedMean(SMOOTHING)
    values = [known, [(step, mean.take(value)) for step, value in known]]
    points = [
        {"step": step, "loss": rounded(value), "series": name}
        for name, of in zip(SERIES, values, strict=True)
        for step, value in of
    ]
    stops = [
        {"step": stop.step, "loss": rounded(dict(of)[stop.step]), "series": name,
         "text": f"{stop.rule} at {stop.step}"}
        for name, smoothing, of in zip(SERIES, (0.0, SMOOTHING), values, strict=True)
        if (stop := stop_of(lines, smoothing)) is not None
    ]  # fmt: skip
    x = field("step:Q", title="step", scale={"nice": False}, axis={"tickCount": 6})
    y = field("loss:Q", title=LOSS, scale={"domain": list(SHOWN), "nice": False})
    scale = {"domain": SERIES, "range": [GRAY, BLUE]}
    color = field("series:N", title=None, scale=scale, legend={"orient": "top"})
    place = {"x": x, "y": y}
    dot = {"type": "point", "filled": True, "shape": "diamond", "size": 130, "opacity": 1}
    words = {"type": "text", "align": "left", "dx": 6, "dy": -16}
    layers = [
        layer("points", {"type": "line", "clip": True, "strokeWidth": 1.5},
              place | {"color": color}),
        layer("stops", {"type": "rule", "strokeDash": [4, 4], "color": MINOR}, {"x": x}),
        layer("stops", dot | {"color": ORANGE}, place),
        layer("stops", words, place | {"text": field("text:N")}),
    ]  # fmt: skip
    return chart(layers, {"points": points, "stops": stops}) | {"width": WIDTH}


def gradients_chart(analysis: GradientAnalysis) -> Spec:
    """Draw the norm of each layer over the checkpoints, in colors for light and dark."""
    spec = evolution_chart(analysis)
    if spec is None:
        raise StoreError(f"{analysis.given}: has a single checkpoint")
    for row in spec["datasets"]["norms"]:
        row["name"] = row["name"].removeprefix("transformer.")
    return _recolored(spec, HUES) | {"width": WIDTH - 60}


def curvature_picture(analysis: CurvatureAnalysis) -> Spec:
    """Draw the curvature over the layers, in colors for light and dark."""
    return _recolored(curvature_chart(analysis), [ORANGE, *SHADES]) | {"width": WIDTH - 80}


def _recolored(spec: Spec, colors: Sequence[str]) -> Spec:
    """Return a chart without title, whose colored things have these colors in their order."""
    layers = [
        one | {"encoding": one["encoding"] | {"color": {**color, "scale": {"range": [*colors]}}}}
        for one in spec["layer"]
        for color in [one["encoding"]["color"]]
    ]
    return {key: value for key, value in spec.items() if key != "title"} | {"layer": layers}


def main() -> None:
    """Train what the store does not have, and draw."""
    arguments = parse_arguments(__doc__)
    layout = Layout(arguments.results)
    long = RunFolder(layout.run(train(LONG, layout)))
    lines = [json.loads(line) for line in long.metrics.read_text().splitlines()]
    saved = find_checkpoints(train(SAVED, layout), layout)
    pick_device("cpu")
    write_svg(
        stopping_chart(lines),
        arguments.output / "stopping.svg",
        "A training loss and the smoothed one, and where a monitor of each stops the training",
    )
    write_svg(
        gradients_chart(analyze_gradients(saved)),
        arguments.output / "gradients.svg",
        "Norm of the gradient of each layer over the checkpoints of a training",
    )
    write_svg(
        curvature_picture(analyze_curvature(saved, layout)),
        arguments.output / "curvature.svg",
        "Curvature of hidden states over the layers, before training and at eight checkpoints",
    )


if __name__ == "__main__":
    run_command(main)
