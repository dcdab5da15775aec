"""Vega-Lite specifications as mappings: what all charts have in common.

https://vega.github.io/vega-lite/docs/ explains every key.
"""

import math
from collections.abc import Mapping, Sequence
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

Spec = dict[str, Any]


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


def rounded(value: float | None) -> float | None:
    """Round a value to six digits; None if it is not a finite number."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")
