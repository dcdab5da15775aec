"""A study in plain lines, where there is no terminal."""

import time
from collections.abc import Hashable

from resweep.trials.record import Status
from resweep.watch.progress import PhaseProgress, StudyProgress
from resweep.watch.screen import best_text, time_left
from resweep.watch.trial_states import Open

MINUTE = 60.0
BAD = (Status.FAILED, Status.INFEASIBLE)


class Lines:
    """Says when a line is due, and what is in it."""

    def __init__(self) -> None:
        self._shown: tuple[Hashable, ...] = ()
        self._key: Hashable = None
        self._last = 0.0

    def line(self, study: StudyProgress) -> str | None:
        """Return the line that is due now, or None.

        One is due when a phase begins or ends, when a trial failed, and at most once a
        minute when anything else changed.
        """
        key = (study.is_complete, tuple(map(_key_of, study.phases)))
        everything = (key, study.ended, tuple((one.trial, one.step) for one in study.training))
        now = time.monotonic()
        is_due = key != self._key or (everything != self._shown and now - self._last >= MINUTE)
        if not is_due:
            return None
        self._key, self._shown, self._last = key, everything, now
        return text(study)


def _key_of(phase: PhaseProgress) -> Hashable:
    has_begun = phase.ended > 0 or bool(phase.states.get(Open.RUNNING))
    bad = tuple(phase.states.get(state, 0) for state in BAD)
    return has_begun, phase.ended == phase.trials, bad


def text(study: StudyProgress) -> str:
    """Return a study in one line."""
    parts = [f"{study.name}: {study.ended:,} of {study.trials:,} trials"]
    phase = next((one for one in study.phases if one.ended < one.trials), None)
    if phase is not None:
        states = [f"{count:,} {state}" for state, count in phase.states.items() if count]
        parts.append(f"{phase.name}: {', '.join(states)}")
    parts.append(time_left(study))
    if study.best is not None:
        parts.append(best_text(study))
    return "; ".join(parts)
