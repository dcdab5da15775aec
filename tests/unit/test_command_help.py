"""The help of a command: its examples stay lines; placeholders and defaults are shown."""

import argparse
from pathlib import Path

from resweep.command_help import HelpFormatter
from resweep.command_line import JsonArgument, file_path


def test_examples_placeholders_and_defaults() -> None:
    example = (
        "    python a.py --some-words --which --would --be --wrapped --if --this --was --prose"
    )
    parser = argparse.ArgumentParser(
        prog="a.py", description=f"Do it.\n\n{example}\n", formatter_class=HelpFormatter
    )
    add = parser.add_argument
    add("--results", type=file_path, default=Path("results"), help="folder")
    add("--seconds", type=float, default=2.5, help="seconds to wait (2.5)")
    add("--tracking", type=JsonArgument(), default={}, help="settings")
    add("--only", action="store_true", help="list only")
    add("--count", type=int, help="number")
    lines = parser.format_help().splitlines()
    assert example in lines
    shown = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("  --")}
    assert shown == {
        "--results": ["PATH", "folder", "(results)"],
        "--seconds": ["X", "seconds", "to", "wait", "(2.5)"],
        "--tracking": ["JSON", "settings"],
        "--only": ["list", "only"],
        "--count": ["N", "number"],
    }
