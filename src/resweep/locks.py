"""Locks between processes, on one machine or several that share a file system.

    flock                    exact; ends with the process, however it dies
    a file with an owner     where the file system has no flock: one process can create it, and
                             shows that it lives by the file's date

A file of the second kind whose date stood still for a minute, by the clock of the process that
waits, belonged to a process that died, and is taken over.
"""

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import threading
import time
from pathlib import Path

NO_FLOCK = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
POLL_SECONDS = 0.1
HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
SETTLE_SECONDS = 1.0  # two processes that take over together: the last one has it

log = logging.getLogger(__name__)


class FileLock:
    """A lock on a file; the file stays, empty or with the owner of the lock.

    Args:
        path: The file; its folder exists.
        owner: Who we are, for others that find it locked.
    """

    def __init__(self, path: Path, owner: str = ""):
        self.path = path
        self._owner = owner
        self._handle: int | None = None
        self._file: OwnedFile | None = None

    def take(self, timeout: float | None = None) -> bool:
        """Take the lock; returns whether it is ours now.

        Args:
            timeout: Seconds to wait; None: as long as it takes. A file with an owner needs
                `STALE_SECONDS` to be taken over from a process that died.

        Raises:
            OSError: The file cannot be made, or it is another user's and cannot be locked.
        """
        handle = open_lock(self.path)
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            while not self._try(handle):
                if self._file is not None:
                    break
                if deadline is not None and time.monotonic() >= deadline:
                    os.close(handle)
                    return False
                time.sleep(POLL_SECONDS)
        except BaseException:
            os.close(handle)
            raise
        if self._file is not None:
            os.close(handle)
            return self._file.take(timeout)
        self._handle = handle
        with contextlib.suppress(OSError):  # opened for reading, or a full disk
            os.ftruncate(handle, 0)
            os.write(handle, self._owner.encode())
        return True

    def _try(self, handle: int) -> bool:
        locked = try_flock(handle, self.path)
        if locked is None:
            self._file = OwnedFile(self.path.with_name(f"{self.path.name}.owner"), self._owner)
        return locked is True

    @property
    def waits(self) -> bool:
        """Whether only waiting shows that another owner is dead: there is no flock."""
        return self._file is not None

    def owner(self) -> str:
        """Return the text of who has it.

        Raises:
            OSError: Nobody has it.
        """
        return (self._file or self).path.read_text().partition("\n")[0]

    def release(self) -> None:
        """Let others take it."""
        if self._file is not None:
            self._file.release()
        if self._handle is not None:
            os.close(self._handle)
        self._handle = self._file = None


def try_flock(handle: int, path: Path) -> bool | None:
    """Lock an open file; returns whether it is ours, None where the file system has no flock.

    Raises:
        OSError: It cannot be locked; names the file.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NO_FLOCK:
            return None
        # EBADF: over NFS, locking needs a file to write to.
        number = errno.EACCES if error.errno == errno.EBADF else error.errno
        raise OSError(number, os.strerror(number or 0), str(path)) from error
    return True


def open_lock(path: Path) -> int:
    """Open a file to lock it, made if missing; returns its handle.

    Another user's file is opened for reading, which suffices on most file systems.

    Raises:
        OSError: It cannot be opened.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        if error.errno not in DENIED:
            raise
        try:
            return os.open(path, os.O_RDONLY)
        except OSError:
            raise error from None


class OwnedFile:
    """A lock by the exclusive creation of a file; its first line is the owner, for people.

    Args:
        path: The file; its folder exists.
        owner: Who we are.
        heartbeat: Seconds between new dates of our file.
        stale_after: Seconds without one after which another's file is taken over.
        settle: Seconds after which a takeover is checked.
    """

    def __init__(
        self,
        path: Path,
        owner: str,
        *,
        heartbeat: float = HEARTBEAT_SECONDS,
        stale_after: float = STALE_SECONDS,
        settle: float = SETTLE_SECONDS,
    ):
        self.path = path
        self._heartbeat = heartbeat
        self._stale_after = stale_after
        self._settle = settle
        self._content = f"{owner}\n{secrets.token_hex(8)}\n"
        self._seen: tuple[str, int] | None = None
        self._since = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, timeout: float | None = None) -> bool:
        """Create the file, waiting for another owner; returns whether it is ours now."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._try():
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        self._stop.clear()
        self._thread = threading.Thread(target=self._keep_beating, daemon=True)
        self._thread.start()
        return True

    def release(self) -> None:
        """Remove the file, unless another process took it over."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._is_ours():
            self.path.unlink(missing_ok=True)

    def _try(self) -> bool:
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            if not self._is_abandoned():
                return False
            log.warning("%s: its owner shows no life; taking it over", self.path)
            self._replace()
            time.sleep(self._settle)
            return self._is_ours()
        with os.fdopen(handle, "w") as file:
            file.write(self._content)
        return True

    def _replace(self) -> None:
        temporary = self.path.with_name(f".{self.path.name}.{secrets.token_hex(6)}")
        try:
            temporary.write_text(self._content)
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)

    def _is_abandoned(self) -> bool:
        """Whether neither the file nor its date changed for long, by our clock alone."""
        try:
            seen = self.path.read_text(), self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        return time.monotonic() - self._since > self._stale_after

    def _is_ours(self) -> bool:
        try:
            return self.path.read_text() == self._content
        except FileNotFoundError:
            return False

    def _keep_beating(self) -> None:
        while not self._stop.wait(self._heartbeat):
            try:
                if not self._is_ours():
                    log.warning("%s: taken over by another process", self.path)
                    return
                os.utime(self.path)
            except OSError as error:  # a file system that is briefly unavailable
                log.warning("%s: no heartbeat: %s", self.path, error.strerror)
