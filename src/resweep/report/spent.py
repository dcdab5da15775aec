"""What a study spent, beside what training all of its runs to their ends would have taken.

    records              ->  how far each phase had each run trained, and why no further
    record.json of runs  ->  attempts and segments: steps, seconds, how each attempt ended

A run that several phases share counts in each as far as it went beyond the phases before. An
attempt belongs to the first phase that asked for more than where it began; what others trained
beyond all of them is left out. So `planned` is the sum of `steps` and of what was not trained.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resweep.errors import DamagedFile
from resweep.paths import Layout
from resweep.store.attempts import Attempts
from resweep.store.run import Run
from resweep.study import files
from resweep.study.study import Phase, Study
from resweep.trials.record import Record, Status, read_record

COMPLETED, INTERRUPTED = "completed", "interrupted"


@dataclass(kw_only=True)
class Untrained:
    """Runs that ended before their horizon.

    Attributes:
        runs: How many.
        steps: Steps that they were not trained.
        seconds: What these would have taken, at the speed of each run.
    """

    runs: int = 0
    steps: int = 0
    seconds: float = 0.0


@dataclass(kw_only=True)
class Spent:
    """What a phase took.

    Attributes:
        trials: How many it has.
        done: How many of them have a record.
        runs: Runs that it had trained, alone or further than the phases before.
        planned: Steps of these runs to their ends.
        steps: Steps of these runs as far as it had them trained.
        attempts: To train them.
        interrupted: Attempts that were told to stop, and saved.
        broken: Attempts that were killed or failed.
        untimed: Attempts that were killed before they could note their time.
        repeated: Steps that were trained more than once, not among `steps`.
        gpu_seconds: On GPUs, by the clock, times processes.
        training_seconds: The same on CPUs. On a busy machine it is more than the CPU time.
        by_rungs, by_monitors, diverged: What was not trained, and why.
    """

    trials: int = 0
    done: int = 0
    runs: int = 0
    planned: int = 0
    steps: int = 0
    attempts: int = 0
    interrupted: int = 0
    broken: int = 0
    untimed: int = 0
    repeated: int = 0
    gpu_seconds: float = 0.0
    training_seconds: float = 0.0
    by_rungs: Untrained = field(default_factory=Untrained)
    by_monitors: Untrained = field(default_factory=Untrained)
    diverged: Untrained = field(default_factory=Untrained)


def find_spent(study: Study, layout: Layout) -> dict[str, Spent]:
    """Return what each phase of a study took."""
    records = {phase.name: list(_records(phase, layout)) for phase in study.phases}
    found = spent_on(records, layout)
    for phase in study.phases:
        found[phase.name].trials = len(phase.trials)
    return found


def spent_on(records: Mapping[str, Sequence[Record]], layout: Layout) -> dict[str, Spent]:
    """Return what each phase took.

    Args:
        records: Of its trials, by phase, in the order of the study.
        layout: Where the runs are.
    """
    found = {name: Spent(trials=len(own), done=len(own)) for name, own in records.items()}
    reached: dict[str, dict[str, Record]] = {}  # run -> phase -> the record that got furthest
    for name, own in records.items():
        for record in own:
            if record.run_id is None or record.status is Status.INFEASIBLE:
                continue
            of_run = reached.setdefault(record.run_id, {})
            known = of_run.get(name)
            if known is None or known.step < record.step:
                of_run[name] = record
    for run_id, phases in reached.items():
        _add_run(Run(layout.run(run_id)), phases, found)
    return found


def _records(phase: Phase, layout: Layout) -> Iterator[Record]:
    """Yield the final records of a phase; the check of all digests names damaged ones."""
    for path in files.records(layout, phase):
        try:
            yield read_record(path)
        except DamagedFile:
            continue


def _add_run(run: Run, phases: Mapping[str, Record], found: Mapping[str, Spent]) -> None:
    """Add what a run took to the phases that had it trained."""
    try:
        attempts, segments = Attempts(run).all(), run.state().get("segments", [])
    except DamagedFile:
        attempts, segments = [], []
    # Another step than 0 if it continues another run.
    start = min((one["from_step"] for one in attempts), default=0)
    furthest = planned = start
    limits = []
    for name, record in phases.items():
        horizon = max(record.max_steps or 0, record.step)
        if record.step > furthest:
            limits.append((record.step, name))
            found[name].runs += 1
            found[name].steps += record.step - furthest
            furthest = record.step
        found[name].planned += max(0, horizon - planned)
        planned = max(planned, horizon)
    if limits and planned > furthest:
        name = limits[-1][1]
        untrained = _why(phases[name], found[name])
        untrained.runs += 1
        untrained.steps += planned - furthest
        untrained.seconds += (planned - furthest) * _seconds_per_step(segments)
    for attempt in attempts:
        _add_attempt(attempt, limits, found)
    _add_repeated(attempts, limits, found)
    for segment in segments:
        _add_time(segment, limits, found)


def _why(record: Record, spent: Spent) -> Untrained:
    """Return where a run counts that ended before its horizon."""
    if record.rule is not None:
        return spent.by_monitors
    return spent.by_rungs if record.stopped_at_rung else spent.diverged


def _seconds_per_step(segments: Iterable[Mapping[str, Any]]) -> float:
    segments = list(segments)
    steps = sum(one["to_step"] - one["from_step"] for one in segments)
    seconds = sum(one["seconds"] * one["processes"] for one in segments)
    return float(seconds / steps) if steps else 0.0


Limits = Sequence[tuple[int, str]]  # step and name of the phases that had a run trained further


def _phase_of(part: Mapping[str, Any], limits: Limits) -> str | None:
    """Return the phase that an attempt or a segment was for; None: another study."""
    return next((name for limit, name in limits if part["from_step"] < limit), None)


def _add_attempt(attempt: Mapping[str, Any], limits: Limits, found: Mapping[str, Spent]) -> None:
    name = _phase_of(attempt, limits)
    if name is None:
        return
    found[name].attempts += 1
    found[name].untimed += "seconds" not in attempt
    if attempt["end"] == INTERRUPTED:
        found[name].interrupted += 1
    elif attempt["end"] != COMPLETED:
        found[name].broken += 1


def _add_repeated(
    attempts: Sequence[Mapping[str, Any]], limits: Limits, found: Mapping[str, Spent]
) -> None:
    """Add the steps that an attempt trained although an earlier one had."""
    furthest = 0
    for attempt in attempts:
        name = _phase_of(attempt, limits)
        if name is not None:
            again = min(attempt["to_step"], furthest) - attempt["from_step"]
            found[name].repeated += max(0, again)
        furthest = max(furthest, attempt["to_step"])


def _add_time(segment: Mapping[str, Any], limits: Limits, found: Mapping[str, Spent]) -> None:
    name = _phase_of(segment, limits)
    if name is None:
        return
    seconds = segment["seconds"] * segment["processes"]
    if segment["device"].startswith("cpu"):
        found[name].training_seconds += seconds
    else:
        found[name].gpu_seconds += seconds
