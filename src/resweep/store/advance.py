"""Advance a run towards a goal, under its lock, from the last checkpoint to a record.

    what the store has        is answered by its record, without a lock
    what it has in part       is continued from the last intact checkpoint
    what was pruned           is retrained beside the run, never over it
    what cannot be trained    has a record too: diverged, infeasible, failed

Caching, resuming after a kill, retries and sharing between studies all work this way:

    the metrics, seen by the trial's monitors  ->  where it ends
    the last intact checkpoint                 ->  where to continue from, in which folder
    training                                   ->  checkpoints, metrics, how the attempt ended
    resweep.store.recorder                     ->  the record
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from resweep.config.early_stopping_section import EarlyStopping
from resweep.data.opened import Opened
from resweep.errors import DamagedFile, Interrupted
from resweep.files import drop_temporaries
from resweep.json_files import set_aside
from resweep.paths import Layout
from resweep.store.attempts import MOST_WITHOUT_PROGRESS, Attempts
from resweep.store.curve import restore_curve
from resweep.store.goal import Goal
from resweep.store.heal import heal, is_sound, write_config
from resweep.store.lock import RunLock
from resweep.store.parent import require_parent
from resweep.store.provenance import code_digest
from resweep.store.recorder import Recorder
from resweep.store.retention import Policy, add_policy
from resweep.store.run import Run
from resweep.store.start import choose_start
from resweep.store.state import BEGUN
from resweep.store.training_attempt import Ends, Surroundings, TrainingAttempt, give_up
from resweep.training.clock import memory_mb
from resweep.training.device import device_memory, device_name
from resweep.trials.record import Status

log = logging.getLogger(__name__)


def advance(goal: Goal, surroundings: Surroundings, layout: Layout) -> Path:
    """Advance a run as far as a goal asks.

    Returns:
        The immutable record in the store.

    Raises:
        Interrupted: Asked to stop; everything up to now is saved.
        LockTimeout: Another process held the run for too long.
        LeaseLost: Another process took the run over.
        Exception: Whatever the training raised; if it fails alike a second time at the same step,
            the result is a record with status failed.
    """
    run = Run(layout.run(goal.run_id))
    memory = device_memory(surroundings.device)
    served = _find_record(run, goal, memory)
    if served is not None and is_sound(run, served):
        log.info("run %s: in the store (%s)", run.run_id, served.name)
        return served
    progress = {"step": 0}

    def details() -> dict[str, Any]:
        if surroundings.memory_mb is not None:
            used = surroundings.memory_mb()
        else:  # the other processes on this machine share the limit, and need about as much
            used = memory_mb(torch.device("cpu")) * surroundings.processes.local_world_size
        return {
            **progress,
            "memory_mb": round(used),
            "memory_limit_mb": surroundings.memory_limit_mb,
        }

    timeout, interrupted = surroundings.lock_timeout, surroundings.interrupted
    with RunLock(run.path, timeout, details, interrupted=interrupted) as lock:
        run = Run(run.path, lock.confirm)
        heal(run, goal)
        served = _find_record(run, goal, memory)
        if served is not None:
            log.info("run %s: trained by another process", run.run_id)
            return served
        return _advance(goal, surroundings, run, lock, progress)


def _advance(
    goal: Goal, surroundings: Surroundings, run: Run, lock: RunLock, progress: dict[str, int]
) -> Path:
    """Train, and write the record of the result; the lock is held.

    Args:
        goal: What is asked for.
        surroundings: What to train with.
        run: The run to advance.
        lock: Its lock.
        progress: Contains the step, for the lease.
    """
    for folder in (run.path, run.folder.records):
        drop_temporaries(folder)
    attempts = Attempts(run)
    recorder = Recorder(run, goal, device_name(surroundings.device))
    attempts.close(lock.previous)
    _open(run, goal)
    sound = _restore_curve(run, goal)
    ends = _find_ends(run, goal) if sound else Ends(until=goal.until, rules=goal.rules, stop=None)
    known = sound and (ends.stop is not None or run.knows_end(goal))
    if known and run.has_wanted(ends.until, goal):
        return recorder.replay(ends.until, ends.stop)
    start = choose_start(run, goal, ends.until)
    if start.begins or goal.system.rereads_weights(goal.config):
        require_parent(goal.system, goal.config)
        warning = goal.system.compare_weights(goal.config, goal.data)
        if warning is not None:
            log.warning("run %s: %s", run.run_id, warning)
    if attempts.count_from(start.step) >= MOST_WITHOUT_PROGRESS:
        last = ", ".join(attempt["end"] for attempt in attempts.all()[-3:])
        reason = f"{MOST_WITHOUT_PROGRESS} attempts without progress (the last ones: {last})"
        return give_up(run, recorder, start.step, ends.until, reason)
    progress["step"] = start.step
    if surroundings.interrupted():  # before building anything
        raise Interrupted(
            f"stopped at step {start.step} of {ends.until}; the same command continues"
        )
    add_policy(run, Policy.of(goal.training))
    with Opened(goal.data) as data:
        return TrainingAttempt(goal, surroundings, run, lock, progress, start, ends, data).train()


def _open(run: Run, goal: Goal) -> None:
    """Write into the run's folder what it is, if it is new."""
    if "identity" not in run.state():
        write_config(run, goal)
        run.update(
            status=BEGUN,
            step=0,
            max_steps=goal.max_steps,
            identity=goal.identity,
            code=code_digest(goal.system.name),
        )


def _find_record(run: Run, goal: Goal, memory: float | None) -> Path | None:
    """Return the record that answers a goal; None also where damaged metrics hide it."""
    try:
        return run.find_record(goal, memory)
    except DamagedFile:
        return None  # under the lock, they are restored


def _restore_curve(run: Run, goal: Goal) -> bool:
    """Restore damaged metrics of settled steps; returns whether they are sound.

    What no checkpoint has a copy of is set aside: the run is retrained beside, as far as needed.
    """
    ended = run.ended_state(goal)  # a record may be made again from it, whose lines these are
    finished = ended["step"] if ended.get("status") == Status.FINISHED else -1
    try:
        restore_curve(run.folder, max(run.settled_line(), finished), goal.intervals)
    except DamagedFile as error:
        if error.path.exists():
            set_aside(error.path, error.what)
        else:
            log.warning("%s: is gone; training its lines again", error.path)
        return False
    return True


def _find_ends(run: Run, goal: Goal) -> Ends:
    """Evaluate the trial's monitors on the run's settled metrics.

    Their verdict is final, even if this device rounds differently and would disagree.
    """
    stop = run.settled_stop(goal)
    until = goal.until if stop is None else stop.step
    rules = goal.rules
    if until <= run.settled_step():
        rules = replace(rules, settings=EarlyStopping())
    return Ends(until=until, rules=rules, stop=stop)
