"""The best configurations of several phases together.

rankings, records  ->  configurations by score, each once, where it is best  ->  the first few
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.canonical import canonical_json
from resweep.paths import PhaseFolder
from resweep.ranking.score_row import ScoreRow, configurations, scored
from resweep.ranking.score_table import read_ranking
from resweep.ranking.trial_result import SEED
from resweep.trials.trial import Outcome, read_outcome


@dataclass(frozen=True)
class Chosen:
    """A configuration, where it is best.

    Attributes:
        folder: Of its phase.
        row: Of its best trial that has a result of its own.
        outcome: That trial, with its record.
    """

    folder: PhaseFolder
    row: ScoreRow
    outcome: Outcome

    @property
    def swept(self) -> dict[str, Any]:
        """Its hyperparameters, without the seed: path -> value."""
        assigned = self.outcome.trial.assignments
        return {path: value for path, value in assigned.items() if path != SEED}


def choose_best(
    tables: Sequence[Path],
    top: int,
    read: Callable[[Path], Outcome] = read_outcome,
    takes: Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], bool] = lambda *_: True,
) -> list[Chosen]:
    """Return the best configurations of some phases, best first.

    One that several phases have counts once, where it is best.

    Args:
        tables: Their rankings; scores of different phases are compared as they are.
        top: How many, at most.
        read: Reads a trial by its record.
        takes: Whether a configuration is taken, beside those that were.
    """
    found = []
    for position, table in enumerate(tables):
        for group in configurations(scored(read_ranking(table))):
            best = next(row for row in group if row.has_result)
            found.append((-(group[0].score or 0.0), position, best))
    taken: dict[str, dict[str, Any]] = {}
    chosen: list[Chosen] = []
    for _, position, row in sorted(found, key=lambda one: one[:2]):
        if len(chosen) == top:
            break
        folder = PhaseFolder(tables[position].parent)
        one = Chosen(folder, row, read(folder.record(row.trial)))
        key = canonical_json(one.swept)
        if key not in taken and takes(one.swept, list(taken.values())):
            taken[key] = one.swept
            chosen.append(one)
    return chosen
