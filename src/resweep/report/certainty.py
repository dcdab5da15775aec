"""How sure a phase's ranking is: by its seeds, early in training, and at longer budgets.

scores.csv, curves of the runs  ->  Certainty  ->  tables for a terminal and for the report
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from resweep.config.metric import sign_of
from resweep.errors import DamagedFile
from resweep.paths import Layout, RunFolder
from resweep.ranking.rank_confidence import RankConfidence
from resweep.ranking.score_row import ScoreRow
from resweep.replay.early_ranks import EarlyRanks, early_ranks
from resweep.replay.power_law import Continued, continue_curves
from resweep.report.results import PhaseResults, shown
from resweep.store.curve import record_curve

MOST_STEPS = 12  # of a table
MOST_ROWS = 10
MOST_CONTINUED = 200  # of the best curves; each takes some milliseconds

log = logging.getLogger(__name__)

Table = tuple[list[str], list[list[str]]]


@dataclass(frozen=True, kw_only=True)
class Certainty:
    """How sure a ranking is.

    Attributes:
        first: The best trial of each configuration with a score, best first.
        ranks: How sure the rank of each is; None without repeated seeds.
        early: The order at earlier steps; None for too few trials.
        longer: Curves, continued to a longer budget.
    """

    first: tuple[ScoreRow, ...]
    ranks: tuple[RankConfidence, ...] | None
    early: EarlyRanks | None
    longer: Continued

    def content(self) -> dict[str, Any]:
        """Return everything as plain values."""
        ranks = [
            {"trial": row.trial, "rank": row.rank, **asdict(one)}
            for row, one in zip(self.first, self.ranks or (), strict=False)
        ]
        early = self.early and {**asdict(self.early), "same_from": self.early.same_from}
        return {"ranks": ranks or None, "early": early, "longer": asdict(self.longer)}


def certainty(phase: PhaseResults, layout: Layout, *, top: int, factor: float) -> Certainty:
    """Look at how sure a ranking is.

    Args:
        phase: The phase.
        layout: Where its runs are.
        top: How many count as the best, for orders early in training.
        factor: To how many times their steps curves are continued.
    """
    sign = sign_of(phase.goal)
    found = phase.rank_confidence
    curves = _curves(phase, layout)
    finals = {trial: value for trial, value in phase.finals.items() if trial in curves}
    whole = {trial: curves[trial] for trial in finals}
    best = dict(list(whole.items())[:MOST_CONTINUED])
    return Certainty(
        first=tuple(phase.leaders),
        ranks=None if found is None else tuple(found),
        early=early_ranks(whole, finals, sign, top),
        longer=continue_curves(best, factor, sign),
    )


def _curves(phase: PhaseResults, layout: Layout) -> dict[str, list[tuple[int, float]]]:
    """Return the values of the phase's metric by trial, as far as each was trained."""
    found = {}
    for outcome in phase.outcomes:
        record = outcome.record
        if record.run_id is None:
            continue
        folder = RunFolder(layout.run(record.run_id))
        try:
            lines = record_curve(folder, record, outcome.trial.config["training"])
        except DamagedFile as error:
            log.warning("%s; it is left out", error)
            continue
        found[outcome.trial.trial] = [
            (line["step"], line[phase.metric]) for line in lines if phase.metric in line
        ]
    return found


def rank_table(sure: Certainty, phase: PhaseResults) -> Table | None:
    """Return how sure each rank is, as a table; None without repeated seeds."""
    if sure.ranks is None:
        return None
    rows = [
        [
            str(row.rank),
            row.trial,
            shown(row.final_mean, 5),
            str(row.seeds or 1),
            f"{one.best:.0%}",
            f"{one.low} to {one.high}",
        ]
        for row, one in zip(sure.first, sure.ranks, strict=True)
    ]
    titles = ["rank", "trial", f"final {phase.metric}", "seeds", "best in", "ranks in 9 of 10"]
    return titles, rows[:MOST_ROWS]


def early_table(early: EarlyRanks) -> Table:
    """Return the order at some steps as a table."""
    orders = early.orders
    every = -(-len(orders) // MOST_STEPS) or 1
    rows = [
        [
            f"{order.step:,}",
            f"{order.step / early.end:.0%}",
            shown(order.correlation, 2),
            f"{order.kept} of {early.top}",
            "yes" if order.best_is_best else "no",
        ]
        for order in orders[every - 1 :: every]
    ]
    titles = ["step", "of the end", "rank correlation", f"same top {early.top}", "same best"]
    return titles, rows


def longer_table(sure: Certainty, phase: PhaseResults) -> Table | None:
    """Return predicted values at a longer budget as a table; None where no curve can be told."""
    error = sure.longer.error
    known = [row for row in sure.first if row.trial in sure.longer.values][:MOST_ROWS]
    if not known:
        return None
    predicted: Mapping[str, float] = sure.longer.values
    order: Sequence[str] = sorted(
        (row.trial for row in known), key=lambda one: sign_of(phase.goal) * predicted[one]
    )
    spread = "" if error is None else f" ± {error:.4f}"
    rows = [
        [
            str(row.rank),
            row.trial,
            shown(row.final, 5),
            f"{predicted[row.trial]:.4f}{spread}",
            str(order.index(row.trial) + 1),
        ]
        for row in known
    ]
    title = f"at {sure.longer.factor:g} times the steps"
    return ["rank", "trial", f"final {phase.metric}", title, "rank there"], rows


def certainty_lines(sure: Certainty) -> Iterator[str]:
    """Yield the sentences that go with the tables."""
    if sure.ranks is None:
        yield "how sure the ranks are is unknown: no configuration has several seeds"
    if sure.early is not None:
        yield sure.early.line
    else:
        yield "fewer than three trials end at one step: no order to compare with"
    if sure.longer.values:
        yield sure.longer.line
