"""Vega-Lite specifications as mappings: what all charts have in common.

    builder  ->  Drawn: title, specification, one sentence  ->  card on the page

https://vega.github.io/vega-lite/docs/ explains every key. What the scripts of the page need to know
about a chart is in its `usermeta`, which Vega-Lite leaves alone:

    phase   the phase whose trials it shows; its trials may be selected in it
    trials  the rows of the data set `trials` are those of the phase, see `trial_rows`
    marks   about how many marks it has: many are drawn on a canvas
    kind    `curves` or `parallel`: a script fills it and adds controls
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
HEIGHT = 260
TYPES = {"Q": "quantitative", "N": "nominal", "O": "ordinal"}
DOT = {"type": "circle", "size": 85, "opacity": 1, "style": "dot"}
CROSS = {
    "type": "point",
    "shape": "cross",
    "angle": 45,
    "size": 60,
    "filled": True,
    "style": "lost",
}
RING = {"type": "point", "size": 190, "strokeWidth": 2.5, "opacity": 1, "style": "ring"}
PICKED = "picked"  # the parameter with the selected trials: name -> 1
IS_PICKED = f"{PICKED}[datum.t] === 1"

Spec = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A chart of the report.

    Attributes:
        title: The heading.
        spec: How it is drawn.
        says: What it shows in this study, in a sentence or two.
        wide: Whether it takes the whole width of the page.
    """

    title: str
    spec: Spec
    says: str
    wide: bool = False


def field(name_and_type: str, **settings: Any) -> Spec:
    """Return a channel: `rank:Q` is the field rank, quantitative."""
    name, _, kind = name_and_type.partition(":")
    return {"field": name, "type": TYPES[kind], **settings}


def layer(data: str, mark: Mapping[str, Any], encoding: Mapping[str, Any], **more: Any) -> Spec:
    """Return a layer.

    Args:
        data: Name of its data set.
        mark: Type and look of its marks.
        encoding: Channel -> field or value.
        more: Other keys.
    """
    return {"data": {"name": data}, "mark": mark, "encoding": encoding, **more}


def kept(condition: str) -> Spec:
    """Return the key of a layer that draws only the rows that fit a condition."""
    return {"transform": [{"filter": condition}]}


def chart(
    layers: Sequence[Spec], data: Mapping[str, Sequence[Mapping[str, Any]]], **more: Any
) -> Spec:
    """Return a chart as wide as its place.

    Args:
        layers: The first is drawn first.
        data: The rows of each data set, by name.
        more: Other keys.
    """
    size = {"width": "container", "height": HEIGHT}
    return {"$schema": SCHEMA, **size, "layer": layers, **more, "datasets": data}


def selectable(spec: Spec, phase: str, rings: Sequence[tuple[str, Spec]], **about: Any) -> Spec:
    """Return a chart in which the trials of a phase can be selected.

    Args:
        spec: The chart; the rows of its marks have the trial's name in `t`.
        phase: The phase.
        rings: Data set and encoding of a ring around each selected mark.
        about: More for `usermeta`.
    """
    drawn = [
        layer(data, RING, {k: v for k, v in encoding.items() if k in ("x", "y")}, **kept(IS_PICKED))
        for data, encoding in rings
    ]
    return {
        **spec,
        "layer": [*spec["layer"], *drawn],
        "params": [*spec.get("params", ()), {"name": PICKED, "value": {}}],
        "usermeta": {"phase": phase, **about},
    }


def rounded(value: float | None) -> float | None:
    """Round a value to six digits; None if it is not a finite number."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
