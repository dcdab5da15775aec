"""Every digest of a run and of a data set, verified: all files are read, nothing is changed.

record.json, config.yaml    checksum, identity, digest
records/                    checksum, run and step; the weights and the curve of that step
checkpoint_{step}/          the digest of each file, and that of the weights in record.json
claims, other small files   checksum
data.json and its files     checksum, the digest of each file, and of all together
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from resweep.canonical import file_digest
from resweep.data.description import read_description
from resweep.data.source import Source
from resweep.errors import DamagedFile
from resweep.json_files import read_json
from resweep.store import checkpoints as checkpoint
from resweep.store.curve import find_curve_damage, has_copy
from resweep.store.lasting_claims import STANDING
from resweep.store.run import Run
from resweep.store.state import check_identity, written_again
from resweep.trials.record import Record

PREPARED_AGAIN = "move the folder away and run snakemake: the data is prepared again"


def verify_run(run: Run, restore: str, rank: str) -> Iterator[DamagedFile]:
    """Yield what is damaged of a run.

    Args:
        run: The run.
        restore: The command that trains lost weights again.
        rank: The command that ranks its trials again.

    Raises:
        OSError: A file cannot be read.
    """
    state: dict[str, Any] = {}
    config: dict[str, Any] = {}
    try:
        state = run.state()
        check_identity(run.folder.state, state, run.run_id)
        config = run.config()
    except DamagedFile as error:
        yield error
    for path in (run.folder.state, run.folder.config):
        if not os.path.lexists(path) and run.folder.all_records():
            yield DamagedFile(path, "is missing", written_again(path))
    yield from _verify_small(run)
    records = []
    for path in run.folder.all_records():
        try:
            records.append(run.read_record(path))
        except DamagedFile as error:
            yield error
    yield from _verify_checkpoints(run, records, state.get("checkpoints", {}), restore)
    if "training" in config:
        yield from _verify_curve(run, records, config["training"], rank)


def _verify_small(run: Run) -> Iterator[DamagedFile]:
    folder = run.folder
    small = {
        folder.added_metrics: "repair it, or delete it to lose what was added",
        folder.micro_batch: "delete it; the next training finds it again",
        folder.sent_to_wandb: "delete it; all lines are sent to W&B again",
    }
    for path, fix in small.items():
        try:
            read_json(path, fix)
        except FileNotFoundError:
            continue
        except DamagedFile as error:
            yield error
    for path in folder.all_lasting_claims():
        try:
            read_json(path, f"the weights stay; delete it if they need not ({path.stem})", STANDING)
        except DamagedFile as error:
            yield error


def _verify_checkpoints(
    run: Run, records: Iterable[Record], noted: Mapping[str, str], restore: str
) -> Iterator[DamagedFile]:
    """Compare checkpoints with their digests, and these with what the run's files noted."""
    of_records = {record.step: record.weights for record in records if record.weights}
    for step in checkpoint.steps_of(run.path):
        place = run.path / checkpoint.folder_name(step)
        fix = f"move it away; to train it again: `{restore}`"
        damage = checkpoint.find_damage(place)
        if damage is None:
            weights = checkpoint.weights_digest(place)
            for where, known in (
                (run.folder.state.name, noted.get(f"{step}")),
                (f"the record of step {step}", of_records.get(step)),
            ):
                if known not in (None, weights):
                    damage = f"has other weights than {where} notes"
        if damage is not None:
            yield DamagedFile(place, damage, fix)


def _verify_curve(
    run: Run, records: Iterable[Record], training: Mapping[str, Any], rank: str
) -> Iterator[DamagedFile]:
    """Compare metrics.jsonl with the digests in records; one line for the first that differs."""
    for record in sorted(records, key=lambda record: record.step):
        damage = find_curve_damage(run.folder, record, training)
        if damage is not None:
            fix = f"to train the run again: `resweep forget runs {run.run_id}`, then snakemake"
            if has_copy(run.folder, record, training):
                fix = f"a checkpoint has a copy, which is used; to write it back: `{rank}`"
            yield DamagedFile(run.folder.metrics, damage, fix)
            return


def verify_data(source: Source, folder: Path) -> Iterator[DamagedFile]:
    """Yield what is damaged of prepared data; its files are read whatever their dates say.

    Args:
        source: What prepared it.
        folder: Where it is.

    Raises:
        OSError: A file cannot be read.
    """
    try:
        known = read_description(source, folder)
    except DamagedFile as error:
        yield error
        return
    for name, note in known.get("files", {}).items():
        file = folder / name
        if not file.is_file():
            yield DamagedFile(file, "is missing", PREPARED_AGAIN)
        elif file_digest(file) != note["sha256"]:
            yield DamagedFile(file, "was changed: its SHA-256 is not the noted one", PREPARED_AGAIN)
    try:
        found = source.recompute_digest(folder, known)
    except DamagedFile as error:
        yield error
        return
    except FileNotFoundError:
        return  # named above
    if found not in (None, known["digest"]) and "files" not in known:
        what = "its files do not have the digest that data.json notes"
        yield DamagedFile(folder, what, PREPARED_AGAIN)
