"""How the commands format their --help: examples as they are, placeholders by type, defaults.

Where `resweep` runs a script, the script's examples call `resweep` too. It says how, since a script
that knew all commands would be another one with each of them, and its rules would run again.
"""

import argparse
import re
from pathlib import Path
from typing import Any

from resweep.command_line import JsonArgument, count, file_path, id_of_run, positive, seconds

PLACEHOLDERS: dict[Any, str] = {
    file_path: "PATH",
    int: "N",
    positive: "N",
    count: "N",
    float: "X",
    seconds: "SECONDS",
    id_of_run: "RUN_ID",
}

SHOWN_AS: dict[str, str] = {}  # script -> its name in examples, where `resweep` runs one


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description; adds each default that its help does not name."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if SHOWN_AS:
            text = re.sub(
                r"(?:python workflow/scripts/)?\b(\w+\.py)\b",
                lambda found: SHOWN_AS.get(found[1], found[0]),
                text,
            )
        return super()._fill_text(text, width, indent)

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        if isinstance(action.type, JsonArgument):
            return "JSON"
        return PLACEHOLDERS.get(action.type, action.dest.upper())

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text, default = action.help, action.default
        shown = isinstance(default, str | Path | int | float) and not isinstance(default, bool)
        if text is None or not shown or f"{default}" in ("", argparse.SUPPRESS, "{}"):
            return text
        return text if text.endswith(")") else f"{text} ({default})".replace("%", "%%")
