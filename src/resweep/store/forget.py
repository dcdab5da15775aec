"""Removing runs from the store, so that they are trained again.

Forgotten runs are moved to `results/trash/{time}/`, not deleted. The links to their records then
dangle; the next Snakemake call trains what is missing, and nothing else.
"""

import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from resweep.config.schema import SYSTEM
from resweep.errors import DamagedFile, StoreError
from resweep.locks import STALE_SECONDS
from resweep.paths import Layout, is_run_id, run_of_link
from resweep.store.lock import RunLock
from resweep.store.provenance import code_digest
from resweep.store.run import Run
from resweep.store.unlinked import find_unlinked
from resweep.systems.registry import is_system
from resweep.systems.system import DEFAULT
from resweep.trials.record import Status

log = logging.getLogger(__name__)


def runs_of_phase(study: str, phase: str | None, layout: Layout) -> list[str]:
    """Return the runs that the records of a study, or of one phase of it, link to.

    Those at rungs are among them: the last record of a trial that a rung stopped is not a link. So
    are those of a pack that failed, whose links are gone.

    Raises:
        StoreError: There are no records; names the folder.
    """
    folder = layout.study(study)
    found = set()
    for record in folder.all_records():
        run_id = run_of_link(record)
        if run_id is not None and phase in (None, record.relative_to(folder.path).parts[0]):
            found.add(run_id)
    phases = (
        [path.parent.name for path in folder.path.glob("*/packs")] if phase is None else [phase]
    )
    for unlinked in (find_unlinked(study, one, layout) for one in phases):
        found.update(unlinked.runs if unlinked is not None else ())
    if not found:
        records = folder.phase(phase or "*").records
        raise StoreError(f"{records}: there are no records of runs")
    return sorted(found)


def phases_of_runs(run_ids: Iterable[str], layout: Layout) -> dict[str, list[tuple[str, str]]]:
    """Return study and phase of all records that link to each of these runs."""
    found: dict[str, set[tuple[str, str]]] = {run_id: set() for run_id in run_ids}
    for folder in layout.all_studies():
        for record in folder.all_records():
            run_id = run_of_link(record)
            if run_id in found:
                phase = record.relative_to(folder.path).parts[0]
                found[run_id].add((folder.path.name, phase))
    return {run_id: sorted(phases) for run_id, phases in found.items()}


def failed_runs(run_ids: Iterable[str], layout: Layout) -> list[str]:
    """Return those that failed."""
    return [
        run_id for run_id in run_ids if _state(layout.run(run_id)).get("status") == Status.FAILED
    ]


def drifted_runs(run_ids: Iterable[str], layout: Layout) -> list[str]:
    """Return those that were trained by other code than the current one."""

    def is_drifted(state: Mapping[str, Any]) -> bool:
        name = state.get("identity", {}).get(SYSTEM, DEFAULT)
        if "code" not in state:
            return False
        return not is_system(name) or state["code"] != code_digest(name)

    return [run_id for run_id in run_ids if is_drifted(_state(layout.run(run_id)))]


def forget_runs(run_ids: Iterable[str], layout: Layout) -> list[Path]:
    """Move runs to the trash.

    Returns:
        Where they are now.

    Raises:
        StoreError: One is not in the store; then none is moved.
        LockTimeout: One is being trained.
    """
    run_ids = list(dict.fromkeys(run_ids))
    missing = [run_id for run_id in run_ids if not _is_run(layout.run(run_id))]
    if missing:
        raise StoreError(f"{layout.runs}: there is no run {', '.join(missing)}")
    trash = layout.trash / time.strftime("%Y-%m-%dT%H-%M-%S")
    moved = []
    with ExitStack() as locks:
        # All locks before the first move, waiting for leases of holders that died elsewhere.
        for run_id in run_ids:
            locks.enter_context(RunLock(layout.run(run_id), timeout=STALE_SECONDS + 15))
        for run_id in run_ids:
            place = trash / run_id
            place.parent.mkdir(parents=True, exist_ok=True)
            layout.run(run_id).rename(place)
            moved.append(place)
    return moved


def _is_run(folder: Path) -> bool:
    return is_run_id(folder.name) and folder.is_dir()


def _state(folder: Path) -> dict[str, Any]:
    """Return the state of a run; empty, with a warning, if it is damaged."""
    try:
        return Run(folder).state()
    except DamagedFile as error:
        log.warning("%s", error)
        return {}


def describe_run(folder: Path) -> str:
    """One line about a run, for people."""
    try:
        state = Run(folder).state()
    except DamagedFile as error:
        return f"{folder.name}: {error.path.name} {error.what}"
    if not state:
        return f"{folder.name}: never started"
    return f"{folder.name}: {state.get('status')} at step {state.get('step', 0)}"
