"""Draw what rungs do, docs/rungs.svg, from the curves of sixteen real trainings.

python docs/make_rungs_picture.py

The curves are the first rows of benchmarks/search/tiny-gpt.csv, each a full training. The rule of a
sweep decides which of them would have stopped, and where:

    curves  ->  values at each rung  ->  the trials that stop there  ->  each curve up to its end
"""

import csv
from pathlib import Path
from typing import Any

from themed_svg import BLUE, MINOR, ORANGE, WIDTH, write_svg

from resweep.report.charts.spec import Spec, chart, field, layer
from resweep.search.rungs import PROMOTE, STOP, RungEntry, decide, rungs
from resweep.sweep import EarlyTerminate
from resweep.trials.record import Status

ROOT = Path(__file__).resolve().parents[1]
CURVES = ROOT / "benchmarks/search/tiny-gpt.csv"
METRIC = "val/loss@"
TRIALS = 16
RULE = EarlyTerminate(type="hyperband", min_iter=5, eta=3)  # rungs at 1/4 and 3/4 of 20 values
SHOWN = (2.7, 4.6)  # of the loss; the first values lie above
ENDS = ["finished", "stopped at a rung"]


def read_curves(path: Path) -> tuple[list[int], dict[str, list[float]]]:
    """Read the steps of the metric, and the values of the first trials at these steps."""
    with path.open() as file:
        rows = list(csv.DictReader(file))[:TRIALS]
    columns = [name for name in rows[0] if name.startswith(METRIC)]
    steps = [int(name.removeprefix(METRIC)) for name in columns]
    return steps, {
        f"{number:02d}": [float(row[name]) for name in columns]
        for number, row in enumerate(rows, 1)
    }


def trained_values(steps: list[int], curves: dict[str, list[float]]) -> dict[str, int]:
    """Return for each trial how many values it logs under the rule."""
    trained = {trial: len(steps) for trial in curves}
    going = list(curves)
    for rung in rungs(RULE, RULE.bands(len(steps)), len(curves)):
        if rung.band is None:
            break
        entries = [
            RungEntry(
                trial=trial,
                run_id=None,
                step=steps[rung.band - 1],
                status=Status.STOPPED,
                rule=None,
                value=curves[trial][rung.band - 1],
            )
            for trial in going
        ]
        rows = decide(RULE, rung, entries, "minimize")
        going = [row["trial"] for row in rows if row["decision"] == PROMOTE]
        trained.update({row["trial"]: rung.band for row in rows if row["decision"] == STOP})
    return trained


def rungs_chart(steps: list[int], curves: dict[str, list[float]]) -> Spec:
    """Draw each curve up to its end, and a line at each rung."""
    points: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    for trial, count in trained_values(steps, curves).items():
        end = ENDS[0] if count == len(steps) else ENDS[1]
        values = zip(steps[:count], curves[trial], strict=False)
        points += [{"trial": trial, "step": s, "loss": v, "end": end} for s, v in values]
        ends.append(points[-1])
    bands = [{"step": steps[band - 1]} for band in RULE.bands(len(steps))]
    x = field("step:Q", title="step", scale={"domain": [0, steps[-1]], "nice": False})
    y = field("loss:Q", title="val/loss", scale={"domain": list(SHOWN), "nice": False})
    scale = {"domain": ENDS, "range": [BLUE, ORANGE]}
    color = field("end:N", title=None, scale=scale, legend={"orient": "top"})
    place = {"x": x, "y": y, "color": color}
    line = {"type": "line", "clip": True, "strokeWidth": 1.6}
    dot = {"type": "point", "clip": True, "filled": True, "size": 45, "opacity": 1}
    layers = [
        layer("bands", {"type": "rule", "strokeDash": [4, 4], "color": MINOR}, {"x": x}),
        layer("points", line, place | {"detail": field("trial:N")}),
        layer("ends", dot, place),
    ]
    data = {"bands": bands, "points": points, "ends": ends}
    return chart(layers, data) | {"width": WIDTH}


def main() -> None:
    """Draw it."""
    write_svg(
        rungs_chart(*read_curves(CURVES)),
        ROOT / "docs/rungs.svg",
        "Sixteen curves of val/loss; each ends at the rung that stopped it, or at the last step",
    )


if __name__ == "__main__":
    main()
