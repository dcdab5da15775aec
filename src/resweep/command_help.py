"""How the commands format their --help: examples as they are, placeholders by type, defaults.

Where `resweep` runs a script, the script's examples call `resweep` too.
"""

import argparse
import re
from pathlib import Path
from typing import Any

from resweep.command_line import JsonArgument, count, file_path, id_of_run, positive, seconds
from resweep.commands import COMMANDS, NAME, SCRIPTS

PLACEHOLDERS: dict[Any, str] = {
    file_path: "PATH",
    int: "N",
    positive: "N",
    count: "N",
    float: "X",
    seconds: "SECONDS",
    id_of_run: "RUN_ID",
}


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description; adds each default that its help does not name."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        name = self._prog.partition(" ")[0]
        if name == NAME:
            scripts = {of.script: command for command, of in COMMANDS.items() if not of.words}
            text = re.sub(
                rf"(?:python {SCRIPTS}/)?\b(\w+\.py)\b",
                lambda found: f"{name} {scripts[found[1]]}" if found[1] in scripts else found[0],
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
