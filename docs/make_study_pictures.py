"""Draw which configurations tie and where a resample looks: docs/ties.svg and docs/regions.svg.

    snakemake --config study=docs/pictures.yaml
    python docs/make_study_pictures.py

results/pictures/  ->  rankings and regions, as the report has them  ->  two charts
"""

import sys
from typing import Any

from themed_svg import BLUE, GRAY, MINOR, ORANGE, PAGE, TEXT, WIDTH, parse_arguments, write_svg

from resweep.errors import StoreError
from resweep.paths import Layout
from resweep.ranking.score_row import configurations, scored
from resweep.ranking.ties import Tie
from resweep.report.charts.regions import read_regions
from resweep.report.charts.spec import Spec, chart, field, layer, rounded
from resweep.report.results import PhaseResults, read_study, shown

STUDY = "pictures"
RATE, WARMUP = "training.learning_rate", "training.pct_warmup"
ROW = 30  # points for each configuration
TIES = {None: "rank 1", Tie.YES: "tied with rank 1", Tie.NO: "not tied"}
KINDS = ["tried in the sweep", "best two", "tried in the regions"]


def ties_chart(rerun: PhaseResults) -> Spec:
    """Draw the seeds of each configuration, their mean and its standard error, by rank."""
    seeds: list[dict[str, Any]] = []
    means: list[dict[str, Any]] = []
    for rows in configurations(scored(rerun.scores)):
        first = rows[0]
        if first.final_mean is None or first.standard_error is None:
            raise StoreError(f"{rerun.name}: rank {first.rank} needs a result of several seeds")
        rate, warmup = (shown(first.hyperparameters[path], 2) for path in (RATE, WARMUP))
        tie = None if first.tie is None else Tie(first.tie)
        about = {"row": f"{first.rank}: {rate}, {warmup}", "tie": TIES[tie]}
        seeds += [about | {"x": rounded(row.final)} for row in rows]
        low, high = (first.final_mean + sign * first.standard_error for sign in (-1, 1))
        ends = {"low": rounded(low), "high": rounded(high)}
        means.append(about | {"x": rounded(first.final_mean)} | ends)
    y = field("row:N", title=["rank: learning_rate,", "pct_warmup"], sort=None)
    above = {"titleAngle": 0, "titleAlign": "right", "titleAnchor": "start", "titleX": -2}
    y["axis"] = {**above, "titleY": -28, "ticks": False, "domain": False, "labelPadding": 2}
    title = f"final {rerun.metric}"
    colors = {"domain": [*TIES.values()], "range": [TEXT, BLUE, ORANGE]}
    legend = {"orient": "bottom", "symbolOpacity": 1}
    color = field("tie:N", title=None, scale=colors, legend=legend)

    def x(of: str) -> Spec:
        return field(f"{of}:Q", title=title, scale={"zero": False}, axis={"tickCount": 5})

    place = {"y": y, "color": color}
    bar = place | {"x": x("low"), "x2": {"field": "high"}}
    tick = {"type": "tick", "size": 16, "thickness": 2.5, "opacity": 1}
    dot = {"type": "point", "filled": False, "size": 34, "strokeWidth": 1.3, "opacity": 1}
    layers = [
        layer("means", {"type": "rule", "strokeWidth": 2.5}, bar),
        layer("means", tick, place | {"x": x("x")}),
        layer("seeds", dot, place | {"x": x("x")}),
    ]
    spec = chart(layers, {"means": means, "seeds": seeds}, height=ROW * len(means))
    return spec | {"width": WIDTH - 80}


def regions_chart(sweep: PhaseResults, focus: PhaseResults, layout: Layout) -> Spec:
    """Draw the trials of a sweep and of a resample, and the regions around the best."""
    found = read_regions(focus, STUDY, layout)
    if found is None:
        raise StoreError(f"{focus.name}: has no regions yet")
    regions, seen = found
    best = [(region.centre[RATE], region.centre[WARMUP]) for region in regions]
    rows = [
        {"x": x, "y": y, "kind": KINDS[(x, y) in best]}
        for one in seen
        for x, y in [(one.point[RATE], one.point[WARMUP])]
    ]
    rows += [
        {"x": row.hyperparameters[RATE], "y": row.hyperparameters[WARMUP], "kind": KINDS[2]}
        for row in focus.scores
    ]
    boxes = []
    for number, region in enumerate(regions, 1):
        ends = {part.name: part.extremes for part in region.parameters}
        (low, high), (bottom, top) = ends[RATE], ends[WARMUP]
        boxes.append({"x": low, "x2": high, "y": bottom, "y2": top, "name": f"region {number}"})
    ends = {one.name: one.extremes for one in sweep.space}
    searched = [{"x": ends[RATE][0], "x2": ends[RATE][1], "y": ends[WARMUP][0],
                 "y2": ends[WARMUP][1]}]  # fmt: skip
    rate = {"type": "log", "nice": False, "padding": 12}
    values = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05]
    x = field("x:Q", title="learning_rate", scale=rate, axis={"values": values, "format": "~g"})
    y = field("y:Q", title="pct_warmup", scale={"zero": True}, axis={"tickCount": 5})
    place = {"x": x, "y": y}
    box = place | {"x2": {"field": "x2"}, "y2": {"field": "y2"}}
    colors = {"domain": KINDS, "range": [GRAY, TEXT, ORANGE]}
    color = field("kind:N", title=None, scale=colors, legend={"orient": "bottom"})
    dot = {"type": "circle", "size": 70, "opacity": 1, "stroke": PAGE, "strokeWidth": 1}
    words = {"type": "text", "align": "left", "baseline": "top", "dx": 5, "dy": 5, "fill": BLUE}
    layers = [
        layer("searched", {"type": "rect", "fill": None, "stroke": MINOR, "strokeDash": [5, 4]},
              box),
        layer("boxes", {"type": "rect", "fill": BLUE, "fillOpacity": 0.1, "stroke": BLUE,
                        "strokeWidth": 1.5}, box),
        layer("boxes", words, {"x": x, "y": field("y2:Q"), "text": field("name:N")}),
        layer("rows", dot, place | {"color": color}),
    ]  # fmt: skip
    spec = chart(layers, {"searched": searched, "boxes": boxes, "rows": rows}, height=300)
    return spec | {"width": WIDTH}


def main() -> None:
    """Draw both."""
    arguments = parse_arguments(__doc__)
    layout = Layout(arguments.results)
    try:
        sweep, focus, rerun = read_study(STUDY, layout).phases
    except StoreError as error:
        sys.exit(f"error: {error}")
    write_svg(
        ties_chart(rerun),
        arguments.output / "ties.svg",
        "Final losses of eight configurations with three seeds each, by rank",
    )
    write_svg(
        regions_chart(sweep, focus, layout),
        arguments.output / "regions.svg",
        "Trials of a sweep over learning rate and warmup, and two regions around its best",
    )


if __name__ == "__main__":
    main()
