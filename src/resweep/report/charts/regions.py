"""Where a resample looked: the regions around the best of its sources, with their edges.

rounds/r01.json: what was observed  ->  find_regions  ->  a region for each hyperparameter
"""

from collections.abc import Mapping
from typing import Any

from resweep.errors import DamagedFile
from resweep.json_files import read_json
from resweep.paths import Layout
from resweep.plurals import counted, setting_span_text
from resweep.ranking.score_row import column_of
from resweep.report.charts.spec import DOT, Drawn, Spec, chart, field, layer, rounded, selectable
from resweep.report.charts.trial_rows import TrialRows, number_scale
from resweep.report.results import PhaseResults, shown
from resweep.search.focus import Focus, Region, find_regions
from resweep.search.suggest import Observation
from resweep.study.described import read_described
from resweep.sweep import Parameter
from resweep.trials.record import Status

KIND = "resample"
MOST_PATHS = 8


def regions_charts(rows: TrialRows, study: str, layout: Layout) -> list[Drawn]:
    """Draw the regions of the last round, a chart for each hyperparameter with a range.

    Nothing for other phases, or before its first round.

    Args:
        rows: The trials.
        study: Name of the study.
        layout: Where its files are.
    """
    found = read_regions(rows.phase, study, layout)
    if found is None:
        return []
    regions, seen = found
    swept = [parameter for parameter in rows.phase.space if parameter.swept]
    charts = (_chart(rows, parameter, regions, seen) for parameter in swept[:MOST_PATHS])
    return [one for one in charts if one is not None]


def read_regions(
    phase: PhaseResults, study: str, layout: Layout
) -> tuple[list[Region], list[Observation]] | None:
    """Return the regions of the last round of a resample, best first, and what it had observed.

    Args:
        phase: The resample.
        study: Name of the study.
        layout: Where its files are.

    Returns:
        None for other phases, or before the first round.
    """
    if phase.kind != KIND or phase.rounds is None:
        return None
    content = _last_round(layout, study, phase.name, phase.rounds)
    if content is None:
        return None
    described = read_described(layout.study(study).described)
    part = next(one for one in described["phases"] if one["name"] == phase.name)
    seen = [
        Observation(**{**one, "status": Status(one["status"])}) for one in content["observations"]
    ]
    swept = [parameter for parameter in phase.space if parameter.swept]
    return find_regions(swept, seen, _focus(part), phase.goal), seen


def _last_round(layout: Layout, study: str, phase: str, rounds: int) -> dict[str, Any] | None:
    for number in range(rounds, 0, -1):
        file = layout.phase(study, phase).round(number)
        try:
            content: dict[str, Any] = read_json(file, "delete it")
        except (FileNotFoundError, DamagedFile):
            continue
        return content
    return None


def _focus(part: Mapping[str, Any]) -> Focus:
    factors = {path: (low, high) for path, (low, high) in part.get("factors", {}).items()}
    return Focus(top=part["top"], adaptive=part["adaptive"], factors=factors)


def _chart(
    rows: TrialRows, parameter: Parameter, regions: list[Region], seen: list[Observation]
) -> Drawn | None:
    """Draw a row for each region: its edges, its centre, and what was tried."""
    name, phase = parameter.name, rows.phase
    parts = [next(part for part in region.parameters if part.name == name) for region in regions]
    numbers = [
        (region, part)
        for region, part in zip(regions, parts, strict=True)
        if all(isinstance(end, int | float) and not isinstance(end, bool) for end in part.extremes)
    ]
    tried = [one.point[name] for one in seen if name in one.point]
    if not numbers or not all(type(value) in (int, float) for value in tried):
        return None
    key = rows.keys.get(column_of(name))  # None where all trials have one value
    new = [row | {"v": row[key]} for row in rows.rows if key is not None and row[key] is not None]
    spans = [
        {
            "row": f"region {at}",
            "low": rounded(float(min(part.extremes))),
            "high": rounded(float(max(part.extremes))),
            "centre": rounded(float(region.centre[name])),
            "edge": "reaches beyond what was searched" if name in region.beyond else "inside",
        }
        for at, (region, part) in enumerate(numbers, 1)
    ]
    values = [
        *tried,
        *(row["v"] for row in new),
        *(span[end] for span in spans for end in ("low", "high")),
    ]
    log = min(values) > 0 and (max(values) / min(values) >= 10 or name.endswith("learning_rate"))
    scale = number_scale(values, 14, "log" if log else "linear")
    title = phase.label(column_of(name))
    axis = {"format": "~g", "tickCount": 5, "labelOverlap": True}
    order = [*(span["row"] for span in spans), "trials here", "tried before"]
    y = field("row:N", title=None, sort=order, scale={"domain": order})

    def x(of: str) -> Spec:
        return field(f"{of}:Q", title=title, scale=scale, axis=axis)

    about = [
        field("row:N", title="region"),
        field("low:Q", title="from", format=".4~g"),
        field("high:Q", title="to", format=".4~g"),
        field("centre:Q", title="best value", format=".4~g"),
        field("edge:N", title="edge"),
    ]
    here = {"x": x("v"), "y": y, "tooltip": rows.tooltip()}
    layers = [
        layer("spans", {"type": "bar", "size": 14, "opacity": 0.35}, {
            "x": x("low"), "x2": {"field": "high"}, "y": y, "tooltip": about
        }),
        *(
            layer("spans", {"type": "tick", "size": 22, "thickness": 2, "style": "chosen"}, {
                "x": x(end), "y": y
            })
            for end in ("low", "high")
        ),
        layer("spans", {"type": "point", "shape": "diamond", "filled": True, "size": 70,
                        "opacity": 1, "style": "chosen"}, {"x": x("centre"), "y": y}),
        layer("new", DOT | {"size": 45}, here),
        layer("before", DOT | {"size": 30, "style": "note"}, {"x": x("v"), "y": y}),
    ]  # fmt: skip
    data = {
        "spans": spans,
        "new": [row | {"row": "trials here"} for row in new],
        "before": [{"row": "tried before", "v": rounded(float(value))} for value in tried],
    }
    spec = chart(layers, data, height=70 + 26 * len(order))
    beyond = sum(span["edge"] != "inside" for span in spans)
    reach = "reaches" if beyond == 1 else "reach"
    edge = f" {beyond} of {counted(len(spans), 'region')} {reach} beyond what was searched."
    edge = edge if beyond else ""
    extremes = numbers[0][1].extremes
    return Drawn(
        title=f"Regions of {title}",
        spec=selectable(spec, phase.name, [("new", here)], marks=len(new) + len(tried)),
        says=(
            f"The region around the best {title}, {shown(spans[0]['centre'], 3)}, goes from "
            f"{setting_span_text(map(float, extremes))}.{edge}"
        ),
    )
