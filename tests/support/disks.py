"""Disks that are full, and files that we may only read, for tests."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

RIGHTS_OF_ROOT = ("dac_override", "dac_read_search", "fowner")


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A disk of its own in a folder; skips the test where we may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Fail writes beyond a size, as on a full disk, in this process and those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def only_readable(folder: Path) -> None:
    """Take the right to write from a folder and everything in it."""
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)


def plain_user() -> list[str]:
    """Words before a command that runs it with no more rights than files give.

    Root could write everywhere; skips the test where it cannot give that up.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere, and there is no setpriv")
    without = ",".join(f"-{name}" for name in RIGHTS_OF_ROOT)
    return ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"]


def run_plain(code: str, *arguments: object) -> list[str]:
    """Run Python code as a plain user; returns the lines that it prints."""
    done = subprocess.run(
        [*plain_user(), sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
