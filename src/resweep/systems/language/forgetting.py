"""What fine-tunings forget: the loss on the data that their weights were trained on.

metrics.jsonl of fine-tuned runs  ->  first_data/loss at step 0 and at the end  ->  text, figures
"""

from collections.abc import Iterable
from dataclasses import dataclass

from resweep.paths import METRICS
from resweep.plurals import counted
from resweep.systems.values import Figure, TrainedRun
from resweep.training.metrics import Line, read_metrics

FIRST_LOSS, NEW_LOSS = "first_data/loss", "val/loss"


@dataclass(frozen=True)
class Forgetting:
    """The losses of one fine-tuning, in nats per token.

    Attributes:
        trial: Its name.
        lines: Those of its metrics that have the loss on the first data.
    """

    trial: str
    lines: list[Line]

    @property
    def before(self) -> float:
        """The loss on the first data, of the weights that it starts from."""
        return float(self.lines[0][FIRST_LOSS])

    @property
    def after(self) -> float:
        """The same at its end."""
        return float(self.lines[-1][FIRST_LOSS])

    @property
    def change(self) -> float:
        """How much was forgotten; negative where the first data became easier."""
        return self.after - self.before


def measured(runs: Iterable[TrainedRun]) -> list[Forgetting]:
    """Return what is known of runs that measure the loss on first data, in their order."""
    found = []
    for run in runs:
        if run.config["data"].get("first_data"):
            lines = read_metrics(run.folder / METRICS, run.step)
            known = [line for line in lines if FIRST_LOSS in line]
            if len(known) > 1:
                found.append(Forgetting(run.trial, known))
    return found


def forgetting_lines(runs: Iterable[TrainedRun]) -> list[str]:
    """Return a sentence about the best fine-tuning, and one about all; none without any."""
    found = measured(runs)
    if not found:
        return []
    best = found[0]
    lines = [
        f"loss on the data that the weights were trained on: {best.before:.4f} before, "
        f"{best.after:.4f} after trial {best.trial} ({_change(best.change)})"
    ]
    if len(found) > 1:
        changes = sorted(one.change for one in found)
        ends = dict.fromkeys([_change(changes[0]), _change(changes[-1])])
        lines.append(f"over all {counted(len(found), 'trial')}: {' to '.join(ends)}")
    return lines


def _change(change: float) -> str:
    return f"{abs(change):.4f} {'higher' if change > 0 else 'lower'}"


def forgetting_figures(runs: Iterable[TrainedRun]) -> list[Figure]:
    """Return the losses on both data over the best fine-tuning, and the change of all."""
    found = measured(runs)
    if not found:
        return []
    best = found[0]
    figures = [
        Figure(
            title="New data and first data",
            caption=f"The best trial, {best.trial}, starts from trained weights. Its loss on the "
            f"data that these were trained on, first_data/loss, is {_change(best.change)} at the "
            "end than at the start; val/loss is its loss on the new data.",
            kind="lines",
            x="step",
            y="loss (nats per token)",
            series={
                name: [(line["step"], line[name]) for line in best.lines if name in line]
                for name in (NEW_LOSS, FIRST_LOSS)
            },
        )
    ]
    if len(found) > 1:
        changes = [one.change for one in found]
        figures.append(
            Figure(
                title="Forgetting by trial",
                caption=f"How much the loss on the first data changed in {len(found)} trials, "
                f"best first: {min(changes):+.4f} to {max(changes):+.4f}; above zero it rose.",
                kind="bars",
                x="trial",
                y="change of first_data/loss",
                series={"change": [(one.trial, one.change) for one in found]},
            )
        )
    return figures
