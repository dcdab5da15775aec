"""The stages of a sweep: which trainings run together before a decision.

    round 1:  suggest -> train to rung 1 -> promote -> train to rung 2 -> ... -> conclude
    round 2:  suggest (from the results of round 1) -> ...

A sweep without rounds has one round, filled from the sweep file; without rungs, a round is one
stage that trains to the end. The number of slots of each stage follows from the settings alone.

    rounds and rungs   r02/b1/r02-03   slots of later rungs are numbers: r02/b2/01
    rounds             r02-03
    rungs              b1/5e1f9fba51, b2/01
    neither            5e1f9fba51
"""

from collections.abc import Sequence
from dataclasses import dataclass

from resweep.paths import rung_name
from resweep.search.rungs import Rung, rungs
from resweep.sweep import EarlyTerminate


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A batch of trainings, all to the same rung.

    Attributes:
        round: From 1.
        rung: How far they train.
        names: Of the slots: trial names at the first rung, numbers afterwards.
        name: Suffix of the stage's rules: "", r02, b1 or r02_b1.
        round_name: Suffix of the round's rules: "" or r02.
        folder: Of its trial files and records, below the phase's: "", b1 or r02/b1.
        last: Whether it is the last stage of its round.
    """

    round: int
    rung: Rung
    names: tuple[str, ...]
    name: str
    round_name: str
    folder: str
    last: bool

    @property
    def slots(self) -> tuple[str, ...]:
        """Names with the folder, as `Layout.trial` and `Layout.record` take them."""
        return tuple(map(self.slot, self.names))

    def slot(self, name: str) -> str:
        """Return a name with the folder; the name may be a wildcard."""
        return f"{self.folder}/{name}" if self.folder else name

    @property
    def first(self) -> bool:
        """Whether it is the first stage of its round."""
        return self.rung.number == 1


def lay_out(
    rounds: Sequence[Sequence[str]],
    adaptive: bool,
    rule: EarlyTerminate | None,
    bands: Sequence[int],
) -> tuple[Stage, ...]:
    """Return the stages of a sweep.

    Args:
        rounds: Names of the trials of each round.
        adaptive: Whether rounds are proposed one after the other.
        rule: Of the rungs, or None.
        bands: Of the rungs.
    """
    stages = []
    for number, names in enumerate(rounds, 1):
        levels = rungs(rule, bands, len(names)) if rule else (Rung(1, None, len(names)),)
        for rung in levels:
            round_name = f"r{number:02d}" if adaptive else ""
            parts = [part for part in (round_name, rule and rung_name(rung.number)) if part]
            stages.append(
                Stage(
                    round=number,
                    rung=rung,
                    names=tuple(names) if rung.number == 1 else numbers(rung.slots),
                    name="_".join(parts),
                    round_name=round_name,
                    folder="/".join(parts) if rule else "",
                    last=rung is levels[-1],
                )
            )
    return tuple(stages)


def numbers(count: int) -> tuple[str, ...]:
    """Names of `count` numbered slots: 01, 02 ..."""
    return tuple(f"{slot:0{max(2, len(str(count)))}d}" for slot in range(1, count + 1))


def round_names(trials: int, size: int) -> tuple[tuple[str, ...], ...]:
    """Names of the trials of all rounds: r01-01, r01-02 ..., r02-01 ..."""
    sizes = [min(size, trials - first) for first in range(0, trials, size)]
    return tuple(
        tuple(f"r{number:02d}-{slot}" for slot in numbers(count))
        for number, count in enumerate(sizes, 1)
    )


def round_of(trial: str) -> int:
    """Return the round of a Bayesian sweep's trial from its name: 2 for r02-03."""
    return int(trial.removeprefix("r").partition("-")[0])
