"""Records whose runs are gone from the store.

A trial's record is a link into `results/runs`. It dangles once its run was deleted or forgotten,
and the run is then trained again. Where none of a study's records leads to a run, the store itself
is more likely away: its disk is not mounted, or a link leads elsewhere. Nothing is changed here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from resweep.errors import StoreError
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.study import files
from resweep.study.begin_build import PARTS_OF_RECORD, in_store
from resweep.study.study import Study

MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Lost:
    """What is gone of a study.

    Attributes:
        runs: The run of each record that leads nowhere.
        store_missing: The error where the store is missing as a whole, with the fix; else None.
    """

    runs: Mapping[Path, str]
    store_missing: str | None

    def reason(self, record: Path) -> str:
        """Return why a record leads nowhere."""
        return f"{record}: its run is gone from the store ({self.runs[record]})"

    def lines(self) -> Iterator[str]:
        """Yield one line for each record, for people; the last one counts the rest."""
        if self.store_missing:
            yield self.store_missing
            return
        for record in list(self.runs)[:MOST_NAMED]:
            yield f"{self.reason(record)}; `snakemake` trains it again"
        if len(self.runs) > MOST_NAMED:
            yield f"... and so are those of {len(self.runs) - MOST_NAMED} more records"

    def stops(self, records: Iterable[Path], *, builds: bool, plan: str | None) -> str | None:
        """Return why a call that asks for records cannot do what it says; None if it can.

        Args:
            records: Of trials of the study.
            builds: Whether the call runs jobs. It would train everything into another store.
            plan: The command that plans the whole study, where this one only plans some files.
                Snakemake would call these up to date, although a record behind them is gone.
        """
        if builds:
            return self.store_missing
        lost = next((record for record in records if record in self.runs), None) if plan else None
        if lost is None:
            return None
        return self.store_missing or f"{self.reason(lost)}; this plans its training: {plan}"


def find_lost(layout: Layout, study: Study) -> Lost:
    """Look where the records of a study lead.

    Raises:
        StoreError: It cannot be seen, for lack of rights.
    """
    lost: dict[Path, str] = {}
    found = False
    folders = [(layout.phase(study.name, phase.name), phase) for phase in study.phases]
    for record in (f.record(slot) for f, phase in folders for slot in files.all_slots(phase)):
        try:
            if record.exists():
                found = found or record.is_symlink()
            elif record.is_symlink():
                if in_store(layout, record, PARTS_OF_RECORD).exists():
                    found = True  # it leads there through another place: a build repairs it
                else:
                    lost[record] = record.readlink().parent.parent.name
        except OSError as error:  # not that it is missing
            raise StoreError(f"{record}: {error.strerror}; make it readable") from None
    runs = set(lost.values())
    missing = bool(runs) and not found and _is_missing(layout, runs)
    return Lost(runs=lost, store_missing=_error(layout, study, runs) if missing else None)


def _is_missing(layout: Layout, runs: set[str]) -> bool:
    """Whether the store is away, rather than all of these runs deleted one by one."""
    if all(any(layout.trash.glob(f"*/{run}")) for run in runs):
        return False  # forgotten
    return len(runs) > 1 or not any(layout.runs.glob("*/"))


def _error(layout: Layout, study: Study, runs: set[str]) -> str:
    records = layout.phase(study.name, "*").records
    what = f"{layout.runs}: has none of the {counted(len(runs), 'run')} of study {study.name}"
    fix = "mount the store, or fix the link that leads to it"
    return f"{what}; {fix}; if it is really gone, delete {records} to train everything again"
