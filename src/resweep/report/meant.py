"""The run or the trial that a command line means, by any of its names."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from resweep.errors import ConfigError, Problem
from resweep.paths import NAME, RECORDS, TRIALS, Layout, is_run_id, run_of_link
from resweep.trials.record import read_record

MOST_NAMED = 6
_PREFIX = re.compile(r"[0-9a-f]{1,12}")
_SLOT = re.compile(rf"({NAME})/({NAME})/({NAME}(?:/{NAME})*)")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A slot of a phase.

    Attributes:
        study, phase: Where it is.
        slot: As `Layout` takes it.
    """

    study: str
    phase: str
    slot: str

    def __str__(self) -> str:
        return f"{self.study}/{self.phase}/{self.slot}"


@dataclass(frozen=True, kw_only=True)
class Meant:
    """What is meant.

    Attributes:
        run_id: The run; None for a trial that has none.
        place: The trial, where one was named.
    """

    run_id: str | None
    place: Place | None


def find_meant(given: str, layout: Layout) -> Meant:
    """Return the run or trial that is meant.

    Args:
        given: A run's id or the beginning of it; STUDY/PHASE/TRIAL; the name of a trial; a path of
            a record, of a trial file, or of anything in a run's folder.
        layout: Of the results folder.

    Raises:
        ConfigError: There is none, or there are several.
    """
    place = _place_of(given, layout)
    if place is not None:
        return Meant(run_id=run_of_place(place, layout), place=place)
    run_id = _run_of_path(Path(given), layout)
    if run_id is not None:
        return Meant(run_id=run_id, place=None)
    found = [path.name for path in layout.all_runs() if path.name.startswith(given)]
    if _PREFIX.fullmatch(given) and found:
        if len(found) > 1:
            raise _error(given, "is the beginning of several runs", found)
        return Meant(run_id=found[0], place=None)
    trials = [
        Place(study=path.parents[2].name, phase=path.parents[1].name, slot=given)
        for path in _named(given, layout)
    ]
    if len(trials) == 1:
        return Meant(run_id=run_of_place(trials[0], layout), place=trials[0])
    if trials:
        raise _error(given, "is the name of several trials", list(map(str, trials)))
    raise _error(
        given, f"is not a run of {layout.runs}, nor a trial: name a run, or STUDY/PHASE/TRIAL", []
    )


def run_of_place(place: Place, layout: Layout) -> str | None:
    """Return the run of a trial that has one, whether it is in the store or not."""
    record = layout.record(place.study, place.phase, place.slot)
    run_id = run_of_link(record)
    if run_id is None and record.is_file():
        run_id = read_record(record).run_id
    return run_id


def _named(name: str, layout: Layout) -> list[Path]:
    if not re.fullmatch(NAME, name):
        return []
    return sorted(layout.root.glob(f"*/*/{RECORDS}/{name}.json"))


def _place_of(given: str, layout: Layout) -> Place | None:
    """Return the trial that a path, or STUDY/PHASE/TRIAL, names."""
    path = Path(given)
    parts = _below(path, layout.root)
    if parts is not None and len(parts) > 3 and parts[2] in (RECORDS, TRIALS):
        slot = "/".join(parts[3:]).rpartition(".")[0]
        return Place(study=parts[0], phase=parts[1], slot=slot)
    found = _SLOT.fullmatch(given)
    if found is None or path.exists():
        return None
    return Place(study=found[1], phase=found[2], slot=found[3])


def _below(path: Path, folder: Path) -> tuple[str, ...] | None:
    """Return the parts of a path below a folder, links not followed; None if it is elsewhere."""
    place = Path(os.path.normpath(path.absolute()))
    for above in (Path(os.path.normpath(folder.absolute())), folder.resolve()):
        if place.is_relative_to(above):
            return place.relative_to(above).parts
    return None


def _run_of_path(path: Path, layout: Layout) -> str | None:
    """Return the run whose folder a path is, or is in."""
    if not path.exists():
        return None
    parts = _below(path.resolve(), layout.runs.resolve())
    return parts[0] if parts and is_run_id(parts[0]) else None


def _error(given: str, what: str, found: list[str]) -> ConfigError:
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    listed = f": {', '.join(found[:MOST_NAMED])}{more}" if found else ""
    return ConfigError(Problem("command line", "RUN_OR_TRIAL", given, f"{what}{listed}"))
