"""Which phase of a study decides: its rank 1 is the winner that report, summary and screen name.

A phase that trains the chosen again (a rerun, a fine-tuning) decides over the search that chose
them; of several, the last one with a result.
"""

from collections.abc import Iterable
from typing import Protocol, TypeVar

DECIDING = ("rerun", "finetune")  # kinds that train again what a search chose


class Ranked(Protocol):
    """A phase, ranked or on its way."""

    @property
    def kind(self) -> str:
        """As in the study."""

    @property
    def best(self) -> object:
        """What is best in it; false without a result."""


P = TypeVar("P", bound=Ranked)


def deciding_phase(phases: Iterable[P]) -> P | None:
    """Return the phase that decides, of those in the order of the study; None without results."""
    known = [phase for phase in phases if phase.best]
    again = [phase for phase in known if phase.kind in DECIDING]
    return next(reversed(again or known), None)
