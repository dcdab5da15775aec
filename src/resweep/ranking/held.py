"""How a ranking held when its best configurations were trained again.

rankings of the sources + ranking of the rerun  ->  pairs of configurations
                                                ->  Kendall's tau, winner's curse

With a the scores by which configurations were chosen and b the final values of their reruns (of
both, more is better), Kendall's tau-b compares the orders of all pairs of configurations:

    tau = (agreeing - opposed) / sqrt(different in a * different in b)

(M. G. Kendall, "The treatment of ties in ranking problems", Biometrika 33, 1945). It is 1 for the
same order and -1 for the reverse.

What is chosen for its value was partly lucky, so that its rerun is worse on average: the winner's
curse (J. E. Smith and R. L. Winkler, "The optimizer's curse", Management Science 52, 2006). With d
by how much a rerun is worse than the value of its source, over k configurations:

    curse = mean(d)    standard error = stdev(d) / sqrt(k)

For one configuration, the standard error is that of its mean over the seeds of the rerun. Only
trainings for as many steps with the same settings count, and never a run of the source itself.
"""

import math
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from numbers import Real
from typing import Any

from resweep.config.metric import MetricGoal, sign_of
from resweep.ranking.score_row import ScoreRow, column_of, configurations, scored
from resweep.ranking.ties import Estimate, seed_error
from resweep.ranking.trial_result import SEED
from resweep.systems.system import CHECKPOINT
from resweep.trials.record import Status

FEWEST = 3  # two configurations are always in the same order, or reversed
SAME_RUN = "same run"


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """The ranking of a phase.

    Attributes:
        name: Of the phase.
        metric, goal: What its final values are, and which direction is better.
        rows: Of its scores.csv, best first.
        settings: Returns what a trial was trained with, but for its seed: path -> value; None if
            that is unknown.
    """

    name: str
    metric: str
    goal: MetricGoal
    rows: Sequence[ScoreRow]
    settings: Callable[[str], Mapping[str, Any] | None]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A configuration in its source and in the rerun.

    Attributes:
        hyperparameters: Its values in the rerun, without the seed: path -> value.
        source: Name of the phase where it was best.
        source_trial, source_rank: Its best trial there, and its rank.
        source_score, source_value: Its score there, and the mean of its final values.
        source_steps: How many its trials were trained for there.
        trials: Those of the rerun whose values count, best first.
        rank: By its value, among the pairs that have one; equal values share the first rank.
        value, spread, error: Mean of the final values of `trials`, their standard deviation, and
            the standard error of the mean; the last two are None for a single trial.
        steps: How many `trials` were trained for.
        changes: Other settings than in the source: path -> (now, before); None: unknown.
        lost: Why it has no value: the status of a trial, or `SAME_RUN`.
    """

    hyperparameters: Mapping[str, Any]
    source: str
    source_trial: str
    source_rank: int
    source_score: float
    source_value: float
    source_steps: tuple[int, ...]
    trials: tuple[str, ...]
    rank: int | None
    value: float | None
    spread: float | None
    error: float | None
    steps: tuple[int, ...]
    changes: Mapping[str, tuple[Any, Any]] | None
    lost: str | None

    @property
    def is_repeat(self) -> bool:
        """Whether only the seed differs from the source, so that values can be compared."""
        return self.value is not None and self.changes == {} and self.steps == self.source_steps


@dataclass(frozen=True, kw_only=True)
class Held:
    """How a ranking held.

    Attributes:
        pairs: In the order in which they were chosen.
        same_runs: Number of the rerun's trials that got a run of a source: they do not count.
        tau: Kendall's tau-b; None for fewer than three values, or if all of a side are equal.
        curse: By how much reruns are worse than the values by which they were chosen; None if no
            pair is a repeat.
        repeats: Number of pairs that `curse` is the mean of.
    """

    pairs: tuple[Pair, ...]
    same_runs: int
    tau: float | None
    curse: Estimate | None
    repeats: int

    @property
    def compared(self) -> list[Pair]:
        """The pairs that have a value."""
        return [pair for pair in self.pairs if pair.value is not None]

    @property
    def is_of_one(self) -> bool:
        """Whether several come from one configuration, as fine-tunings of one run: no order."""
        return len({(pair.source, pair.source_trial) for pair in self.pairs}) == 1 < len(self.pairs)


def compare_rankings(
    sources: Sequence[Ranked], again: Ranked, overridden: Collection[str] = ()
) -> Held:
    """Compare the configurations of a rerun with the same ones of the phases they come from.

    Configurations are matched by their hyperparameters, or by the run whose weights they start
    from. One that no source has a score of is left out; one that several have is compared where it
    is best.

    Args:
        sources: What was rerun.
        again: The rerun.
        overridden: Paths that the rerun sets for all of its trials.
    """
    taken = {row.run_id for source in sources for row in source.rows if row.run_id is not None}
    ignored = {column_of(path) for path in overridden}
    found = []
    for rows in configurations(again.rows):
        if rows[0].status == Status.EMPTY:
            continue
        wanted = configuration_of(rows[0])
        places = []
        for position, source in enumerate(sources):
            place = find_configuration(source.rows, wanted, ignored)
            place = place or _find_start(source.rows, wanted)
            if place and place[0].score is not None:
                places.append((-place[0].score, position, place))
        if places:
            _, position, place = min(places, key=lambda one: one[:2])
            found.append((position, _pair(sources[position], place, again, rows, taken)))
    ordered = sorted(found, key=lambda one: (-one[1].source_score, one[0]))
    worse = sign_of(again.goal)
    pairs = _with_ranks([pair for _, pair in ordered], worse)
    comparable = {source.name for source in sources if source.metric == again.metric}
    repeats = [pair for pair in pairs if pair.is_repeat and pair.source in comparable]
    return Held(
        pairs=pairs,
        same_runs=sum(row.run_id in taken for row in again.rows),
        tau=kendall_tau(
            (pair.source_score, -worse * pair.value) for pair in pairs if pair.value is not None
        ),
        curse=_curse(repeats, worse),
        repeats=len(repeats),
    )


def configuration_of(row: ScoreRow) -> dict[str, Any]:
    """Return the hyperparameters of a row that have a value, without the seed."""
    values = row.hyperparameters.items()
    return {path: value for path, value in values if path != SEED and value is not None}


def find_configuration(
    rows: Iterable[ScoreRow], wanted: Mapping[str, Any], ignored: Collection[str] = ()
) -> list[ScoreRow]:
    """Return the rows of a configuration that count for its score, best first.

    Args:
        rows: A ranking; of several configurations that match, its first one is found.
        wanted: The configuration: column -> value.
        ignored: Columns that may differ.
    """
    wanted = {path: value for path, value in wanted.items() if path not in ignored}
    for group in configurations(scored(rows)):
        own = {k: v for k, v in configuration_of(group[0]).items() if k not in ignored}
        if own.keys() == wanted.keys() and all(_same(own[path], wanted[path]) for path in own):
            return group
    return []


def _find_start(rows: Iterable[ScoreRow], wanted: Mapping[str, Any]) -> list[ScoreRow]:
    """Return the rows of the configuration whose run a configuration starts from."""
    run_id = str(wanted.get(CHECKPOINT, "")).partition("/")[0]
    groups = configurations(scored(rows))
    return next((group for group in groups if run_id in {row.run_id for row in group}), [])


def kendall_tau(pairs: Iterable[tuple[float, float]]) -> float | None:
    """Return Kendall's tau-b; None for fewer than three pairs, or if all of a side are equal."""
    known = list(pairs)
    if len(known) < FEWEST:
        return None
    signs = [(_sign(a - c), _sign(b - d)) for (a, b), (c, d) in combinations(known, 2)]
    first, second = (sum(map(abs, side)) for side in zip(*signs, strict=True))
    if first == 0 or second == 0:
        return None
    return sum(a * b for a, b in signs) / math.sqrt(first * second)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _pair(
    source: Ranked,
    place: Sequence[ScoreRow],
    again: Ranked,
    rows: Sequence[ScoreRow],
    taken: Collection[str | None],
) -> Pair:
    """Return a pair without its rank.

    Args:
        source, place: Where it was best, and its rows there.
        again, rows: The rerun, and its rows there.
        taken: All runs of the sources.
    """
    first = place[0]
    assert first.score is not None and first.final_mean is not None
    done = {row.run_id: row for row in scored(rows) if row.run_id not in taken}  # each run once
    counted = list(done.values())
    finals = [row.final for row in counted if row.final is not None]
    undone = [row.status for row in rows if not row.has_result]
    lost = None if finals else SAME_RUN if scored(rows) else [rows[0].status, *undone][-1]
    now = again.settings(counted[0].trial) if counted else None
    before = source.settings(first.trial)
    return Pair(
        hyperparameters=configuration_of(rows[0]),
        source=source.name,
        source_trial=first.trial,
        source_rank=first.rank,
        source_score=first.score,
        source_value=first.final_mean,
        source_steps=tuple(sorted({row.step for row in place})),
        trials=tuple(row.trial for row in counted),
        rank=None,
        value=statistics.fmean(finals) if finals else None,
        spread=statistics.stdev(finals) if len(finals) > 1 else None,
        error=seed_error(finals),
        steps=tuple(sorted({row.step for row in counted})),
        changes=None if now is None or before is None else _changes(now, before),
        lost=lost,
    )


def _changes(now: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ: path -> (now, before); None where there is none."""
    return {
        path: (now.get(path), before.get(path))
        for path in dict.fromkeys([*before, *now])
        if now.get(path) != before.get(path)
    }


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Real) and isinstance(other, Real):
        return math.isclose(one, other, rel_tol=1e-9)
    return str(one) == str(other)


def _with_ranks(pairs: Sequence[Pair], worse: float) -> tuple[Pair, ...]:
    """Rank pairs by their values; `worse` is 1 where less is better, else -1."""
    values = [worse * pair.value for pair in pairs if pair.value is not None]
    return tuple(
        pair
        if pair.value is None
        else replace(pair, rank=1 + sum(value < worse * pair.value for value in values))
        for pair in pairs
    )


def _curse(repeats: Sequence[Pair], worse: float) -> Estimate | None:
    """Return by how much reruns are worse than their sources, with its standard error."""
    differences = [
        worse * (pair.value - pair.source_value) for pair in repeats if pair.value is not None
    ]
    if not differences:
        return None
    error = repeats[0].error if len(repeats) == 1 else seed_error(differences)
    return Estimate(statistics.fmean(differences), error)
