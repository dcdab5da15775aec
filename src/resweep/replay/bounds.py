"""Decisions when some values are unknown: bounds instead of guesses.

A trial is promoted if its rank is at most the number of slots. Neither is known exactly where
curves end early. But one more, better trial costs one rank and adds at most one slot, so the worst
case is that all unknown values are better, and the best case that all are worse. Where both give
the same answer, the decision is certain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from resweep.replay.curves import RecordedCurve
from resweep.search.rungs import PROMOTE, STOP, RungEntry, row
from resweep.trials.record import Status

UNKNOWN = "unknown"


class Places:
    """The possible ranks of a trial among those that it is compared with.

    Args:
        others: For each other trial with a known value: whether it is better, and whether it
            surely got here (it may have been stopped before).
        unseen: Number of further trials that may be here.
        most: How many of a number of trials are promoted.
    """

    def __init__(
        self, others: Sequence[tuple[bool, bool]], unseen: int, most: Callable[[int], int]
    ):
        better = others.count((True, True))
        worse = others.count((False, True))
        uncertain = len(others) - better - worse
        lowest = 1 + better + others.count((True, False)) + unseen
        self.best = better + 1
        self.worst = lowest
        self.counts = lowest + worse, len(others) + unseen + 1  # compared at worst, at best
        self.slots = most(self.counts[0]), most(self.counts[1])
        self.unknowns = {"unknown": unseen, "possibly stopped before": uncertain}

    @property
    def certain(self) -> bool:
        """Whether there is only one possible rank."""
        return not any(self.unknowns.values())

    def judge(self, entry: RungEntry, sure: bool) -> tuple[str, str]:
        """Return decision and reason.

        Args:
            entry: The trial, which could be promoted.
            sure: Whether it surely got here.
        """
        decision = UNKNOWN
        if entry.value is None or self.best > self.slots[1]:
            decision = STOP
        elif self.worst <= self.slots[0] and sure:
            decision = PROMOTE
        return decision, f"{self}" if sure else f"if it got here: {self}"

    def __str__(self) -> str:
        text = f"rank {_span(self.best, self.worst)} of {_span(*self.counts)}"
        unknowns = ", ".join(f"{count} {what}" for what, count in self.unknowns.items() if count)
        return f"{text}, {_span(*self.slots)} promoted" + (f" ({unknowns})" if unknowns else "")


def _span(one: int, other: int) -> str:
    return f"{one}" if one == other else f"{min(one, other)} to {max(one, other)}"


def unseen_row(curve: RecordedCurve, rule: str, compared: int) -> dict[str, Any]:
    """Return the row of a trial whose curve ends before the rung."""
    entry = RungEntry(
        trial=curve.trial,
        run_id=curve.run_id,
        step=curve.known,
        status=Status.STOPPED,
        rule=None,
        value=None,
    )
    reason = f"unknown after step {curve.known}, where the sweep stopped it"
    return row(entry, UNKNOWN, rule, None, compared, reason)


@dataclass
class Candidate:
    """A trial still in the running: surely, or (after step `least`) possibly."""

    curve: RecordedCurve
    sure: bool = True
    least: int = 0

    def mark_uncertain(self, step: int) -> None:
        """Note that after a step it is unknown whether the trial continues."""
        if self.sure:
            self.sure, self.least = False, step


@dataclass(frozen=True)
class Fate:
    """What would have happened to a trial.

    Attributes:
        least, most: Bounds on the steps that it would have been trained.
        stopped: Whether the rule would have stopped it; None if unknown.
    """

    least: int
    most: int
    stopped: bool | None


@dataclass
class Fates:
    """The fates of the trials so far.

    Attributes:
        known: By trial.
        unknown_from: The last known step of each trial whose curve is too short for the rule.
    """

    known: dict[str, Fate] = field(default_factory=dict)
    unknown_from: dict[str, int] = field(default_factory=dict)

    def leave(self, candidate: Candidate, step: int, stopped: bool) -> None:
        """Note where a trial ends: stopped by the rule, or on its own."""
        least = step if candidate.sure else candidate.least
        # A trial that only possibly got here was stopped earlier or is stopped now: either way.
        self.known[candidate.curve.trial] = Fate(
            least, step, stopped if candidate.sure or stopped else None
        )

    def note_unknown(self, candidate: Candidate) -> None:
        """Note that a curve is too short."""
        self.unknown_from[candidate.curve.trial] = candidate.curve.known

    def finish(self, candidate: Candidate) -> None:
        """Note that a trial passed all rungs."""
        if candidate.curve.status is None:
            self.note_unknown(candidate)
        self.leave(candidate, candidate.curve.end, stopped=False)
