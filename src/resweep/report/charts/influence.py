"""Which hyperparameters mattered, as bars with their uncertainty."""

from resweep.report.charts.spec import Drawn, chart, field, layer, rounded
from resweep.report.importance import Importance, importance_note, importances, lead_may_be_chance
from resweep.report.results import PhaseResults

BAR = 26  # points for each hyperparameter and kind
AMONG = {False: "all trials", True: "the better half"}
MOST_BARS = 15


def influence_chart(phase: PhaseResults, over_all: list[Importance]) -> Drawn | None:
    """Draw shares of importance over all trials and among the better half; None without any.

    Args:
        phase: The phase.
        over_all: `importances` of the phase, which takes a second.
    """
    if not any(one.share for one in over_all):
        return None
    good = importances(phase, among_good=True)
    bars = [
        {
            "name": phase.label(one.path),
            "among": AMONG[half],
            "share": rounded(one.share),
            "low": rounded(max(0.0, one.share - one.error)),
            "high": rounded(min(1.0, one.share + one.error)),
            "text": f"{one.share:.0%} ± {one.error:.0%}",
        }
        for half, found in ((False, over_all[:MOST_BARS]), (True, good))
        for one in found
        if one.path in {shown.path for shown in over_all[:MOST_BARS]}
    ]
    names = [phase.label(one.path) for one in over_all[:MOST_BARS]]
    y = field("name:N", title=None, sort=names, axis={"labelLimit": 150})
    kinds = {"domain": list(AMONG.values()), "range": "category"}
    look = {
        "y": y,
        "yOffset": field("among:N", sort=list(AMONG.values())),
        "tooltip": [
            field("name:N", title="hyperparameter"),
            field("among:N", title="among"),
            field("text:N", title="share"),
        ],
    }
    share = {
        "title": "share of the importance",
        "axis": {"format": ".0%", "tickCount": 5, "labelOverlap": True},
    }
    scale = {"domain": [0, 1]}
    colour = field("among:N", scale=kinds, legend={"title": None, "orient": "bottom"})
    layers = [
        layer("bars", {"type": "bar"}, {
            **look, "x": field("share:Q", scale=scale, **share), "color": colour
        }),
        layer("bars", {"type": "rule", "strokeWidth": 1.5, "style": "chosen"}, {
            **look, "x": field("low:Q", scale=scale, **share), "x2": {"field": "high"}
        }),
    ]  # fmt: skip
    spec = chart(layers, {"bars": bars}, height=max(120, 2 * BAR * len(names)))
    return Drawn(title="What mattered", spec=spec, says=influence_line(phase, over_all, good))


def influence_line(phase: PhaseResults, over_all: list[Importance], good: list[Importance]) -> str:
    """Return a sentence about what mattered most, and how sure that is."""
    first, second = over_all[0], over_all[1]
    text = f"{phase.label(first.path)} mattered most: {first.share:.0%} ± {first.error:.0%}"
    if lead_may_be_chance(over_all):
        text += (
            f", less than two standard errors before {phase.label(second.path)} "
            f"({second.share:.0%} ± {second.error:.0%})"
        )
    if good and any(one.share for one in good):
        text += f"; among the better half it is {phase.label(good[0].path)} ({good[0].share:.0%})"
    note = importance_note(phase, among_good=True)
    ending = f" {note[:1].upper()}{note[1:]}." if note and not good else ""
    return (
        f"{text}. Shares come from PED-ANOVA, beyond what trials in random order would give; bars "
        f"end at one standard deviation of bootstrap samples.{ending}"
    )
