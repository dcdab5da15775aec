"""Results that the store has, but no record leads to.

    packs/{digest}.json, records  ->  trials without a record  ->  those that the store has

A pack has one job. Where it fails, Snakemake removes the links to the records of all of its trials.
The runs stay, and the next call links them.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from resweep.errors import DamagedFile, ResweepError
from resweep.paths import Layout
from resweep.store.answer import Served, answer
from resweep.trials.pack import PackFile, read_pack
from resweep.trials.trial import Trial, read_trial

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Unlinked:
    """The packs of a phase that have results without a record.

    Attributes:
        phase: Its name.
        packs: How many.
        trials: Of these packs.
        done: How many of these trials have a record, or could have one.
        runs: Those that lack a record.
    """

    phase: str
    packs: int
    trials: int
    done: int
    runs: tuple[str, ...]

    @property
    def line(self) -> str:
        """What there is, and how to get it, for people."""
        jobs = "an unfinished job" if self.packs == 1 else f"{self.packs} unfinished jobs"
        done = f"{self.done} of {self.trials} trials of {jobs} are done and in the store"
        rest = "" if self.done == self.trials else " and trains the rest"
        return f"{self.phase}: {done}; the same snakemake command links them{rest}"


def find_unlinked(study: str, phase: str, layout: Layout) -> Unlinked | None:
    """Return what the store has of a phase without a record; None where that is nothing."""
    packs = trials = done = 0
    runs: dict[str, None] = {}
    for file in layout.phase(study, phase).all_packs():
        try:
            pack = read_pack(file)
        except DamagedFile as error:
            log.warning("%s", error)
            continue
        except FileNotFoundError:
            continue  # a build just deleted it
        missing = _without_record(pack, layout)
        served = (_run_of(trial, layout) for trial in _trials(pack, missing, layout))
        found = [run for run in served if run is not None]
        if found:
            packs += 1
            trials += len(pack.trials)
            done += len(pack.trials) - len(missing) + len(found)
            runs |= dict.fromkeys(found)
    if not packs:
        return None
    return Unlinked(phase=phase, packs=packs, trials=trials, done=done, runs=tuple(runs))


def _without_record(pack: PackFile, layout: Layout) -> set[str]:
    folder = layout.phase(pack.study, pack.phase)
    return {name for name in pack.trials if not folder.record(pack.slot(name)).exists()}


def _trials(pack: PackFile, names: set[str], layout: Layout) -> Iterator[Trial]:
    """Yield the trials of a pack that have these names, as far as anybody knows what they train."""
    if not names:
        return
    if pack.config is not None:
        yield from (trial for trial in pack.known_trials() if trial.trial in names)
        return
    for name in names:
        file = layout.trial(pack.study, pack.phase, pack.slot(name))
        try:
            yield read_trial(file)
        except (ResweepError, OSError):  # a build says what is wrong with it
            continue


def _run_of(trial: Trial, layout: Layout) -> str | None:
    """Return the run that has what a trial wants; None if there is none."""
    try:
        found = answer(trial, layout) if trial.empty is None else None
    except (ResweepError, OSError):
        return None
    return found.run.run_id if isinstance(found, Served) else None
