"""What can be said where some values are not known: bounds instead of guesses.

A trial goes on if its place among those compared is not beyond the number that go on. Neither is
known exactly where curves end early. But one more trial that is better costs a place and wins at
most one, so the worst case is that all unknown values are better, the best that they are all worse;
and where both give the same answer it is certain.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from resweep.replay.curves import RecordedCurve
from resweep.search.rungs import PROMOTE, STOP, RungEntry, row
from resweep.trials.record import Status

UNKNOWN = "unknown"


class Places:
    """The places that a trial may have among those that it is compared with.

    Args:
        others: For each of the others whose values are known: whether it is better, and whether it
            is there for sure, since it may have been stopped before.
        unseen: How many more may be there.
        most: How many of a number of trials go on.
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
        self.unknowns = {"not known": unseen, "perhaps stopped before": uncertain}

    @property
    def certain(self) -> bool:
        """Whether there is just one."""
        return not any(self.unknowns.values())

    def judge(self, entry: RungEntry, sure: bool) -> tuple[str, str]:
        """Return decision and reason.

        Args:
            entry: The trial, which could go on.
            sure: Whether it is there for sure.
        """
        decision = UNKNOWN
        if entry.value is None or self.best > self.slots[1]:
            decision = STOP
        elif self.worst <= self.slots[0] and sure:
            decision = PROMOTE
        return decision, f"{self}" if sure else f"if it came here: {self}"

    def __str__(self) -> str:
        text = f"place {_span(self.best, self.worst)} of {_span(*self.counts)}"
        unknowns = ", ".join(f"{count} {what}" for what, count in self.unknowns.items() if count)
        return f"{text}, {_span(*self.slots)} go on" + (f" ({unknowns})" if unknowns else "")


def _span(one: int, other: int) -> str:
    return f"{one}" if one == other else f"{min(one, other)} to {max(one, other)}"


def unseen_row(curve: RecordedCurve, rule: str, compared: int) -> dict[str, Any]:
    """Return the row of a trial whose curve ends before the rung."""
    there = RungEntry(
        trial=curve.trial,
        run_id=curve.run_id,
        step=curve.known,
        status=Status.STOPPED,
        rule=None,
        value=None,
    )
    reason = f"unknown from step {curve.known}: it was stopped there"
    return row(there, UNKNOWN, rule, None, compared, reason)


@dataclass
class Candidate:
    """A trial on its way: it is trained on for sure, or (from step `least` on) perhaps."""

    curve: RecordedCurve
    sure: bool = True
    least: int = 0

    def mark_uncertain(self, step: int) -> None:
        """Note that from a step on it is not known whether it goes on."""
        if self.sure:
            self.sure, self.least = False, step


@dataclass(frozen=True)
class Fate:
    """What would have become of a trial.

    Attributes:
        least, most: Steps that it would have been trained: different where that is not known.
        stopped: Whether the rule would have stopped it; None: not known.
    """

    least: int
    most: int
    stopped: bool | None


@dataclass
class Fates:
    """What has become of the trials so far.

    Attributes:
        known: By trial.
        unknown_from: The last known step of each trial whose curve ends before the rule was done
            with it.
    """

    known: dict[str, Fate] = field(default_factory=dict)
    unknown_from: dict[str, int] = field(default_factory=dict)

    def leave(self, candidate: Candidate, step: int, stopped: bool) -> None:
        """Note where a trial ends: stopped by the rule, or by itself."""
        least = step if candidate.sure else candidate.least
        # One that came here only perhaps was stopped before, or is stopped now: stopped anyway.
        self.known[candidate.curve.trial] = Fate(
            least, step, stopped if candidate.sure or stopped else None
        )

    def lack(self, candidate: Candidate) -> None:
        """Note that a curve ends too early."""
        self.unknown_from[candidate.curve.trial] = candidate.curve.known

    def finish(self, candidate: Candidate) -> None:
        """Note that no rung is left for a trial."""
        if candidate.curve.status is None:
            self.lack(candidate)
        self.leave(candidate, candidate.curve.end, stopped=False)
