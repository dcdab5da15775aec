"""Charts of analyses, as Vega-Lite specifications with sizes of their own, for pictures."""

from collections.abc import Mapping, Sequence

from resweep.analysis.gradient_analysis import CheckpointGradients, GradientAnalysis
from resweep.analysis.gradients import Cosines, Part
from resweep.analysis.trajectories import CurvatureAnalysis
from resweep.plurals import counted
from resweep.report.charts.spec import SCHEMA, Spec, chart, field, layer, rounded

WIDTH = 480
BAR = 16  # points for each bar
CELL = 46  # of a table of cosines, until there are many
MOST_CELLS_WIDTH = 420
RAMP = {"scheme": "viridis"}  # of layers and steps, which have an order
SOUND = "neither"
COLOURS = {SOUND: "#2a78d6", "vanishing": "#9a9a94", "exploding": "#b3261e"}


def norms_chart(one: CheckpointGradients) -> Spec:
    """Draw the norm of each layer and of each parameter as bars; faults have their own colour."""
    return stacked(
        _bars(f"Gradient norm by layer, {one.checkpoint.name}", one.layers, one.faults),
        _bars(f"Gradient norm by parameter, {one.checkpoint.name}", one.parameters, one.faults),
    )


def _bars(title: str, parts: Sequence[Part], faults: Mapping[str, str]) -> Spec:
    rows = [
        {
            "name": part.name,
            "norm": rounded(part.norm),
            "fault": faults.get(part.name, SOUND).partition(":")[0],
        }
        for part in parts
    ]
    shown = {row["fault"] for row in rows} - {SOUND}
    scale = {"domain": list(COLOURS), "range": list(COLOURS.values())}
    encoding = {
        "x": field("name:N", title=None, sort=None, axis={"labelLimit": 400, "labelAngle": -90}),
        "y": field("norm:Q", title="gradient norm"),
        "color": field("fault:N", title="fault", scale=scale, legend={} if shown else None),
    }
    bars = chart([layer("parts", {"type": "bar"}, encoding)], {"parts": rows})
    return bars | {"title": title, "width": {"step": BAR}}


def evolution_chart(analysis: GradientAnalysis) -> Spec | None:
    """Draw the norm over the checkpoints: of the layer that was asked for, or of each layer.

    Returns:
        None for a single checkpoint.
    """
    if len(analysis.checkpoints) < 2:
        return None
    named = analysis.layer
    names = [part.name for part in analysis.last.layers] if named is None else [named]
    rows = [
        {"name": name, "step": one.checkpoint.step, "norm": rounded(part.norm)}
        for name in names
        for one in analysis.checkpoints
        if (part := one.part(name)) is not None and one.checkpoint.step is not None
    ]
    title = "Gradient norm over checkpoints" + (f", {named}" if named else "")
    logarithmic = named is None and all(row["norm"] for row in rows)
    encoding = {
        "x": field("step:Q", title="step", scale={"zero": False}),
        "y": field("norm:Q", title="gradient norm", scale=_scale(logarithmic)),
    }
    if named is None:
        encoding["color"] = field("name:O", title="layer", sort=None, scale=RAMP)
    mark = {"type": "line", "point": True}
    return chart([layer("norms", mark, encoding)], {"norms": rows}) | {
        "title": title,
        "width": WIDTH,
    }


def _scale(logarithmic: bool) -> Spec:
    return {"type": "log"} if logarithmic else {"zero": True}


def cosines_chart(analysis: GradientAnalysis) -> Spec | None:
    """Draw the cosines between layers and between checkpoints as coloured tables."""
    of = analysis.layer or "all parameters"
    last = analysis.last
    tables = [
        _cells(f"Cosine between layers, {last.checkpoint.name}", last.between_layers),
        _cells(f"Cosine between checkpoints, {of}", analysis.between_checkpoints),
    ]
    known = [table for table in tables if table is not None]
    return stacked(*known) if known else None


def _cells(title: str, cosines: Cosines | None) -> Spec | None:
    if cosines is None or len(cosines.names) < 2:
        return None
    rows = [
        {"a": first, "b": second, "c": rounded(value), "text": _two_digits(value)}
        for first, line in zip(cosines.names, cosines.values, strict=True)
        for second, value in zip(cosines.names, line, strict=True)
    ]
    place = {
        "x": field("a:N", title=None, sort=None, axis={"labelLimit": 400, "labelAngle": -90}),
        "y": field("b:N", title=None, sort=None, axis={"labelLimit": 400}),
    }
    scale = {"scheme": "redblue", "domain": [-1, 1]}
    colour = field("c:Q", title="cosine", scale=scale)
    layers = [layer("cells", {"type": "rect"}, place | {"color": colour})]
    step = min(CELL, MOST_CELLS_WIDTH / len(cosines.names))
    if step > CELL / 2:
        words = {"type": "text", "fontSize": 10}
        dark = {"condition": {"test": "abs(datum.c) > 0.6", "value": "white"}, "value": "black"}
        layers.append(layer("cells", words, place | {"text": field("text:N"), "color": dark}))
    table = chart(layers, {"cells": rows})
    return table | {"title": title, "width": {"step": step}, "height": {"step": step}}


def _two_digits(value: float | None) -> str:
    return "" if value is None else f"{value:z.2f}"


def curvature_chart(analysis: CurvatureAnalysis) -> Spec:
    """Draw the curvature over the layers: a line for each model, dashed without training."""
    rows = [
        {
            "model": one.name,
            "layer": place,
            "y": rounded(numbers.mean),
            "low": rounded(numbers.mean - (numbers.error or 0.0)),
            "high": rounded(numbers.mean + (numbers.error or 0.0)),
            "trained": one.step != 0,
        }
        for one in analysis.models
        for place, numbers in enumerate(one.layers)
        if numbers.mean is not None
    ]
    place = {
        "x": field("layer:Q", title="layer (0: embeddings)", axis={"tickMinStep": 1}),
        "color": field("model:O", title=None, sort=None, scale=RAMP),
    }
    dash = field(
        "trained:N", legend=None, scale={"domain": [True, False], "range": [[1, 0], [5, 4]]}
    )
    axis = {"title": "curvature (degrees)", "scale": {"zero": False}}
    lines = place | {"y": field("y:Q", **axis), "strokeDash": dash}
    errors = place | {"y": field("low:Q", **axis), "y2": {"field": "high"}}
    title = (
        f"Curvature over layers: mean over {counted(analysis.sentences, 'sentence')} and its error"
    )
    return chart(
        [
            layer("layers", {"type": "line", "point": True}, lines),
            layer("layers", {"type": "rule"}, errors),
        ],
        {"layers": rows},
    ) | {"title": title, "width": WIDTH}


def stacked(*charts: Spec | None) -> Spec:
    """Join charts into one, one below the other; those that are None are left out."""
    parts = [part for one in charts if one is not None for part in one.get("vconcat", [one])]
    independent = {"scale": {"color": "independent"}}
    return {"$schema": SCHEMA, "vconcat": list(map(_with_data, parts)), "resolve": independent}


def _with_data(part: Spec) -> Spec:
    """Return a chart with its data in its layers: names are for the whole of joined charts."""
    data = part.get("datasets", {})
    layers = [
        one | {"data": {"values": data[one["data"]["name"]]}} if "name" in one["data"] else one
        for one in part["layer"]
    ]
    rest = {key: value for key, value in part.items() if key not in ("$schema", "datasets")}
    return rest | {"layer": layers}
