"""A terminal with one command in it, and what a person would see there."""

import contextlib
import fcntl
import os
import re
import select
import struct
import subprocess
import termios
from collections.abc import Callable, Mapping

import pytest

from tests.conftest import Checkout
from tests.support.warm import is_warm, warm_process

ROWS, COLUMNS = 30, 110
_CONTROL = re.compile(r"\x1b\[(\??[\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Terminal:
    """A terminal with one command in it.

    Args:
        checkout: Where it runs.
        command: The command.
        warm: Whether a warm process runs Snakemake and scripts. What these start does not get the
            signals of the terminal then.
        env: More variables.
    """

    def __init__(
        self,
        checkout: Checkout,
        *command: str,
        warm: bool = True,
        env: Mapping[str, str] | None = None,
    ):
        if warm and is_warm(command):
            command = (str(warm_process().commands / command[0]), *command[1:])
        self.screen, inner = os.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.shown = b""
        self.process = subprocess.Popen(
            command,
            cwd=checkout.path,
            env={**checkout.env, "TERM": "xterm-256color", **(env or {})},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inner)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Read what it shows until something has happened."""
        while not condition():
            ended = self.process.poll() is not None
            if select.select([self.screen], [], [], 0.005)[0]:
                try:
                    self.shown += os.read(self.screen, 65536)
                except OSError:  # how a terminal ends
                    ended = True
            if ended and not condition():
                pytest.fail("\n".join(["it ended before that:", *self.lines()]))

    def interrupt(self) -> list[str]:
        """Press Ctrl-C; returns the lines that are seen in the end and were not before."""
        before = self.lines()
        os.write(self.screen, b"\x03")
        after = self.read_to_end()
        return [line for line in after if line not in before]

    def read_to_end(self) -> list[str]:
        """Read until the command ends; returns the lines that are seen then."""
        with contextlib.suppress(OSError):  # how a terminal ends
            while chunk := os.read(self.screen, 65536):
                self.shown += chunk
        self.process.wait()
        os.close(self.screen)
        return self.lines()

    def lines(self) -> list[str]:
        """Return the lines that are seen now, those scrolled away included, without empty ones."""
        return [line for line in drawn(self.shown) if line.strip()]

    def close(self) -> int:
        """Close it; returns how the command ended."""
        os.close(self.screen)
        return self.process.wait()


def drawn(output: bytes) -> list[str]:
    """Return what a terminal shows after an output: text, moving up, and erasing lines."""
    lines, row, column = [""], 0, 0
    for found in _CONTROL.finditer(output.decode(errors="replace")):
        count, command, space, text = found.groups()
        if text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        elif space == "\r":
            column = 0
        elif space == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif command == "A":
            row = max(0, row - int(count or 1))
        elif command == "K" and count == "2":
            lines[row] = ""
    return lines
