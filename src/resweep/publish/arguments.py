"""The command-line arguments that all commands that publish an artifact share."""

import argparse
from pathlib import Path
from typing import Any

from resweep.command_line import JsonArgument, file_path, plain_text
from resweep.publish.place import Place
from resweep.study.publish_target import check_target


def add_place_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to call the artifact, where to publish it, and where to write its stamp."""
    add = parser.add_argument
    add("--artifact-name", required=True, help="name of the artifact")
    add("--project", type=plain_text, required=True, help="W&B project")
    add("--entity", default="", help="W&B user or team (the account's own)")
    add(
        "--mode",
        choices=("offline", "online", "disabled"),
        default="offline",
        help="W&B mode (offline)",
    )
    add("--to", type=JsonArgument(list, _targets), default=(), help="further targets, as JSON")
    add("--metadata", type=JsonArgument(), default={}, help="metadata to add, as JSON")
    add("--stamp", type=file_path, help="stamp to write (results/artifacts/NAME.json)")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")


def place_of(arguments: argparse.Namespace) -> Place:
    """Return where the arguments say to publish."""
    return Place(arguments.mode, arguments.project, arguments.entity or None, arguments.to)


def _targets(content: list[Any]) -> tuple[Any, ...]:
    try:
        return tuple(map(check_target, content))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
