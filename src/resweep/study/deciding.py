"""Which phase of a study decides: its rank 1 is the study's winner, whose model is published.

The last phase that trains the chosen again (a rerun, a fine-tuning) decides, even if a search
follows it. Without such a phase, the last search does.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, TypeVar

DECIDING = ("rerun", "finetune")  # kinds that train again what a search chose

P = TypeVar("P")


def deciding_phase(phases: Sequence[P], kind: Callable[[Any], str] = attrgetter("kind")) -> P:
    """Return the phase that decides.

    Args:
        phases: At least one, in the order of the study: all of them, or those with a result.
        kind: Returns the kind of one of them.
    """
    again = [phase for phase in phases if kind(phase) in DECIDING]
    return (again or phases)[-1]
