"""What W&B recorded offline, sent to its server by `wandb sync`.

    trainings, each run's attempts in their order  ->  artifacts, in their order

`wandb sync` marks each folder that it has sent whole (`*.wandb.synced`); a call after a kill sends
the rest. What a training or a publication still writes is left for the next call: W&B marks a
folder as sent as it is, and would never send the rest.
"""

import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from resweep.errors import StoreError
from resweep.locks import FileLock
from resweep.paths import (
    Layout,
    RunFolder,
    StudyFolder,
    is_run_id,
    offline_runs,
    publish_lock,
    send_lock,
    tracking_log,
)
from resweep.wandb.follow import HEADER_BYTES
from resweep.wandb.process import last_line

MOST_AT_ONCE = 50  # folders of a call of `wandb sync`


@dataclass
class Sent:
    """What was sent.

    Attributes:
        sent: Folders that the server has now.
        busy: Folders that something still writes to.
        failed: Folders that could not be sent, or come after one of the same run that could not.
        reason: What W&B said last.
    """

    sent: list[Path] = field(default_factory=list)
    busy: list[Path] = field(default_factory=list)
    failed: list[Path] = field(default_factory=list)
    reason: str = ""


def send_recorded(
    study: StudyFolder, layout: Layout, artifacts: Collection[Path] = frozenset()
) -> Sent:
    """Send all that W&B recorded of a study and its server does not have.

    Args:
        study: Its folder.
        layout: Of the results folder.
        artifacts: The folders that have an artifact.

    Raises:
        StoreError: Another process sends it.
    """
    done = Sent()
    waiting = list(_waiting(study))
    if not waiting:
        return done
    lock = FileLock(send_lock(study.path))
    if not lock.take(0.0):
        raise StoreError(f"{study.path}: another process sends what W&B recorded; wait for it")
    try:
        log = tracking_log(study.path, "send")
        start = log.stat().st_size if log.exists() else 0
        ready = [folder for folder in waiting if not _is_busy(folder, study, layout)]
        done.busy = [folder for folder in waiting if folder not in ready]
        for batch in _batches(ready, {path.name for path in artifacts}):
            failed = {run_of(folder) for folder in done.failed}
            done.failed += [folder for folder in batch if run_of(folder) in failed]
            sending = [folder for folder in batch if run_of(folder) not in failed]
            if sending:
                _sync(sending, log)
            done.sent += [folder for folder in sending if is_sent(folder)]
            done.failed += [folder for folder in sending if not is_sent(folder)]
        if done.failed:
            done.reason = last_line(log, start)
    finally:
        lock.release()
    return done


def _waiting(study: StudyFolder) -> Iterator[Path]:
    """Yield the folders that were not sent; the process of an empty one was killed at its start."""
    for folder in offline_runs(study.path):
        files = list(folder.glob("*.wandb"))
        recorded = any(file.stat().st_size > HEADER_BYTES for file in files)
        if folder.name.startswith("offline-run-") and recorded and not is_sent(folder):
            yield folder


def is_sent(folder: Path) -> bool:
    """Whether W&B has marked a folder as sent."""
    return any(folder.glob("*.wandb.synced"))


def run_of(folder: Path) -> str:
    """Return the id of the W&B run of a folder `offline-run-{date}_{time}-{id}`."""
    return folder.name.split("-", 3)[3]


def _is_busy(folder: Path, study: StudyFolder, layout: Layout) -> bool:
    """Whether a process still writes to a folder that exists."""
    run = run_of(folder)
    path = RunFolder(layout.run(run)).wandb_lock if is_run_id(run) else publish_lock(study.path)
    if not path.parent.is_dir():
        return False  # the run was forgotten
    lock = FileLock(path)
    if not lock.take(0.0):
        return True
    lock.release()
    return False


def _batches(folders: Iterable[Path], artifacts: Collection[str]) -> Iterator[list[Path]]:
    """Yield folders that can be sent together.

    Those of trainings by the attempts of each run; then artifacts one by one, since the last
    version of one has its aliases.
    """
    turns: dict[int, list[Path]] = {}
    counts: dict[str, int] = {}
    alone: list[Path] = []
    for folder in folders:
        run = run_of(folder)
        if folder.name in artifacts or not is_run_id(run):
            alone.append(folder)
            continue
        counts[run] = counts.get(run, -1) + 1
        turns.setdefault(counts[run], []).append(folder)
    for _, batch in sorted(turns.items()):
        for start in range(0, len(batch), MOST_AT_ONCE):
            yield batch[start : start + MOST_AT_ONCE]
    yield from ([folder] for folder in alone)


def _sync(folders: Iterable[Path], log: Path) -> None:
    """Call `wandb sync`; what it has sent is seen by its marks."""
    environment = {
        **os.environ,
        "WANDB_PROGRAM": "wandb",  # else the path of its own program
        "WANDB_ERROR_REPORTING": "false",
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        subprocess.run(
            [sys.executable, "-m", "wandb", "sync", *map(str, folders)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
