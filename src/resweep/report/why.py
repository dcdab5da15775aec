"""Why a run is there: which trials it serves, who keeps its weights, who started from them.

    links of all studies   ->  the trials that a run serves, with their ranks
    claims                 ->  why its weights stay
    digests of weights     ->  the runs that started from it
    identity               ->  what would be another run, and so be trained

Only what is asked for is read: of a large store, its links and the states that name the weights.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.config.nesting import leaves
from resweep.errors import DamagedFile, ResweepError
from resweep.paths import BY_HAND, Layout, phase_and_slot, run_of_link
from resweep.ranking.score_row import ScoreRow
from resweep.ranking.score_table import read_scores
from resweep.report.meant import Place
from resweep.store import checkpoints as checkpoint
from resweep.store.lasting_claims import Why, read_standing
from resweep.store.run import Run
from resweep.systems.registry import system_of
from resweep.trials.trial import read_trial

RECIPE, DATA, WEIGHTS = "recipe", "data.digest", "run.weights"


@dataclass(frozen=True, kw_only=True)
class Service:
    """A slot whose record leads to a run.

    Attributes:
        place: The slot.
        record: Its record.
        row: Of the trial, in the ranking of its phase; None before that is ranked.
        ranks: The last rank of this ranking.
    """

    place: Place
    record: Path
    row: ScoreRow | None
    ranks: int


@dataclass(frozen=True, kw_only=True)
class Child:
    """A run that started from the weights of another one.

    Attributes:
        run_id: The run.
        steps: Of the weights that it started from.
    """

    run_id: str
    steps: tuple[int, ...]


def find_services(run_ids: Iterable[str], layout: Layout) -> dict[str, list[Service]]:
    """Return the slots whose records lead to runs, by run; those of trainings by hand too."""
    found: dict[str, list[Service]] = {run_id: [] for run_id in run_ids}
    rankings: dict[Path, list[ScoreRow]] = {}
    for study in layout.all_studies():
        for record in study.all_records():
            run_id = _run_of(record, found)
            if run_id is None:
                continue
            folder, slot = phase_and_slot(record)
            if folder.path not in rankings:
                rankings[folder.path] = _ranking(folder.scores)
            rows = rankings[folder.path]
            place = Place(study=study.path.name, phase=folder.path.name, slot=slot)
            trial = _trial_of(folder.trial(slot), slot)
            row = next((row for row in rows if row.trial == trial), None)
            ranks = max((row.rank for row in rows), default=0)
            found[run_id].append(Service(place=place, record=record, row=row, ranks=ranks))
    return found


def _run_of(record: Path, run_ids: Collection[str]) -> str | None:
    """Return which of some runs a record is of; of a trial that a rung stopped, it is a file."""
    if record.is_symlink():
        run_id = run_of_link(record)
        return run_id if run_id in run_ids else None
    try:
        content = record.read_bytes()
    except OSError:
        return None
    return next((run_id for run_id in run_ids if f'"{run_id}"'.encode() in content), None)


def _ranking(scores: Path) -> list[ScoreRow]:
    try:
        return read_scores(scores)
    except (DamagedFile, OSError):
        return []


def _trial_of(file: Path, slot: str) -> str:
    """Return the trial of a slot: at later rungs, it has another name."""
    if "/" not in slot:
        return slot
    try:
        return read_trial(file).trial
    except (ResweepError, OSError):
        return slot


def keeping_lines(run: Run) -> Iterator[str]:
    """Yield who keeps the weights of a run."""
    for claim in run.folder.all_claims():
        study, phase, trial = claim.name.split(".")
        yield f"{study}/{phase}/{trial} claims them, until its phase is ranked without it"
    for file in run.folder.all_lasting_claims():
        study, why = file.stem, file.parent.name
        standing = read_standing(run, study)
        since = "" if standing is None else f", since {standing['since']}"
        what = "were published by" if why == Why.PUBLISHED else "were the best of"
        yield f"they {what} study {study}{since}"


def find_children(run: Run, layout: Layout) -> list[Child]:
    """Return the runs that started from weights of a run, also where these are gone."""
    steps: dict[str, list[int]] = {}
    for step, digest in weights_of(run):
        steps.setdefault(digest, []).append(step)
    if not steps:
        return []
    sought = [digest.encode() for digest in steps]
    found = []
    for path in layout.all_runs():
        if path.name == run.run_id:
            continue
        other = Run(path)
        try:
            content = other.folder.state.read_bytes()  # far cheaper than checking each
        except OSError:
            continue
        if any(digest in content for digest in sought):
            weights = _started_from(content)
            if weights in steps:
                found.append(Child(run_id=path.name, steps=tuple(sorted(set(steps[weights])))))
    return found


def _started_from(content: bytes) -> str | None:
    try:
        weights: str | None = json.loads(content)["identity"]["run"]["weights"]
        return weights
    except (ValueError, LookupError, TypeError):
        return None


def weights_of(run: Run) -> Iterator[tuple[int, str]]:
    """Yield step and digest of all weights that a run has, or had where a trial ended."""
    try:
        for step, digest in run.state().get("checkpoints", {}).items():
            yield int(step), digest
    except DamagedFile:
        pass
    for path in run.folder.all_records():
        try:
            record = run.read_record(path)
        except DamagedFile:
            continue
        if record.weights is not None:
            yield record.step, record.weights
    for step in checkpoint.steps_of(run.path):
        try:
            yield step, checkpoint.weights_digest(run.path / checkpoint.folder_name(step))
        except DamagedFile:
            continue


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What another value of would be another run.

    Attributes:
        fields: Section -> name -> value; batch size is per step, warmup in steps.
        parent: What it started from, as RUN_ID/checkpoint_STEP or a folder; None: from scratch.
        recipe: The version of the recipe that trained it.
        recipe_now: That of the system now; None if that is not known.
        data: Digest of what it was trained on.
    """

    fields: Mapping[str, Mapping[str, Any]]
    parent: str | None
    recipe: str
    recipe_now: str | None
    data: str


def read_identity(run: Run) -> Identity:
    """Return what a run is named by.

    Raises:
        DamagedFile: Its state is damaged.
    """
    known = dict(leaves(run.state().get("identity", {}), entries=True))
    recipe, data = known.pop(RECIPE, ""), known.pop(DATA, "")
    now = parent = None
    try:
        config = run.config()
        if config:
            now = system_of(config).recipe(config)
            folder = config["run"]["checkpoint"] if known.get(WEIGHTS) else None
            parent = None if folder is None else "/".join(Path(folder).parts[-2:])
    except (ResweepError, LookupError):
        pass
    fields: dict[str, dict[str, Any]] = {}
    for path, value in sorted(known.items()):
        section, _, name = path.partition(".")
        fields.setdefault(section if name else "", {})[name or section] = value
    return Identity(
        fields=fields, parent=parent, recipe=str(recipe), recipe_now=now, data=str(data)
    )


def is_by_hand(place: Place) -> bool:
    """Whether it is not part of a study."""
    return place.study == BY_HAND
