"""Pictures for the report."""

import re
from collections.abc import Iterable

from resweep.paths import METRICS
from resweep.systems.values import Figure, TrainedRun
from resweep.training.metrics import read_metrics

HARD = 2  # the token that has to be planned
ACCURACY = re.compile(r"val/accuracy/token_([0-9]+)")


def accuracy_by_token(runs: Iterable[TrainedRun]) -> list[Figure]:
    """Return how often each token of a held-out path is right, over the steps of the best trial."""
    best = next(iter(runs), None)
    if best is None:
        return []
    series: dict[int, list[tuple[float | str, float]]] = {}
    for line in read_metrics(best.folder / METRICS, best.step):
        for name, value in line.items():
            found = ACCURACY.fullmatch(name)
            if found is not None:
                series.setdefault(int(found[1]), []).append((line["step"], value))
    if not series:
        return []
    hard = ""
    if series.get(HARD):
        step, share = series[HARD][-1]
        chance = 1 / best.config["data"]["graph_d"]
        hard = (
            f" At step {step:,}, token {HARD}, the choice among the neighbours of the root, is "
            f"right in {share:.1%} of them (by chance: {chance:.1%})."
        )
    return [
        Figure(
            title="Accuracy by token",
            caption=f"Held-out paths of the best trial, {best.trial}, generated from their leaf."
            f"{hard} Token 1 is the root; the last is in the prompt.",
            kind="lines",
            x="step",
            y="accuracy",
            series={f"token {token}": series[token] for token in sorted(series)},
        )
    ]
