"""A screen that stays at the bottom of a terminal, and what is printed meanwhile above it.

    stdout and stderr of this process and of its children  ->  a pipe  ->  lines above the screen

Without the pipe, what jobs print would be drawn into the screen. It is in place while the screen is
shown, and only for those of the two that lead to a terminal. When the terminal is closed, the pipe
is still emptied: a job would wait for ever to print its next line.
"""

import os
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from rich.console import Console
from rich.live import Live
from rich.text import Text

from resweep.watch.progress import StudyProgress
from resweep.watch.screen import screen

END = b"\0"  # written by us behind all that was printed before the screen is taken away
CHUNK = 65536
STDOUT, STDERR = 1, 2


def is_terminal(*descriptors: int) -> bool:
    """Whether a screen can be drawn: all of these are terminals that can move their cursor."""
    return os.environ.get("TERM", "dumb") != "dumb" and all(map(os.isatty, descriptors))


class TerminalScreen:
    """A screen of studies at the bottom of the terminal that stderr leads to.

    Args:
        captures: Whether what this process and its children print is shown above it.
        color: Whether it has colors.
        note: Returns its last line; there is none once it is over.
    """

    def __init__(self, *, captures: bool, color: bool = True, note: Callable[[], str]):
        self._captures = captures
        self._note = note
        self._terminal = os.fdopen(os.dup(STDERR), "w", encoding="utf-8", errors="replace")
        self._console = Console(
            file=self._terminal,
            force_terminal=True,
            no_color=None if color else True,
            markup=False,
            highlight=False,
            emoji=False,
        )
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._saved: dict[int, int] = {}
        self._drained = threading.Event()
        self._lock = threading.Lock()
        self._is_shown = False
        self._drawn: tuple[Sequence[StudyProgress], int, int, str] | None = None

    def start(self) -> None:
        """Begin to show it."""
        with self._lock:
            self._is_shown = True
            self._live.start()
            if self._captures:
                self._capture()

    def show(self, studies: Sequence[StudyProgress]) -> None:
        """Draw studies as they are now."""
        columns, lines = shutil.get_terminal_size()
        with suppress(OSError):
            own = os.get_terminal_size(self._terminal.fileno())
            if own.columns and own.lines:  # some terminals, as those of containers, say 0
                columns, lines = own
        with self._lock:
            note = self._note()
            if self._is_shown and self._drawn != (studies, columns, lines, note):
                self._drawn = (studies, columns, lines, note)
                self._draw(note)

    def _draw(self, note: str) -> None:
        assert self._drawn is not None
        studies, columns, lines, _ = self._drawn
        self._console.size = columns, lines
        with suppress(OSError):
            self._live.update(screen(studies, columns, lines - 1, note), refresh=True)

    def print(self, text: str) -> None:
        """Print lines above it, with their colors."""
        with suppress(OSError):
            self._console.print(Text.from_ansi(text), soft_wrap=True)

    def stop(self) -> None:
        """Leave its last state where it is, and the terminal as it was before."""
        with self._lock:
            if not self._is_shown:
                return
            self._is_shown = False
            if self._saved:
                self._release()
            if self._drawn is not None:
                self._draw(note="")
            with suppress(OSError):
                self._live.stop()

    def _capture(self) -> None:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        reading, writing = os.pipe()
        for descriptor in filter(os.isatty, (STDOUT, STDERR)):
            self._saved[descriptor] = os.dup(descriptor)
            os.dup2(writing, descriptor)
        os.close(writing)
        threading.Thread(target=self._print_from, args=(reading,), daemon=True).start()

    def _release(self) -> None:
        """Give the terminal back to this process, once all is printed that was written before."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.write(next(iter(self._saved)), END)
        for descriptor, saved in self._saved.items():
            os.dup2(saved, descriptor)
            os.close(saved)
        self._saved.clear()
        self._drained.wait()

    def _print_from(self, reading: int) -> None:
        """Print what arrives: whole lines above the screen, and once it is gone just as it is."""
        begun = b""
        while chunk := os.read(reading, CHUNK):
            if self._drained.is_set():
                self._write(chunk)
                continue
            before, end, after = (begun + chunk).partition(END)
            *lines, begun = before.split(b"\n")
            if end and begun:
                lines.append(begun)
            for line in lines:
                self.print(line.rsplit(b"\r", 1)[-1].decode(errors="replace"))
            if end:
                self._drained.set()
                self._write(after)

    def _write(self, content: bytes) -> None:
        with suppress(OSError):
            os.write(self._terminal.fileno(), content)
