"""A terminal that is closed while a screen is shown on it."""

import os
import select
import subprocess
import sys
from pathlib import Path

# Prints more than a pipe holds once the terminal is gone, as jobs of a build would.
PRINTS = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from resweep.watch.terminal import TerminalScreen
shown = TerminalScreen(captures=True, note=lambda: "a note")
shown.start()
shown.show([])
sys.stdin.read()
for _ in range(2000):
    print("x" * 100, flush=True)
shown.stop()
open(sys.argv[1], "w").write("done")
"""


def test_what_is_printed_after_a_terminal_is_closed_holds_nobody_up(tmp_path: Path) -> None:
    screen, inner = os.openpty()
    written = tmp_path / "written"
    process = subprocess.Popen(
        [sys.executable, "-c", PRINTS, written],
        stdin=subprocess.PIPE,
        stdout=inner,
        stderr=inner,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(inner)
    seen = b""
    while b"a note" not in seen:
        assert select.select([screen], [], [], 60)[0]
        seen += os.read(screen, 65536)
    os.close(screen)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    assert written.read_text() == "done"
