"""How the best value came about: over the trials, and over the steps that they took."""

from resweep.config.metric import sign_of
from resweep.report.charts.spec import DOT, Drawn, chart, field, kept, layer, rounded, selectable
from resweep.report.charts.trial_rows import HAS_FINAL, TrialRows, group_colour, number_scale

FEWEST = 3  # trials with a final value


def progress_charts(rows: TrialRows) -> list[Drawn]:
    """Draw the best value so far against trials and against steps; nothing for too few trials.

    Trials come in the order in which they ended.
    """
    phase = rows.phase
    by_end = sorted((row for row in rows.rows if row["n"] is not None), key=lambda row: row["n"])
    done = [row for row in by_end if row["final"] is not None]
    if len(done) < FEWEST:
        return []
    sign = sign_of(phase.goal)
    so_far, last = [], None
    for row in done:
        if last is None or sign * row["final"] < sign * last["final"]:
            last = row
            so_far.append({"n": row["n"], "spent": row["spent"], "final": row["final"]})
    assert last is not None
    end = {"n": by_end[-1]["n"], "spent": by_end[-1]["spent"], "final": rounded(last["final"])}
    after = end["n"] - last["n"]
    then = (
        f"the {'trial' if after == 1 else f'{after:,} trials'} after it brought nothing better"
        if after
        else "more trials may bring better ones"
    )
    said = {
        "n": f"The best value, {last['final']:.4g}, came with trial {last['n']:,} of "
        f"{end['n']:,}, {last['t']}; {then}.",
        "spent": f"The best value took {last['spent']:,} of the {end['spent']:,} steps of all "
        f"trials ({last['spent'] / max(end['spent'], 1):.0%}).",
    }
    found = []
    for name, title, against in (
        ("n", "trials, in the order in which they ended", "trials"),
        ("spent", "steps of all trials together", "steps trained"),
    ):
        axis = {"format": "~s" if name == "spent" else "d", "tickCount": 6}
        scale = number_scale([by_end[0][name], by_end[-1][name]], 10)
        x = field(f"{name}:Q", title=title, axis=axis, scale=scale)
        y = rows.value_axis()
        dots = {"x": x, "y": y, "color": group_colour(), "tooltip": rows.tooltip()}
        step = {"type": "line", "interpolate": "step-after", "strokeWidth": 2, "style": "mean"}
        layers = [
            layer("trials", DOT | {"size": 50}, dots, **kept(HAS_FINAL)),
            layer("best", step, {"x": x, "y": y}),
        ]
        spec = chart(layers, {"best": [*so_far, end]})
        marks = len(done)
        spec = selectable(spec, phase.name, [("trials", dots)], trials=True, marks=marks)
        found.append(
            Drawn(
                title=f"Best value so far, by {against}",
                spec=spec,
                says=said[name] + rows.beyond_line(),
            )
        )
    return found
