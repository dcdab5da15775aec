"""Whether the files of a study are what was written: every digest is verified.

    study.yaml, trial files, records, packs, rounds, decisions, rankings  ->  their own checks
    runs that records link to, older bests, data                          ->  resweep.store.verify

Nothing is believed because it is there, and nothing is changed: each damaged file is a line with
its fix.
"""

import csv
import io
import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from resweep.data.description import DESCRIPTION
from resweep.data.source import data_id
from resweep.errors import DamagedFile, ResweepError, describe
from resweep.json_files import read_json
from resweep.paths import Layout, run_of_link
from resweep.ranking.keep import how_to_restore, weights_command
from resweep.ranking.score_table import read_ranking
from resweep.report.tables import tabulate_study
from resweep.search.promote import check_decisions
from resweep.store.lasting_claims import claimed_runs
from resweep.store.outcome import OutcomeReader
from resweep.store.run import Run
from resweep.store.verify import PREPARED_AGAIN, verify_data, verify_run
from resweep.study import files
from resweep.study.described import read_described
from resweep.study.lost import find_lost
from resweep.study.study import Phase, Study
from resweep.systems.registry import find_system
from resweep.trials.decisions import MADE_AGAIN, read_decisions
from resweep.trials.pack import read_pack
from resweep.trials.trial import Outcome, read_trial

STARTED = "timestamp"  # in tables
WRITTEN_AGAIN = "delete it; the next call of snakemake writes what it needs"

Say = Callable[[str], None]


def find_damage(study: Study, layout: Layout, progress: Say = lambda _: None) -> Iterator[str]:
    """Yield a line for each damaged file of a study: the file, the damage, the fix.

    Args:
        study: As it was built.
        layout: Of the results folder, for reading only.
        progress: Called with what is verified next.
    """
    described = layout.study(study.name).described
    if described.exists():
        yield from _errors(read_described, described)
    yield from _missing_lines(study, layout)
    lost = find_lost(layout, study)
    if lost.store_missing is not None:
        yield lost.store_missing
        return
    for record in lost.runs:
        yield f"{lost.reason(record)}; `snakemake` trains it again"
    reader = OutcomeReader(layout)
    for phase in study.phases:
        yield from _verify_phase(phase, layout, reader, progress)
    yield from _errors(_check_table, study, layout)
    runs = runs_of(study, layout)
    for number, (run_id, (phase, slot)) in enumerate(sorted(runs.items()), 1):
        progress(f"run {number} of {len(runs)}: {run_id}")
        folder = layout.phase(study.name, phase.name)
        restore = weights_command(folder, slot)
        rank = f"snakemake --forcerun score_{phase.name} --config study={study.name}"
        run = Run(layout.run(run_id))
        yield from _damage(verify_run, run, restore, rank)
    system = find_system(study.system)
    folders = data_folders(study, layout)
    for number, place in enumerate(folders, 1):
        progress(f"data set {number} of {len(folders)}: {place.name}")
        yield from _damage(verify_data, system, place)
        yield from _damage(_verify_stamp, study, place, layout)
    for note in sorted(layout.weights_known.glob("*.json")):
        yield from _errors(read_json, note, "delete it; it is made again from the weights")


def runs_of(study: Study, layout: Layout) -> dict[str, tuple[Phase, str]]:
    """Return the runs that a study has in the store, each with a phase and a slot.

    They are those of its records, at rungs too, and its older bests.
    """
    found: dict[str, tuple[Phase, str]] = {}
    for phase in study.phases:
        folder = layout.phase(study.name, phase.name)
        for slot in files.all_slots(phase):
            run_id = run_of_link(folder.record(slot))
            if run_id is not None and layout.run(run_id).is_dir():
                found.setdefault(run_id, (phase, slot))
    phases = {phase.name: phase for phase in study.phases}
    for one in claimed_runs(study.name, layout):
        if one.standing is not None:
            phase = phases.get(one.standing["phase"], study.deciding)
            found.setdefault(one.run.run_id, (phase, one.standing["trial"]))
    return found


def data_folders(study: Study, layout: Layout) -> list[Path]:
    """Return the folders of all prepared data of a study, by its settings and its trial files."""
    settings = study.data_settings()
    for phase in study.phases:
        if not all(map(phase.is_known, phase.stages)):
            folder = layout.phase(study.name, phase.name)
            for slot in files.all_slots(phase):
                with suppress(ResweepError, OSError, KeyError):  # named by other checks
                    settings.append(read_trial(folder.trial(slot)).config["data"])
    system = find_system(study.system)
    ids = {data_id(system, one) for one in settings}
    ids |= {stamp.stem for stamp in layout.study(study.name).data_stamps()}
    return [layout.data(one) for one in sorted(ids) if layout.data(one).exists()]


def _damage(verify: Callable[..., Iterable[DamagedFile]], *of: Any) -> Iterator[str]:
    """Yield the lines of what a check yields; what it raises is one too."""
    try:
        for damage in verify(*of):
            yield str(damage)
    except (ResweepError, OSError) as error:
        yield from _lines(error)


def _errors(read: Callable[..., object], *of: Any) -> Iterator[str]:
    """Yield the lines of the error that reading a file raises; none if it is sound."""
    try:
        read(*of)
    except (ResweepError, OSError) as error:
        yield from _lines(error)


def _lines(error: ResweepError | OSError) -> list[str]:
    return [describe(error)] if isinstance(error, OSError) else str(error).splitlines()


def _missing_lines(study: Study, layout: Layout) -> Iterator[str]:
    """Yield the files of a study that are not there although all of its phases were ranked."""
    folders = [layout.phase(study.name, phase.name) for phase in study.phases]
    if not all(folder.scores.exists() for folder in folders):
        return
    own = layout.study(study.name)
    paths = [own.described, own.table, *files.artifacts(layout, study)]
    paths += [path for phase in study.phases for path in files.data_stamps(layout, phase)]
    paths += [folder.decisions for folder in folders]
    for path in dict.fromkeys(paths):
        if not path.exists():
            yield f"{path}: is missing; run snakemake: it is written again"


def _verify_phase(
    phase: Phase, layout: Layout, reader: OutcomeReader, progress: Say
) -> Iterator[str]:
    """Verify the files of a phase."""
    folder = layout.phase(phase.study, phase.name)
    outcomes: dict[Path, Outcome] = {}
    slots = files.all_slots(phase)
    for number, slot in enumerate(slots, 1):
        path = folder.record(slot)
        if path.exists():
            progress(f"{phase.name}: record {number} of {len(slots)}")
            try:
                outcomes[path] = reader.read(path)
            except (ResweepError, OSError) as error:
                yield from _lines(error)
    for file in folder.all_packs():
        yield from _errors(_check_pack, file)
    for number in sorted({stage.round for stage in phase.stages}):
        file = folder.round(number)
        if file.exists():
            yield from _errors(read_json, file, MADE_AGAIN)
    for stage in phase.stages:
        decided = folder.rung_decisions(stage.name)
        if not stage.last and decided.exists():
            of_round = files.stage_records(layout, phase, phase.stages_of_round(stage))
            known = [outcomes[path] for path in of_round if path in outcomes]
            if len(known) == len(of_round):
                yield from _errors(_check_rung, decided, known)
    for model in folder.models_kept():
        if model.is_symlink() and not model.exists():
            how = how_to_restore(folder, model.name)
            yield f"{model}: its weights are gone; restore them with {how}"
    if folder.scores.exists():
        yield from _errors(read_ranking, folder.scores, len(phase.trials))
    if folder.decisions.exists():
        yield from _errors(read_decisions, [folder.decisions])


def _check_pack(file: Path) -> None:
    if read_pack(file).id != file.stem:
        raise DamagedFile(file, "is not the pack that its name is the digest of", WRITTEN_AGAIN)


def _check_table(study: Study, layout: Layout) -> None:
    """Compare the study's table with its records; when a run began is known to its files alone."""
    file = layout.study(study.name).table
    records = [path for phase in study.phases for path in files.records(layout, phase)]
    if not file.exists() or not all(path.exists() for path in records):
        return
    wanted = tabulate_study(records, layout)
    tables = [list(csv.DictReader(io.StringIO(text))) for text in (file.read_text(), wanted)]
    for row, (ours, theirs) in enumerate(itertools.zip_longest(*tables), 1):
        found, known = ours or {}, theirs or {}
        for column in known.keys() & found.keys() - {STARTED} if ours and theirs else ["run_id"]:
            if found.get(column) != known.get(column):
                what = f"row {row}: {column} is {found.get(column)}, by its record"
                raise DamagedFile(file, f"{what} {known.get(column)}", MADE_AGAIN)


def _check_rung(decided: Path, outcomes: list[Outcome]) -> None:
    check_decisions(decided, read_decisions([decided]), outcomes)


def _verify_stamp(study: Study, place: Path, layout: Layout) -> Iterator[DamagedFile]:
    """Compare the study's stamp of data with the data."""
    stamp = layout.study(study.name).data_stamp(place.name)
    fix = f"delete it and run snakemake: it is written again; or {PREPARED_AGAIN}"
    try:
        noted = read_json(stamp, fix)
    except FileNotFoundError:
        return
    about = read_json(place / DESCRIPTION, fix)
    if noted.get("digest") != about.get("digest"):
        yield DamagedFile(stamp, "has another digest than the data", fix)
