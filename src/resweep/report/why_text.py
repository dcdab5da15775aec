"""Why a run or a trial is there, as text."""

import json
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from resweep.data.description import DESCRIPTION, read_description
from resweep.data.source import data_id
from resweep.errors import ConfigError, DamagedFile, Problem, ResweepError
from resweep.files import size_of
from resweep.paths import Layout
from resweep.ranking.old_bests import size_text
from resweep.report.drift import source_drift
from resweep.report.meant import Meant, Place
from resweep.report.text_table import WIDTH
from resweep.report.waits import waiting_lines
from resweep.report.why import (
    Child,
    Service,
    find_children,
    find_services,
    is_by_hand,
    keeping_lines,
    read_identity,
)
from resweep.store import checkpoints as checkpoint
from resweep.store.run import Run
from resweep.systems.registry import system_of
from resweep.trials.record import read_record

FORGET = "python workflow/scripts/forget.py"


def why_lines(meant: Meant, layout: Layout, config_dir: Path) -> Iterator[str]:
    """Yield all that is known of a run or a trial.

    Args:
        meant: Which.
        layout: Of the results folder, for reading only.
        config_dir: Where studies and modules are.

    Raises:
        ConfigError: There is no such run or trial.
    """
    place = meant.place
    run = None if meant.run_id is None else Run(layout.run(meant.run_id))
    if run is None or not run.path.is_dir():
        if place is None:
            hint = f"is not in {layout.runs}"
            raise ConfigError(Problem("command line", "RUN_OR_TRIAL", meant.run_id, hint))
        yield from _untrained_lines(meant, place, layout, config_dir)
        return
    children = find_children(run, layout)
    found = find_services([run.run_id, *(child.run_id for child in children)], layout)
    services = found[run.run_id]
    yield _run_line(run)
    yield from _service_lines(services, place)
    yield from _parent_lines(run)
    yield from _weights_lines(run)
    yield from _children_lines(children, found)
    yield from _target_lines(services)
    yield from _again_lines(run, services, layout)


def _untrained_lines(meant: Meant, place: Place, layout: Layout, config_dir: Path) -> Iterator[str]:
    """Yield why a trial has no run, and what it waits for."""
    record = layout.record(place.study, place.phase, place.slot)
    if meant.run_id is None and record.exists():
        yield f"trial {place}: {read_record(record).end_text}, without a run"
        return
    waits = [f"  {line}" for line in waiting_lines(place, layout, config_dir)]
    gone = f"its run {meant.run_id} is gone from the store"
    yield f"trial {place}: {gone if meant.run_id is not None else 'has no result yet'}"
    yield "waits for"
    yield from waits
    yield "to name it"
    yield f"  {target_command(record, place.study)}"


def _run_line(run: Run) -> str:
    try:
        state = run.state()
    except DamagedFile as error:
        return f"run {run.run_id}: {error.path} {error.what}"
    step, horizon = state.get("step", 0), state.get("max_steps")
    of = "" if horizon is None else f" of {horizon}"
    return (
        f"run {run.run_id}: {state.get('status', 'never started')} at step {step}{of}, {run.path}"
    )


def _service_lines(services: list[Service], place: Place | None) -> Iterator[str]:
    yield "serves" if services else "serves no trial: no record leads to it"
    for one in services:
        row = one.row
        text = "not ranked yet"
        if is_by_hand(one.place):
            text = "trained by hand"
        elif row is not None:
            final = "" if row.final is None else f", final {row.final:.4f}"
            text = f"rank {row.rank} of {one.ranks}, {row.status} at step {row.step}{final}"
        mark = "  (this one)" if one.place == place else ""
        yield f"  {one.place}: {text}{mark}"


def _parent_lines(run: Run) -> Iterator[str]:
    try:
        parent = read_identity(run).parent
    except DamagedFile:  # named below
        return
    if parent is not None:
        yield f"starts from {parent}"


def _weights_lines(run: Run) -> Iterator[str]:
    steps = checkpoint.steps_of(run.path)
    keeping = list(keeping_lines(run))
    if not steps:
        yield "weights: none; they were pruned, or never saved"
    else:
        names = ", ".join(checkpoint.folder_name(step) for step in steps)
        size = sum(size_of(run.path / checkpoint.folder_name(step)) for step in steps)
        spare = f"nothing keeps them: `{FORGET} checkpoints` drops them"
        yield f"weights: {names}, {size_text(size)}; {'kept:' if keeping else spare}"
    yield from (f"  {line}" for line in keeping)


def _children_lines(children: list[Child], services: Mapping[str, list[Service]]) -> Iterator[str]:
    yield "started from it" if children else "started from it: no run"
    for child in children:
        steps = ", ".join(map(str, child.steps))
        places = ", ".join(str(one.place) for one in services[child.run_id])
        yield f"  run {child.run_id}, from step {steps}: {places or 'serves no trial'}"


def target_command(record: Path, study: str) -> str:
    """Return the command that has Snakemake make a record alone."""
    return shlex.join(["snakemake", str(record), "--config", f"study={study}"])


def _target_lines(services: list[Service]) -> Iterator[str]:
    named = [one for one in services if not is_by_hand(one.place)]
    if named:
        yield "to name it"
    yield from (f"  {target_command(one.record, one.place.study)}" for one in named)


def _again_lines(run: Run, services: list[Service], layout: Layout) -> Iterator[str]:
    """Yield what would have it trained again, and what would not."""
    yield "would train again"
    studies = dict.fromkeys(one.place.study for one in services if not is_by_hand(one.place))
    builds = [f"snakemake --config study={study}" for study in studies]
    yield f"  when forgotten: `{'; '.join([f'{FORGET} runs {run.run_id}', *builds])}`"
    try:
        identity = read_identity(run)
    except DamagedFile as error:
        yield f"  its identity is not known: {error}"
        return
    if identity.recipe_now not in (None, identity.recipe):
        yield f"  now: its recipe was {identity.recipe}, and is {identity.recipe_now}"
    else:
        yield f"  with another recipe than {identity.recipe}, raised when the code's numbers change"
    yield f"  on other data than {identity.data[:12]}: {_data_text(run, identity.data, layout)}"
    yield "  with another value of one of these"
    for section, values in identity.fields.items():
        pairs = (f"{name} {json.dumps(value)}" for name, value in values.items())
        text = f"{section}: {', '.join(pairs)}".removeprefix(": ")
        yield from textwrap.wrap(
            text,
            WIDTH,
            initial_indent="    ",
            subsequent_indent="      ",
            break_on_hyphens=False,
            break_long_words=False,
        )
    yield (
        "not: when its records are deleted (the next call links them again), with other code, "
        "device, name, tracking or keep policy"
    )


def _data_text(run: Run, digest: str, layout: Layout) -> str:
    """Return whether the data of a run is what it was trained on."""
    try:
        config = run.config()
        system = system_of(config)
        folder = layout.data(data_id(system, config["data"]))
        known = read_description(system, folder)
    except (ResweepError, LookupError, ValueError):
        return "its settings are not known"
    except OSError:
        return "it is not prepared now"
    if known["digest"] != digest:
        return f"{folder / DESCRIPTION} has another digest now"
    change = source_drift(system, folder)
    return f"{folder} has it" if change is None else change
