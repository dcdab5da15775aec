"""Install pinned requirements into a virtual environment, and say how far it is.

    python3 envs/install.py .venv requirements.txt

pip's own output has about 500 lines, or with --quiet none for minutes. This shows how many of the
packages are there; on a terminal in one line that changes, elsewhere in a line for each quarter.
Warnings and errors of pip are shown as they come. Needs nothing but Python.
"""

import re
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

FOUND = re.compile(r"^(?:Collecting|Processing|Requirement already satisfied:) ")
SIZE = re.compile(r"^\s+(?:Downloading|Using cached) \S+ \(([\d.]+) ([kMG]?)B\)")
MEGABYTES = {"": 1e-6, "k": 1e-3, "M": 1.0, "G": 1e3}
PINNED = re.compile(r"^[\w.-]+==", re.MULTILINE)
LAST_LINES = 15  # of pip's output, shown when it fails
SECONDS = 1.0  # between two looks at what is installed


class Progress:
    """A line on a terminal; elsewhere one for each quarter of each part."""

    def __init__(self) -> None:
        self.is_terminal = sys.stdout.isatty()
        self.shown = ("", 0)
        self.width = 0

    def show(self, what: str, done: int, total: int, more: str = "") -> None:
        """Say how many of all packages are found, or installed."""
        quarter = 4 * done // max(total, 1)
        if not self.is_terminal and (what, quarter) == self.shown:
            return
        self.shown = (what, quarter)
        line = f"{what}: {done} of {total} packages{more}"
        if self.is_terminal:
            print(f"\r{line:<{self.width}}", end="", flush=True)
            self.width = len(line)
        else:
            print(line, flush=True)

    def end(self) -> None:
        """End the line."""
        if self.is_terminal:
            print(flush=True)
            self.width = 0


def main() -> int:
    """Install; returns the exit code of pip."""
    environment, requirements = map(Path, sys.argv[1:])
    total = len(PINNED.findall(requirements.read_text()))
    print(
        f"installing {requirements} into {environment}, which takes some minutes, most of them for "
        "downloads",
        flush=True,
    )
    # Without --use-pep517, pip 23.0 runs the setup.py of packages without wheels, and warns of it.
    words = ["install", "--use-pep517", "--progress-bar", "off", "--disable-pip-version-check"]
    pip = subprocess.Popen(
        [environment / "bin/python", "-m", "pip", *words, "-r", requirements],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert pip.stdout is not None
    progress, last = Progress(), deque[str](maxlen=LAST_LINES)
    found, size = 0, 0.0
    installed = threading.Event()
    counter = None
    try:
        for line in pip.stdout:
            last.append(line)
            found += FOUND.match(line) is not None
            if match := SIZE.match(line):
                size += float(match[1]) * MEGABYTES[match[2]]
            if line.startswith("Installing collected packages"):
                progress.end()
                counter = threading.Thread(
                    target=count_installed, args=(environment, total, progress, installed)
                )
                counter.start()
            elif counter is None and (FOUND.match(line) or SIZE.match(line)):
                progress.show("downloading", min(found, total), total, f", {size:,.0f} MB")
        code = pip.wait()
    finally:  # Ctrl-C too ends the thread
        installed.set()
        if counter is not None:
            counter.join()
        progress.end()
    if code:
        print("".join(last), end="", file=sys.stderr)
        return code
    print(f"{environment}: {size_of(environment) / 1e9:.1f} GB")
    return 0


def count_installed(
    environment: Path, total: int, progress: Progress, installed: threading.Event
) -> None:
    """Show how many packages are there until all are."""
    while True:
        is_last = installed.wait(SECONDS)
        there = len(list(environment.glob("lib/python3*/site-packages/*.dist-info")))
        progress.show("installing", min(there, total), total)
        if is_last:
            return


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; the same command continues with what was downloaded")
