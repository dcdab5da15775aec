"""Damaged files of a run: found, set aside, and written again from its sound ones.

    records/{step}.json   set aside; made again from the run's state, its metrics, or a checkpoint
    record.json           written again: identity from the goal, the rest from sound files
    config.yaml           written again from the goal
    checkpoint_{step}/    set aside, if its list of digests is damaged

Attempts and segments are only in the state: where it is damaged they are lost, with a warning.
"""

import logging
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.canonical import file_digest
from resweep.config.training_section import Training
from resweep.errors import DamagedFile, ResweepError
from resweep.files import write_atomically
from resweep.json_files import set_aside
from resweep.paths import Layout, PhaseFolder
from resweep.store import checkpoints as checkpoint
from resweep.store.goal import Goal
from resweep.store.retention import Policy
from resweep.store.run import Run
from resweep.store.state import BEGUN, check_identity
from resweep.trials.record import Record, Status
from resweep.trials.trial import read_trial

log = logging.getLogger(__name__)


def is_sound(run: Run, record: Path) -> bool:
    """Whether a record of a run, and the small files beside it, are what was written."""
    try:
        step = run.read_record(record).step
        if "identity" not in _read_state(run) or not run.config():
            return False  # one of them is gone
        if run.has_weights(step):
            checkpoint.weights_digest(run.path / checkpoint.folder_name(step))
    except DamagedFile as error:
        log.warning("%s: %s", error.path, error.what)
        return False
    return True


def heal(run: Run, goal: Goal) -> None:
    """Set damaged files of a run aside, and write its state and configuration again.

    Needs the run's lock. Records are made again by whoever finds that they are missing.
    """
    records = _sound_records(run)
    checkpoint.set_aside_unlisted(run.path)
    try:
        state = _read_state(run)
    except DamagedFile as error:
        set_aside(error.path, error.what)
        state = {}
    if not state and (records or checkpoint.steps_of(run.path)):
        _write_state(run, goal, records)
    try:
        lost = not os.path.lexists(run.folder.config) and "identity" in run.state()
        run.config()
    except DamagedFile as error:
        aside = set_aside(error.path, error.what)
        write_config(run, goal)
        begun = aside.lstat().st_mtime_ns  # tables show when a run began
        os.utime(run.folder.config, ns=(begun, begun))
        return
    if lost:
        log.warning("%s: is missing; written again", run.folder.config)
        write_config(run, goal)


def write_config(run: Run, goal: Goal) -> None:
    """Write the run's configuration, and note its digest in the state."""
    write_atomically(run.folder.config, yaml12.dump(goal.config))
    run.update(config_digest=file_digest(run.folder.config))


def _read_state(run: Run) -> dict[str, Any]:
    """Return the run's state, its identity checked; raises DamagedFile."""
    state = run.state()
    check_identity(run.folder.state, state, run.run_id)
    return state


def _sound_records(run: Run) -> list[Record]:
    sound = []
    for path in run.records().values():
        try:
            sound.append(run.read_record(path))
        except DamagedFile as error:
            set_aside(path, error.what)
    return sound


def _write_state(run: Run, goal: Goal, records: list[Record]) -> None:
    """Write the state again, as far as other files have it."""
    steps = checkpoint.steps_of(run.path)
    ended = [record for record in records if record.status is not Status.INFEASIBLE]
    last = max(ended, key=lambda record: record.step, default=None)
    state: dict[str, Any] = {
        "identity": goal.identity,
        "max_steps": goal.max_steps,
        "status": BEGUN if last is None else last.status.value,
        "step": max([*steps, 0 if last is None else last.step]),
        "policies": [asdict(policy) for policy in _policies(run)],
        "checkpoints": {
            f"{step}": checkpoint.weights_digest(run.path / checkpoint.folder_name(step))
            for step in steps
        },
    }
    if last is not None:
        state["metrics"] = dict(last.metrics)
        known = {
            "code": last.code,
            "parameters": last.parameters,
            "gpu_seconds": last.gpu_seconds,
            "reason": last.stop_reason,
        }
        state |= {name: value for name, value in known.items() if value is not None}
    run.update(**state)
    log.warning(
        "%s: written again from the run's records and checkpoints; its earlier attempts and "
        "segments are lost",
        run.folder.state,
    )


def _policies(run: Run) -> list[Policy]:
    """Return which checkpoints the trials that claim the run keep, by their trial files."""
    layout = Layout(run.path.parent.parent)
    found: list[Policy] = []
    for claim in run.folder.all_claims():
        study, phase, trial = claim.name.split(".")
        found += _policies_of(layout.phase(study, phase), trial)
    return list(dict.fromkeys(policy for policy in found if policy != Policy()))


def _policies_of(phase: PhaseFolder, trial: str) -> list[Policy]:
    found = []
    for file in phase.trials.glob(f"**/{trial}.yaml"):  # at a rung, in the rung's folder
        try:
            training = read_trial(file).config["training"]
            found.append(Policy.of(Training.model_validate(training)))
        except (ResweepError, ValueError, LookupError, OSError) as error:
            log.warning("%s: not read: %s", file, error)
    return found
