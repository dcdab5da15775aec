"""Figures of analyses: what is drawn, and in which colours."""

from pathlib import Path
from typing import Any

from resweep.analysis.charts import (
    cosines_chart,
    curvature_chart,
    evolution_chart,
    norms_chart,
    stacked,
)
from resweep.analysis.checkpoints import Checkpoint
from resweep.analysis.curvature import LayerCurvature
from resweep.analysis.gradient_analysis import CheckpointGradients, GradientAnalysis
from resweep.analysis.gradients import Cosines, Part
from resweep.analysis.trajectories import CurvatureAnalysis, Trajectories


def checkpoint(step: int, *norms: float) -> CheckpointGradients:
    layers = [Part(name=f"h.{i}", elements=1, squares=norm**2) for i, norm in enumerate(norms)]
    return CheckpointGradients(
        checkpoint=Checkpoint(Path(f"checkpoint_{step}"), step),
        whole=layers[0],
        layers=layers,
        parameters=layers,
        faults={"h.1": "exploding: not finite"},
        between_layers=None,
    )


def analysis(*checkpoints: CheckpointGradients, layer: str | None = None) -> GradientAnalysis:
    names = [one.checkpoint.short for one in checkpoints]
    between = Cosines(names, [[1.0 if a == b else None for a in names] for b in names])
    return GradientAnalysis(
        given="run", layer=layer, checkpoints=list(checkpoints), between_checkpoints=between
    )


def rows(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The data of a chart's first layer."""
    first = spec["layer"][0]["data"]
    return list(first["values"] if "values" in first else spec["datasets"][first["name"]])


def test_bars_of_faults_have_their_own_colour() -> None:
    layers, parameters = norms_chart(checkpoint(5, 2.0, float("nan")))["vconcat"]
    assert rows(layers) == rows(parameters)
    assert rows(layers) == [
        {"name": "h.0", "norm": 2.0, "fault": "neither"},
        {"name": "h.1", "norm": None, "fault": "exploding"},
    ]


def test_lines_over_checkpoints_are_of_all_layers_or_of_one() -> None:
    course = checkpoint(5, 1.0, 2.0), checkpoint(10, 3.0, 4.0)
    every, one = evolution_chart(analysis(*course)), evolution_chart(analysis(*course, layer="h.1"))
    assert every is not None and one is not None
    assert [row["norm"] for row in rows(every)] == [1.0, 3.0, 2.0, 4.0]
    assert rows(one) == [
        {"name": "h.1", "step": 5, "norm": 2.0},
        {"name": "h.1", "step": 10, "norm": 4.0},
    ]
    assert evolution_chart(analysis(course[0])) is None


def test_cosines_need_two_of_something() -> None:
    assert cosines_chart(analysis(checkpoint(5, 1.0, 2.0))) is None
    drawn = cosines_chart(analysis(checkpoint(5, 1.0, 2.0), checkpoint(10, 1.0, 2.0)))
    assert drawn is not None
    (table,) = drawn["vconcat"]
    assert [row["text"] for row in rows(table)] == ["1.00", "", "", "1.00"]
    assert len(stacked(drawn, None, drawn)["vconcat"]) == 2


def test_untrained_weights_are_dashed() -> None:
    layers = [
        LayerCurvature(mean=90.0, error=1.0, change=0.0, change_error=0.0),
        LayerCurvature(mean=None, error=None, change=None, change_error=None),
    ]
    models = [Trajectories("untrained", 0, layers), Trajectories("step 5", 5, layers)]
    drawn = curvature_chart(CurvatureAnalysis(given="r", sentences=2, tokens=9, models=models))
    assert [(row["model"], row["trained"], row["low"], row["high"]) for row in rows(drawn)] == [
        ("untrained", False, 89.0, 91.0),
        ("step 5", True, 89.0, 91.0),
    ]
