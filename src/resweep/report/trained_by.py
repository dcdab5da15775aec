"""The training setup of a phase, in words: model, data, initial weights, hardware.

trial files, {run}/config.yaml, {run}/record.json, records  ->  TrainedBy

The system describes model, data and initial weights; sizes and hardware work the same for all.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resweep.config.training_section import Training
from resweep.errors import DamagedFile
from resweep.paths import Layout
from resweep.plurals import span_text
from resweep.store.run import Run
from resweep.store.state import written_again
from resweep.systems.system import System
from resweep.systems.values import TrainedRun
from resweep.trials.record import Record
from resweep.trials.trial import Outcome

MOST_VALUES = 3  # listed for one fact; swept values have a column in the ranking
MACHINES = "trained on"
LEAST_MILLIONS = 100_000  # parameters; below, a size is not written in millions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedBy:
    """The setup that the trials of a phase share; differing values are listed, best trial first.

    Attributes:
        facts: Title -> text: what the system describes (the model's size is added to the first
            entry), and the devices, with the number of processes.
    """

    facts: dict[str, str]


def trained_runs(outcomes: Iterable[Outcome], layout: Layout) -> Iterator[TrainedRun]:
    """Yield the trials that were trained; those whose configuration is damaged or gone are skipped.

    Args:
        outcomes: The trials, the best first.
        layout: Where the runs are.
    """
    for outcome in outcomes:
        if outcome.record.run_id is not None:
            run = Run(layout.run(outcome.record.run_id))
            try:
                config = run.config()
            except DamagedFile as error:
                log.warning("%s", error)
                continue
            if not config:
                file = run.folder.config
                log.warning("%s", DamagedFile(file, "is missing", written_again(file)))
                continue
            yield TrainedRun(
                trial=outcome.trial.trial,
                asked=outcome.trial.config,
                config=config,
                folder=run.path,
                step=outcome.record.step,
                metrics=outcome.record.metrics,
                checkpoint=run.checkpoint(outcome.record.step),
            )


def describe_training(
    trained: Sequence[TrainedRun], outcomes: Iterable[Outcome], system: System, layout: Layout
) -> TrainedBy | None:
    """Describe the setup of the trained trials; None without any.

    Args:
        trained: These trials, the best first.
        outcomes: All trials, the best first.
        system: What was trained.
        layout: Where the runs are.
    """
    if not trained:
        return None
    described: dict[str, list[str]] = {}
    for run in trained:
        for title, text in system.describe(run).items():
            described.setdefault(title, []).append(text)
    machines: list[str] = []
    sizes: list[int] = []
    for outcome in outcomes:
        if outcome.record.run_id is None:
            continue
        asked: Training = system.schema.validate(outcome.trial.config).training
        machines += _machines(outcome.record, asked, _segments(outcome.record.run_id, layout))
        if outcome.record.parameters is not None:
            sizes.append(outcome.record.parameters)
    facts = {title: _listed(texts) for title, texts in described.items()}
    if sizes:
        model = next(iter(facts), "model")
        parts = [*([facts[model]] if model in facts else []), f"{_size(sizes)} parameters"]
        facts[model] = ", ".join(parts)
    return TrainedBy({**facts, MACHINES: _listed(machines)})


def _segments(run_id: str, layout: Layout) -> list[dict[str, Any]]:
    """Return the segments of a run; none if its state is damaged."""
    try:
        segments: list[dict[str, Any]] = Run(layout.run(run_id)).state().get("segments", [])
        return segments
    except DamagedFile as error:
        log.warning("%s", error)
        return []


def _machines(record: Record, asked: Training, segments: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name the hardware of each segment of a run; only the trial knows the number of nodes."""
    found = []
    for part in segments:
        if part["from_step"] >= record.step:  # for trials that continued from there
            continue
        count, engine = part["processes"], part.get("engine")
        text = part["device"]
        if count > 1:
            nodes = asked.nodes if asked.processes == count else 1
            text += f", {count} processes"
            text += f" on {nodes} nodes" if nodes > 1 else ""
            text += f" ({engine})" if engine else ""
        found.append(text)
    return found or ([record.device] if record.device else [])


def _size(sizes: Collection[int]) -> str:
    if min(sizes) < LEAST_MILLIONS:
        return span_text(sizes)
    return f"{span_text((size / 1e6 for size in sizes), 3)}M"


def _listed(values: Iterable[str]) -> str:
    """List the distinct values, at most `MOST_VALUES` of them."""
    different = list(dict.fromkeys(values))
    more = len(different) - MOST_VALUES
    rest = [f"{more} more"] if more > 0 else []
    return " / ".join(different[:MOST_VALUES] + rest)
