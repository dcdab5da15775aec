"""What a trial waits for that has no result yet.

a job that fills it              ->  records, rankings and lists that this job reads
its data, weights to start from  ->  what the store answers
"""

from collections.abc import Iterator
from pathlib import Path

from resweep.errors import ConfigError, Problem
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.report.meant import Place
from resweep.search.stages import Stage
from resweep.store.answer import Infeasible, Served, Unknown, answer
from resweep.study.fill import Fill
from resweep.study.find import find_study
from resweep.study.load import load_study
from resweep.study.study import Phase
from resweep.trials.trial import Trial, read_trial

MOST_NAMED = 3


def waiting_lines(place: Place, layout: Layout, config_dir: Path) -> Iterator[str]:
    """Yield what a trial waits for.

    Args:
        place: The trial.
        layout: Of the results folder.
        config_dir: Where studies and modules are.

    Raises:
        ConfigError: There is no such study, phase or trial; or the study has errors.
    """
    phase, stage, slot = _find(place, config_dir)
    file = layout.trial(place.study, place.phase, slot)
    if phase.is_known(stage):
        yield from _answer_lines(phase.known_trial(slot.rpartition("/")[2], stage), layout)
    elif file.exists():
        yield from _answer_lines(read_trial(file), layout)
    else:
        fills = {path: fill for fill in phase.fills(layout) for path in _trials_of(fill)}
        yield from _fill_lines(fills[file], file)


def _find(place: Place, config_dir: Path) -> tuple[Phase, Stage, str]:
    """Return the phase, the stage and the slot of a trial, by its study's file."""
    study = load_study(find_study(place.study, config_dir, "command line"), config_dir)
    phases = {phase.name: phase for phase in study.phases}
    if place.phase not in phases:
        hint = f"study {study.name} has no phase {place.phase}; there are: {', '.join(phases)}"
        raise ConfigError(Problem("command line", "RUN_OR_TRIAL", str(place), hint))
    phase = phases[place.phase]
    for stage in phase.stages:
        if place.slot in stage.slots:
            return phase, stage, place.slot
        if place.slot in stage.names and stage.first:  # its result comes from the first rung on
            return phase, stage, stage.slot(place.slot)
    some = ", ".join(phase.trials[:MOST_NAMED])
    hint = f"phase {phase.name} has no such trial; its first ones are: {some}"
    raise ConfigError(Problem("command line", "RUN_OR_TRIAL", str(place), hint))


def _trials_of(fill: Fill) -> list[Path]:
    return list(fill.outputs.get("trials", ()))


def _answer_lines(trial: Trial, layout: Layout) -> Iterator[str]:
    """Yield what the store says of a trial whose configuration is known."""
    if trial.empty is not None:
        yield f"nothing: there is nothing to fill it with ({trial.empty})"
        return
    found = answer(trial, layout)
    if isinstance(found, Infeasible):
        yield f"nothing: it cannot be trained ({found.reason})"
    elif isinstance(found, Unknown):
        yield found.reason
    elif isinstance(found, Served):
        yield f"nothing: run {found.run.run_id} is in the store, and the next call links it"
    else:
        yield f"its training: run {found.run.run_id} to step {found.goal.until}"


def _fill_lines(fill: Fill, file: Path) -> Iterator[str]:
    """Yield what the job reads that writes a trial's file."""
    yield f"the job that writes {file} ({fill.script}), and that for:"
    records = [path for path in fill.records if not path.exists()]
    inputs = [path for paths in fill.inputs.values() for path in paths if not path.exists()]
    if records:
        some = ", ".join(map(str, records[:MOST_NAMED]))
        more = f" and {len(records) - MOST_NAMED} more" if len(records) > MOST_NAMED else ""
        yield f"  {counted(len(records), 'record')} of {len(fill.records)}: {some}{more}"
    yield from (f"  {path}" for path in inputs)
    if not records and not inputs:
        yield "  nothing: the next call runs it"
