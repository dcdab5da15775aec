"""What the commands that train a list of configurations have in common."""

import argparse
from pathlib import Path
from typing import Any

from resweep.agents.sweep_study import read_changes
from resweep.command_line import file_path, plain_text, positive


def add_rerun_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how a list is trained."""
    add = parser.add_argument
    add("--max-train-steps", "--max_train_steps", type=positive, help="(the study's)")
    add("--study", type=plain_text, help="study whose base to use (that of config/config.yaml)")
    add("--set", type=plain_text, nargs="*", default=[], metavar="NAME=VALUE", help="other values")
    add("--create-only", "--create_only", action="store_true", help="write the files and exit")
    add("--config-dir", type=file_path, default=Path("config"), help="studies (config)")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")


def changes_of(given: argparse.Namespace) -> dict[str, Any]:
    """Return the values that these options set: path -> value.

    Raises:
        ConfigError: A word of --set is not NAME=VALUE.
    """
    changes = read_changes(given.set)
    if given.max_train_steps is not None:
        changes["training.max_steps"] = given.max_train_steps
    return changes
