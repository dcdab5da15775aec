"""The rungs of a sweep, one line each: the decisions over all rounds.

{phase}/decisions/{stage}.csv, or a re-decision  ->  RungRows  ->  RungSummary of each rung
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resweep.paths import PhaseFolder, rung_name
from resweep.plurals import alike
from resweep.replay.bounds import UNKNOWN
from resweep.replay.rank_correlation import RankCorrelation, correlate
from resweep.search.rungs import PROMOTE, STOP
from resweep.trials.decisions import read_decisions, typed

CORRELATION = "rank correlation with final value"
COLUMNS = ("rung", "step", "compared", "promoted", "stopped", "unknown", "threshold", CORRELATION)


@dataclass(frozen=True)
class RungRows:
    """The decisions at a rung of one round.

    Attributes:
        rung: From 1.
        rows: Of decisions.csv.
    """

    rung: int
    rows: tuple[dict[str, Any], ...]

    def steps(self) -> Iterator[int]:
        """Yield the steps at which trials were promoted or stopped."""
        for row in self.rows:
            if row["decision"] in (PROMOTE, STOP):
                yield row["step"]

    def thresholds(self) -> Iterator[float]:
        """Yield the distinct thresholds that are known."""
        yield from {row["threshold"]: None for row in self.rows if row["threshold"] is not None}

    def count(self, decision: str) -> int:
        """How many rows have a decision."""
        return len([row for row in self.rows if row["decision"] == decision])


@dataclass(frozen=True, kw_only=True)
class RungSummary:
    """A rung over all rounds.

    Attributes:
        rung: From 1.
        steps: Steps of the trials at the rung; several if their logging intervals differ.
        compared: Number of trials whose values were compared.
        promoted, stopped, unknown: Numbers of decisions.
        thresholds: In the order of the rounds.
        correlation: Between the values at the rung and the final ones.
    """

    rung: int
    steps: tuple[int, ...]
    compared: int
    promoted: int
    stopped: int
    unknown: int
    thresholds: tuple[float, ...]
    correlation: RankCorrelation

    def cells(self) -> list[str]:
        """Return the cells of a row, in the order of COLUMNS."""
        counts = (self.compared, self.promoted, self.stopped, self.unknown)
        ends = (self.thresholds_text, str(self.correlation))
        return [str(self.rung), self.steps_text, *map(str, counts), *ends]

    @property
    def steps_text(self) -> str:
        """The steps as text: `100`, or `100 to 300`."""
        ends = sorted({self.steps[0], self.steps[-1]}) if self.steps else []
        return " to ".join(f"{step:,}" for step in ends)

    @property
    def thresholds_text(self) -> str:
        """The thresholds as text: `2.31`, or first round `to` last round."""
        if not self.thresholds:
            return ""
        return " to ".join(alike(dict.fromkeys([self.thresholds[0], self.thresholds[-1]])))


def read_rungs(phase: PhaseFolder, rounds: int | None, rungs: int) -> tuple[RungRows, ...]:
    """Read the decisions of a phase's rungs so far.

    Args:
        phase: Its files.
        rounds: Number of rounds; None for a sweep without rounds.
        rungs: Number of rungs, not counting the end.
    """
    found = []
    for number in range(1, (rounds or 1) + 1):
        for rung in range(1, rungs + 1):
            name = rung_name(rung) if rounds is None else f"r{number:02d}_{rung_name(rung)}"
            path = phase.rung_decisions(name)
            if path.exists():
                rows = tuple(typed(row) for row in read_decisions([path]))
                found.append(RungRows(rung, rows))
    return tuple(found)


def correlation_by_rung(
    decided: Iterable[RungRows], finals: Mapping[str, float]
) -> dict[int, RankCorrelation]:
    """Return for each rung the rank correlation of its values with the final values.

    Args:
        decided: All rungs of all rounds.
        finals: Final values of the trials that no rung stopped.

    Returns:
        Over the promoted trials with a final value: those of the others are unknown.
    """
    pairs: dict[int, list[tuple[float, float]]] = {}
    for part in decided:
        pairs.setdefault(part.rung, []).extend(
            (row["value"], finals[row["trial"]])
            for row in part.rows
            if row["decision"] == PROMOTE and row["trial"] in finals
        )
    return {rung: correlate(found) for rung, found in pairs.items()}


def rung_table(rungs: Sequence[RungSummary]) -> tuple[list[str], list[list[str]]]:
    """Return titles and rows of text; the column `unknown` only where it is needed."""
    shown = [
        i for i, name in enumerate(COLUMNS) if name != "unknown" or any(r.unknown for r in rungs)
    ]
    rows = [rung.cells() for rung in rungs]
    return [COLUMNS[i] for i in shown], [[row[i] for i in shown] for row in rows]


def summarize_rungs(
    decided: Iterable[RungRows], correlations: Mapping[int, RankCorrelation]
) -> list[RungSummary]:
    """Summarize the rungs over all rounds.

    Args:
        decided: All rungs of all rounds.
        correlations: Of each rung's values with the final values, by rung.
    """
    by_rung: dict[int, list[RungRows]] = {}
    for rows in decided:
        by_rung.setdefault(rows.rung, []).append(rows)
    return [_summary(rung, by_rung[rung], correlations[rung]) for rung in sorted(by_rung)]


def _summary(rung: int, parts: Sequence[RungRows], correlation: RankCorrelation) -> RungSummary:
    return RungSummary(
        rung=rung,
        steps=tuple(sorted({step for part in parts for step in part.steps()})),
        compared=sum(max((row["compared"] for row in part.rows), default=0) for part in parts),
        promoted=sum(part.count(PROMOTE) for part in parts),
        stopped=sum(part.count(STOP) for part in parts),
        unknown=sum(part.count(UNKNOWN) for part in parts),
        thresholds=tuple(threshold for part in parts for threshold in part.thresholds()),
        correlation=correlation,
    )
