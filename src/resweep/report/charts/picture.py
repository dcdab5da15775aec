"""Charts as PNG files."""

from typing import Any

from resweep.report.charts.spec import Spec

SCALE = 2.0  # pixels per point of the chart, so that text stays sharp
_LOOK: dict[str, Any] = {
    "background": "white",
    "font": "DejaVu Sans, sans-serif",
    "view": {"stroke": None},
    "axis": {"titleFontWeight": "normal"},
    "legend": {"titleFontWeight": "normal"},
    "title": {"anchor": "start", "fontSize": 13},
}


def picture(spec: Spec) -> bytes:
    """Return a chart, or several joined ones, as the content of a PNG file."""
    import vl_convert  # 90 MB

    drawn: bytes = vl_convert.vegalite_to_png(spec, scale=SCALE, config=_LOOK, allowed_base_urls=[])
    return drawn
