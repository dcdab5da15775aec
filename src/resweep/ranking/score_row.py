"""The rows of a ranking, one per trial, and what is asked of them.

Rows are in the order of their file: best trial first.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from resweep.plurals import counted
from resweep.trials.record import has_result


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """A row of scores.csv.

    Attributes:
        rank: Of its configuration, from 1.
        trial: Its name.
        run_id: The run that it got; None if it got none.
        status: How it ended.
        rule: The monitor that stopped it.
        stop_reason: Why it did not finish.
        score, final_mean, final_std, seeds, standard_error, tie: Of its configuration; `seeds` is
            the number of trials that count, `tie` whether it can be told apart from rank 1.
        early_slope, final: Its own.
        step: Its last one.
        parameters: Of its model.
        hyperparameters: Column -> value, the seed's included; None where it has none.
    """

    rank: int
    trial: str
    run_id: str | None = None
    status: str
    rule: str | None = None
    stop_reason: str | None = None
    score: float | None = None
    final_mean: float | None = None
    final_std: float | None = None
    seeds: int | None = None
    standard_error: float | None = None
    tie: str | None = None
    early_slope: float | None = None
    final: float | None = None
    step: int
    parameters: float | None = None
    hyperparameters: dict[str, Any] = field(default_factory=dict)

    @property
    def has_result(self) -> bool:
        """Whether the trial has a result of its own."""
        return has_result(self.status, self.rule)


DECIMALS = 4  # of a value
SMALL = 0.1  # below it, as many digits
SCORE_COLUMNS = tuple(one.name for one in fields(ScoreRow) if one.name != "hyperparameters")


def column_of(path: str) -> str:
    """Return the column of a hyperparameter: its path, unless a column of ours is called so."""
    return f"config.{path}" if path in SCORE_COLUMNS else path


def hyperparameters(rows: Iterable[ScoreRow]) -> list[str]:
    """Return the columns of a ranking that are paths of hyperparameters, the seed's included."""
    return list(dict.fromkeys(path for row in rows for path in row.hyperparameters))


def scored(rows: Iterable[ScoreRow]) -> list[ScoreRow]:
    """Return the rows whose configurations have a score."""
    return [row for row in rows if row.score is not None]


def configurations(rows: Iterable[ScoreRow]) -> list[list[ScoreRow]]:
    """Return the rows of each configuration, by rank."""
    groups: dict[int, list[ScoreRow]] = {}
    for row in rows:
        groups.setdefault(row.rank, []).append(row)
    return [groups[rank] for rank in sorted(groups)]


def best_rows(rows: Iterable[ScoreRow]) -> list[ScoreRow]:
    """Return the rows of the best configuration, best first; none if none has a score."""
    return next(iter(configurations(scored(rows))), [])


def best_trials(rows: Iterable[ScoreRow], top: int) -> list[str]:
    """Return one trial of each of the `top` best configurations with a score, best first."""
    return [group[0].trial for group in configurations(scored(rows))[:top]]


def scores_are_finals(rows: Iterable[ScoreRow]) -> bool:
    """Return whether the scores of a ranking are its final values, but for their signs."""
    pairs = ((row.score, row.final_mean) for row in rows)
    return all(
        final is not None and abs(abs(score) - abs(final)) < 1e-9
        for score, final in pairs
        if score is not None
    )


def value_text(value: float, like: float | None = None) -> str:
    """Format a metric's value: `1.7360`, and four digits of a small one, `0.0003301`.

    Args:
        value: The value, or a difference of two.
        like: A value with as many decimals; None: itself.
    """
    return f"{value:.{_decimals(value if like is None else like)}f}"


def _decimals(value: float) -> int:
    if value == 0 or not 1e-6 <= abs(value) < SMALL:
        return DECIMALS
    return DECIMALS - 1 - math.floor(math.log10(abs(value)))


def spread_text(mean: float | None, spread: float | None) -> str:
    """Format a mean and its standard deviation: `1.7360 ± 0.0080`, or the mean alone."""
    if mean is None or math.isnan(mean):
        return ""
    if spread is None or math.isnan(spread):
        return value_text(mean)
    return f"{value_text(mean)} ± {value_text(spread, like=mean)}"


def final_text(row: ScoreRow) -> str:
    """Format the final value of a row's configuration: `1.7360 ± 0.0080 over 2 seeds`."""
    seeds = f" over {counted(row.seeds, 'seed')}" if row.seeds and row.seeds > 1 else ""
    return spread_text(row.final_mean, row.final_std) + seeds
