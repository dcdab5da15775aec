"""A version sent to W&B, in a child process: into its files offline, or to its server."""

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.canonical import digest
from resweep.config.schema import SYSTEM
from resweep.errors import DamagedFile
from resweep.json_files import read_json
from resweep.local_paths import without_folders
from resweep.paths import Layout, RunFolder, publish_lock, tracking_log
from resweep.publish.leaving import Machine
from resweep.publish.place import Place
from resweep.publish.versions import Content, Description
from resweep.systems.registry import is_system, system_of
from resweep.systems.system import DEFAULT
from resweep.training.metrics import parse
from resweep.trials.record import Record, Status, read_record
from resweep.wandb import process as wandb_process
from resweep.wandb import upload

SECONDS_TO_PUBLISH = 90.0
SLOWEST_BYTES_PER_SECOND = 1e6
_A_VERSION = re.compile(r"v\d+")  # W&B's own; no alias can be called so


def aliases_of(content: Content) -> list[str]:
    """Return the names of a version that move on to the next one."""
    study = content.metadata.get("study")
    names = ["latest", *(["best"] if content.type == "model" else [])]
    if isinstance(study, str) and not _A_VERSION.fullmatch(study):
        names.append(study)
    return list(dict.fromkeys(names))


def send_to_wandb(
    known: Description,
    content: Content,
    place: Place,
    versions: Path,
    layout: Layout,
    machine: Machine,
) -> dict[str, Any]:
    """Send a version; returns where it went, or the error.

    Args:
        known: The version.
        content: What it was made from.
        place: Where to.
        versions: Folder of the artifact's versions.
        layout: Paths in the answer are relative to its results folder.
        machine: Where this is.
    """
    if place.mode == "disabled":
        return {}
    # Relative to where we are, and where `wandb sync` is called: W&B records this path.
    folder = Path(os.path.relpath(versions / known["version"]))
    directory = versions.parents[2].absolute()
    size = sum((folder / name).stat().st_size for name in known["files"])
    seconds = SECONDS_TO_PUBLISH + size / SLOWEST_BYTES_PER_SECOND
    run = None if content.run is None else RunFolder(content.run)
    tracked = run is not None and run.sent_to_wandb.exists()
    # Always the same run: what was killed and is published again is not there twice.
    own = digest([known["name"], known["digest"], content.metadata.get("study")], 12)
    order = {
        "folder": str(folder),
        "seconds": seconds,
        "lock": str(publish_lock(directory)),
        "run_folder": str(run.path.absolute()) if run is not None and tracked else None,
        "summary": last_values(run) if run is not None and tracked else {},
        "uses": _in_mode(content.uses, place),
        "aliases": aliases_of(content),
        "artifact": {
            "name": known["name"],
            "type": known["type"],
            "metadata": without_folders(known["metadata"], machine.known)
            | {key: known[key] for key in ("version", "digest")},
        },
        "init": {
            **place.described(),
            "dir": str(directory),
            "id": f"publish-{own}",
            "resume": "allow",
            "job_type": "publish",
            "name": f"publish/{known['name']}",
            "group": known["metadata"].get("study"),
        },
    }
    went = _call(order, seconds, tracking_log(directory, f"publish-{known['name']}"))
    if "run" in went:
        went["run"] = os.path.relpath(went["run"], layout.root.absolute())
    return went


def last_values(run: RunFolder) -> dict[str, Any]:
    """Return the last value of each metric of a run and how it ended, as W&B's summary has them.

    W&B writes a summary whenever a run ends, also after one that only logged an artifact.
    """
    found: dict[str, Any] = {}
    for file, prefix in ((run.metrics, ""), (run.timing, "timing/")):
        lines = parse(file.read_bytes()).lines if file.is_file() else []
        for line in lines:
            found |= {f"{prefix}{name}": value for name, value in line.items() if name != "step"}
    records = [read_record(path) for path in run.all_records()]
    if not records:
        return found
    last = max(records, key=lambda record: (record.step, record.status == Status.FINISHED))
    if last.status == Status.FINISHED:
        found |= last.metrics  # also those that are only logged at the end
    if last.rule is not None:
        found |= {"stop_rule": last.rule, "stop_reason": last.stop_reason}
    return found | _end_in_words(run, last)


def _end_in_words(run: RunFolder, record: Record) -> dict[str, str]:
    """Return how the training of a record ended in the words of its system, if it has some."""
    config = yaml12.load_mapping(run.config) if run.config.is_file() else {}
    if not config or not is_system(config.get(SYSTEM, DEFAULT)):
        return {}
    system = system_of(config)
    if system.stop_column is None:
        return {}
    return {system.stop_column: system.stop_text(record.status, record.rule, config)}


def _in_mode(uses: Sequence[str], place: Place) -> list[str]:
    """Return the artifacts that can be named as used: offline, W&B takes none."""
    return list(uses) if place.mode == "online" else []


def _call(order: dict[str, Any], seconds: float, output: Path) -> dict[str, Any]:
    """Run the child process; returns its answer, or the error."""
    with tempfile.TemporaryDirectory() as temporary:
        answer = Path(temporary) / "answer.json"
        try:
            process = wandb_process.start(upload.__name__, {**order, "answer": str(answer)}, output)
            with process:
                try:
                    code = process.wait(seconds + 2.0)  # it exits by itself before that
                except subprocess.TimeoutExpired:
                    process.kill()
                    return {"error": f"did not finish within {seconds:.0f} s"}
        except OSError as error:
            return {"error": f"could not start: {error}"}
        if code or not answer.exists():
            return {"error": wandb_process.last_line(output)}
        try:
            went: dict[str, Any] = read_json(answer, "it is written again")
            return went
        except DamagedFile as error:
            return {"error": str(error)}
