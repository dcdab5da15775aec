"""What the process that builds a study does in its folder before it begins.

hold      no other process builds the study meanwhile
relink    links into the store that dangle because they led there through another place
tidy      files that killed processes left half-written
"""

import errno
import json
import logging
import os
import socket
import time
from pathlib import Path

from resweep.errors import StoreError
from resweep.files import drop_temporaries, is_denied, link_relative, may_write
from resweep.locks import STALE_SECONDS, FileLock
from resweep.paths import Layout, StudyFolder
from resweep.study.files import LOGS

# How much of a link's path names its target in the store: {run}/records/{step}.json and
# {run}/checkpoint_{step}.
PARTS_OF_RECORD = 3
PARTS_OF_MODEL = 2

log = logging.getLogger(__name__)

_HELD: dict[Path, FileLock] = {}


def begin_build(layout: Layout, studies: list[str]) -> None:
    """Prepare the folders of studies; they are ours until this process ends.

    Where we may not write results, nothing is done: those of another user can still be read.

    Args:
        layout: Of the results folder.
        studies: Their names.

    Raises:
        StoreError: Another process builds one of them; names it.
        OSError: A folder cannot be read or made, or logs cannot be written.
    """
    for folder in (LOGS, *(LOGS / name for name in studies)):
        if folder.exists() and not may_write(folder):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    for name in studies:
        hold(layout.study(name))
    for folder in (layout.root, layout.weights_known):
        drop_temporaries(folder)
    for name in studies:
        relink(layout, name)
        drop_temporaries(layout.study(name).path, below=True)


def hold(study: StudyFolder) -> None:
    """Keep other processes from building a study until this one ends, also by SIGKILL."""
    if study.lock in _HELD:
        return
    owner = {"host": socket.gethostname(), "process": os.getpid(), "since": time.time()}
    lock = FileLock(study.lock, json.dumps(owner))
    try:
        study.path.mkdir(parents=True, exist_ok=True)
        # Without flock, only waiting shows whether the other process is alive.
        taken = lock.take(0.0)
        if not taken and lock.waits:
            log.warning("%s: waiting a minute to see whether %s lives", study.path, _holder(lock))
            taken = lock.take(STALE_SECONDS + 5)
    except OSError as error:
        if is_denied(error):
            return
        raise
    if not taken:
        raise StoreError(
            f"{study.path}: {_holder(lock)} builds this study; wait until it is done, or stop it, "
            "then run the same command again"
        )
    _HELD[study.lock] = lock


def _holder(lock: FileLock) -> str:
    try:
        owner = json.loads(lock.owner())
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(owner["since"]))
        return f"process {owner['process']} on {owner['host']} (since {since})"
    except (OSError, ValueError, KeyError, TypeError):  # just taken: not written yet
        return "another process"


def in_store(layout: Layout, link: Path, parts: int) -> Path:
    """Return the file or folder of the store that a link names, wherever the link leads."""
    return layout.runs.joinpath(*link.readlink().parts[-parts:])


def relink(layout: Layout, study: str) -> list[Path]:
    """Repair the links of a study that dangle although their target is in the store.

    Returns:
        The links; they keep their dates, so that nothing is made again because of them.
    """
    folder = layout.study(study)
    models = [link for phase in folder.phases() for link in phase.models_kept()]
    links = [(link, PARTS_OF_RECORD) for link in folder.all_records()]
    links += [(link, PARTS_OF_MODEL) for link in models]
    repaired = []
    for link, parts in links:
        if link.is_symlink() and not link.exists():
            target = in_store(layout, link, parts)
            if target.exists():
                status = link.lstat()
                link_relative(link, target)
                times = (status.st_atime_ns, status.st_mtime_ns)
                os.utime(link, ns=times, follow_symlinks=False)
                repaired.append(link)
    return repaired
