"""Runs and checkpoints of the store that nothing here uses any more.

    links of all studies       ->  runs that no record leads to, and that none of those started from
    claims, policies, records  ->  checkpoints that nothing keeps

Another results folder may share the store: its claims count, its records cannot be seen from here.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.errors import DamagedFile, ResweepError
from resweep.files import may_write, size_of
from resweep.paths import Layout, RunFolder, is_run_id, run_of_link
from resweep.store import checkpoints as checkpoint
from resweep.store.lock import RunLock
from resweep.store.retention import Values, drop_spare, has_claims, spare_steps
from resweep.store.run import Run
from resweep.store.unlinked import find_unlinked
from resweep.systems.registry import system_of
from resweep.training.metrics import read_metrics


@dataclass(frozen=True, kw_only=True)
class Unused:
    """Runs or checkpoints that nothing uses.

    Attributes:
        places: Their folders, below the runs of the store.
        bytes: Of all of them.
    """

    places: tuple[Path, ...]
    bytes: int


def find_orphans(layout: Layout) -> Unused:
    """Return the runs that no record leads to, that nobody claims, and that no run started from.

    Runs that never came to an end are left out: their trainings may continue.
    """
    used = _linked(layout)
    candidates = [path for path in layout.all_runs() if path.name not in used]
    ended = [path for path in candidates if RunFolder(path).all_records()]
    alone = [path for path in ended if not has_claims(Run(path))]
    if alone:
        parents = set(_weights_started_from(layout, used))
        alone = [path for path in alone if not parents & set(_weights_of(Run(path)))]
    if alone:
        unlinked = _unlinked(layout)
        alone = [path for path in alone if path.name not in unlinked]
    return Unused(places=tuple(alone), bytes=sum(map(size_of, alone)))


def find_spare_checkpoints(runs: Iterable[Path], layout: Layout) -> Unused:
    """Return the checkpoints of runs that may go: nothing keeps them.

    Args:
        runs: Folders of runs.
        layout: Of the results folder; what its studies link as kept stays.
    """
    linked = {name for name, _ in _models(layout)}
    found: list[Path] = []
    for path in runs:
        if path.name not in linked:
            try:
                steps = spare_steps(Run(path), _values(Run(path)))
            except ResweepError:  # what keeps them is not known
                continue
            found += [path / checkpoint.folder_name(step) for step in steps]
    return Unused(places=tuple(found), bytes=sum(map(size_of, found)))


def drop_spare_checkpoints(places: Iterable[Path]) -> Iterator[str]:
    """Delete checkpoints that nothing keeps; yields a line for each run whose stay.

    Args:
        places: Their folders, as `find_spare_checkpoints` returns them.
    """
    for path in dict.fromkeys(place.parent for place in places):
        run = Run(path)
        if not may_write(path):
            yield f"run {run.run_id}: its checkpoints stay: another user trained it"
            continue
        try:
            with RunLock(path, timeout=0.0):
                drop_spare(run, _values(run))
        except ResweepError as error:
            yield f"run {run.run_id}: its checkpoints stay: {error}"


def _linked(layout: Layout) -> set[str]:
    """Return the runs that records and models of all studies and sweeps lead to."""
    records = [path for study in layout.all_studies() for path in study.all_records()]
    records += [path for sweep in layout.sweeps() for path in sweep.all_records()]
    found = {run_id for run_id in map(run_of_link, records) if run_id is not None}
    return found | {name for name, _ in _models(layout)}


def _models(layout: Layout) -> Iterator[tuple[str, Path]]:
    """Yield the run and the link of each kept model of all studies."""
    for study in layout.all_studies():
        for phase in study.phases():
            for link in phase.models_kept():
                if link.is_symlink() and is_run_id(link.readlink().parent.name):
                    yield link.readlink().parent.name, link


def _weights_started_from(layout: Layout, runs: Iterable[str]) -> Iterator[str]:
    """Yield the digests of the weights that runs started from."""
    for run_id in runs:
        identity = _state(Run(layout.run(run_id))).get("identity", {})
        weights = identity.get("run", {}).get("weights")
        if weights is not None:
            yield weights


def _weights_of(run: Run) -> Iterator[str]:
    """Yield the digests of all weights that a run has, or had where it ended."""
    yield from _state(run).get("checkpoints", {}).values()
    for path in run.folder.all_records():
        try:
            weights = run.read_record(path).weights
        except DamagedFile:
            continue
        if weights is not None:
            yield weights


def _unlinked(layout: Layout) -> set[str]:
    """Return the runs of packs that failed: the next build links them."""
    found: set[str] = set()
    for study in layout.all_studies():
        for packs in study.path.glob("*/packs"):
            unlinked = find_unlinked(study.path.name, packs.parent.name, layout)
            found.update(unlinked.runs if unlinked is not None else ())
    return found


def _state(run: Run) -> Mapping[str, Any]:
    try:
        return run.state()
    except DamagedFile:
        return {}


def _values(run: Run) -> Values:
    """Return what decides which checkpoints of a run are the best.

    Raises:
        ResweepError: Its state is damaged, or its system was removed.
    """
    system = system_of(run.state().get("identity", {}))
    metric = system.find_metric(system.metric)
    assert metric is not None, "a system declares the metric that it compares by"
    return Values(metric, read_metrics(run.folder.metrics))
