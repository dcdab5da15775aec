"""This folder: where its files are, and its run store under the name saved_models."""

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resweep.agents.sweep_study import read_changes
from resweep.command_line import file_path
from resweep.errors import StoreError
from resweep.paths import Layout

HOME = Path(__file__).resolve().parents[2]
CONFIGS = Path("straightening_dynamics/train/configs")
SETTINGS = Path("config/studies/experiment.yaml")
STORE = "saved_models"
LAYOUT = Layout()


def config_file(text: str) -> Path:
    """Read the path of a file, as an argument's type; it is relative to the caller's folder."""
    path = file_path(text).expanduser()
    return path if Path.cwd() == HOME else path.absolute()


def add_config(parser: argparse.ArgumentParser, name: str, default: str) -> None:
    """Add the argument of a configuration, which may be left out."""
    parser.add_argument(
        name,
        nargs="?",
        type=config_file,
        metavar=name.upper(),
        default=CONFIGS / default,
        help=f"path of the file ({CONFIGS / default})",
    )


def split_changes(words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the words that are not NAME=VALUE, and name -> value of those that are."""
    changes = [word for word in words if re.match(r"[A-Za-z_][\w.-]*=", word)]
    return [word for word in words if word not in changes], read_changes(changes)


def enter() -> None:
    """Work in this folder from now on, with saved_models as the run store.

    Raises:
        StoreError: Another store is in its place.
    """
    os.chdir(HOME)
    store = Path(STORE)
    store.mkdir(exist_ok=True)
    LAYOUT.root.mkdir(exist_ok=True)
    if not os.path.lexists(LAYOUT.runs):
        LAYOUT.runs.symlink_to(os.path.relpath(store.resolve(), LAYOUT.root.resolve()))
    if LAYOUT.runs.resolve() != store.resolve():
        raise StoreError(
            f"{LAYOUT.runs}: should be a link to {STORE}; move its runs there, and remove it"
        )
    table = store / LAYOUT.runs_table.name
    if not os.path.lexists(table):
        table.symlink_to(os.path.relpath(LAYOUT.runs_table.absolute(), store.resolve()))
