"""The weights that a run starts from: their location and their digest.

    run.checkpoint = RUN_ID, RUN_ID/STEP     found in the store, for every system
    any other name                           found by the system (a folder, a hub)

Their location is not part of a run; their digest is. It is stored in `results/weights/`: planning
hashes no file twice, and runs keep their names after the weights that they start from are pruned.
"""

import contextlib
import json
import logging
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from resweep.canonical import digest, file_digest
from resweep.errors import ConfigError, DamagedFile, Problem, StoreError
from resweep.files import is_denied
from resweep.json_files import read_json, write_json
from resweep.paths import Layout, RunFolder
from resweep.store import checkpoints
from resweep.systems.system import CHECKPOINT, System
from resweep.systems.values import Weights

CONFIG = "config.json"
WEIGHTS = "run.weights"


class _Note(TypedDict):
    """What is known about weights."""

    folder: str
    files: dict[str, list[int]]
    digest: str
    config: dict[str, Any]


_NOTE = TypeAdapter(_Note)
_RUN = re.compile(r"([0-9a-f]{12})(?:/(0|[1-9]\d*))?")

log = logging.getLogger(__name__)


def find_parent(system: System, config: Mapping[str, Any], layout: Layout) -> Weights | None:
    """Return the weights that a configuration starts from, or None where it names none.

    Raises:
        StoreError: They are missing, and were never seen.
    """
    key, name = system.weights_named(config)
    if name is None:
        return None
    folder = _locate(system, key, name, layout)
    # A name may refer to other weights later: what was downloaded last counts.
    note = _note(str(folder) if folder is not None else name, layout)
    known = _read_note(note)
    weights = system.weight_files(folder) if folder is not None else []
    if folder is None or not weights or not all(file.is_file() for file in weights):
        if known is None:
            why = _missing(system, key, name, folder, layout)
            raise StoreError(f"{key} = {name!r}: {why}")
        return Weights(folder=Path(known["folder"]), digest=known["digest"], config=known["config"])
    config_files = [folder / CONFIG] if (folder / CONFIG).is_file() else []
    status = {file.name: file.stat() for file in [*weights, *config_files]}
    seen = {file: [found.st_size, found.st_mtime_ns] for file, found in status.items()}
    if known is None or known["files"] != seen:
        known = {
            "folder": str(folder),
            "files": seen,
            "digest": _digest_of(folder, weights),
            "config": _read_config(config_files[0]) if config_files else {},
        }
        _write_note(note, known, layout)
    named = _note(name, layout)
    if key != CHECKPOINT and _read_note(named) != known:  # plans ask for it once per trial
        _write_note(named, known, layout)
    return Weights(folder=folder, digest=known["digest"], config=known["config"])


def parent_problem(
    system: System, config: Mapping[str, Any], layout: Layout, where: str, made: Collection[Path]
) -> Problem | None:
    """Return what is wrong with the name of the weights to start from, or None.

    Models of a hub are not looked for: a training downloads them.

    Args:
        system: What is trained.
        config: The configuration.
        layout: Of the results folder.
        where: The file that has the configuration, for messages.
        made: Folders below which the weights may be made before they are needed.
    """
    key, name = system.weights_named(config)
    digest_wanted = config["run"]["weights"]
    if name is None:
        hint = f"is the digest of the weights to start from, but {key} names none"
        return None if digest_wanted is None else Problem(where, WEIGHTS, digest_wanted, hint)
    try:
        folder = _locate(system, key, name, layout)
        if folder is None or any(folder.is_relative_to(place.absolute()) for place in made):
            return None
        found = [file for file in system.weight_files(folder) if file.is_file()]
        known = _read_note(_note(str(folder), layout))
        if not found and known is None:
            return Problem(where, key, name, _missing(system, key, name, folder, layout))
    except (OSError, ValueError) as error:  # of a name that no folder can have
        return Problem(where, key, name, f"cannot be a folder: {error}")
    if digest_wanted is None:
        return None
    parent = find_parent(system, config, layout)
    if parent is None or parent.digest == digest_wanted:
        return None
    hint = f"should be the digest of the weights to start from; {folder} has {parent.digest}"
    return Problem(where, WEIGHTS, digest_wanted, hint)


def _read_note(path: Path) -> dict[str, Any] | None:
    """Return a note; None if there is none, or if it is damaged: it is made from the weights."""
    try:
        note: dict[str, Any] = read_json(path, "it is written again", _NOTE)
        return note
    except FileNotFoundError:
        return None
    except DamagedFile as error:
        log.warning("%s", error)
        return None


def _write_note(note: Path, known: Mapping[str, Any], layout: Layout) -> None:
    """Write what is known about weights, unless it is not ours to write."""
    if layout.read_only:
        return
    try:
        write_json(note, known)
    except OSError as error:
        if not is_denied(error):
            raise


def _read_config(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise StoreError(f"{path}: is not JSON ({error}); copy the model there again") from None
    if not isinstance(content, dict):
        raise StoreError(f"{path}: should be a JSON object; copy the model there again")
    return content


def _note(name: str, layout: Layout) -> Path:
    return layout.weights(digest(name, 12))


def _locate(system: System, key: str, name: str, layout: Layout) -> Path | None:
    run = _RUN.fullmatch(name) if key == CHECKPOINT else None
    if run is None:
        return system.locate_weights(key, name)
    folder = RunFolder(layout.run(run[1]))
    if run[2] is None:
        return folder.final_checkpoint.absolute()
    return (folder.path / checkpoints.folder_name(int(run[2]))).absolute()


def _digest_of(folder: Path, files: list[Path]) -> str:
    """Digest of a folder's weights; of our own checkpoints, the one stored in them."""
    if (folder / checkpoints.DIGESTS).is_file():
        with contextlib.suppress(DamagedFile):  # computed, it says what the files are now
            return checkpoints.weights_digest(folder)
    return _computed_digest(files)


def _computed_digest(files: list[Path]) -> str:
    """SHA-256 of the one file, or of the names and digests of several."""
    digests = {file.name: file_digest(file) for file in files}
    return digests[files[0].name] if len(files) == 1 else digest(digests)


def _missing(system: System, key: str, name: str, folder: Path | None, layout: Layout) -> str:
    run = _RUN.fullmatch(name) if key == CHECKPOINT else None
    if folder is None:
        why = "is not a folder, and is not downloaded yet; a training downloads it"
    elif run:
        why = _missing_of_run(layout.run(run[1]), layout.runs_table)
    elif not folder.is_dir():
        why = f"{folder} does not exist; give {system.weights_wanted(key)}"
    else:
        why = f"{folder} has no model; it should contain {CONFIG} and model.safetensors"
    return why


def _missing_of_run(run: Path, table: Path) -> str:
    if not run.is_dir():
        return f"there is no run {run}; see {table} for the existing ones"
    steps = ", ".join(map(str, checkpoints.steps_of(run)))
    if steps:
        return f"run {run.name} has no such checkpoint; it has those of steps {steps}"
    return f"run {run.name} no longer has weights; train it again with keep: all"


def note_parent(resolved: dict[str, Any], parent: Weights | None) -> None:
    """Write into a configuration the folder and digest of the weights that it starts from.

    Raises:
        ConfigError: They are not the requested ones.
    """
    run = resolved["run"]
    if run["weights"] not in (None, parent and parent.digest):
        found = f"{parent.folder} has {parent.digest}" if parent else "it starts from none"
        hint = f"should be the digest of the weights to start from; {found}"
        raise ConfigError(Problem("trial", "run.weights", run["weights"], hint))
    if parent is not None:
        run |= {"checkpoint": str(parent.folder), "weights": parent.digest}


def resumed_step(resolved: Mapping[str, Any]) -> int | None:
    """Return the step at which a run continues another one; None if it starts at step 0.

    Args:
        resolved: Its configuration, with the folder of its initial weights.

    Raises:
        ConfigError: They are not a checkpoint of a run of the store.
    """
    run = resolved["run"]
    if not run["resume"]:
        return None
    folder = Path(run["checkpoint"])
    step = checkpoints.step_of((folder.resolve() if folder.is_symlink() else folder).name)
    if step is None:
        hint = "continues a run; run.checkpoint should be RUN_ID or RUN_ID/STEP"
        raise ConfigError(Problem("trial", "run.resume", True, hint))
    return step


def require_parent(system: System, resolved: Mapping[str, Any]) -> None:
    """Refuse to train without the weights to start from, or with others than planned.

    Raises:
        StoreError: Names the folder and what to do.
    """
    digest_of_weights = resolved["run"]["weights"]
    if digest_of_weights is None:
        return
    folder = Path(resolved["run"]["checkpoint"])
    files = system.weight_files(folder)
    if not files or not all(file.is_file() for file in files):
        raise StoreError(
            f"{folder}: the weights to start from are gone; restore them (of a run: train it again "
            "with keep: all; otherwise download or copy them again), or set run.checkpoint to "
            "where they are"
        )
    if _computed_digest(files) != digest_of_weights:
        raise StoreError(f"{folder}: the weights to start from have changed since this was planned")


def is_fetched(system: System, config: Mapping[str, Any], layout: Layout) -> bool:
    """Whether no weights have to be downloaded before a training."""
    key, name = system.weights_named(config)
    return name is None or key == CHECKPOINT or _note(name, layout).is_file()


def fetch_parent(system: System, config: Mapping[str, Any], layout: Layout) -> None:
    """Download weights that were never seen here.

    Raises:
        StoreError: They cannot be downloaded.
    """
    if not is_fetched(system, config, layout):
        system.fetch_weights(config)
