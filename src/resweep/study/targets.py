"""What a call for a whole study asks Snakemake for.

A study ends in its tables, models and report, and in every record and trial file: Snakemake does
not miss a file whose readers exist. Asking for each of tens of thousands of files takes longer than
all the rest of a plan, so of these only those are asked for that nothing else asks for: what is
missing, unless a missing file is made from it.
"""

from collections.abc import Iterator
from pathlib import Path

from resweep.paths import Layout
from resweep.study import files
from resweep.study.study import Phase, Study


def targets(layout: Layout, study: Study) -> list[Path]:
    """Return the files that a call asks for: what is made last, and what nothing else asks for."""
    found: list[Path] = []
    for phase in study.phases:
        folder = layout.phase(study.name, phase.name)
        found += missing_files(layout, phase)
        found += files.rung_decisions(layout, phase, phase.stages)
        found += [folder.scores, folder.decisions, folder.models]
        found.append(folder.best_configs(phase.selects))
    own = layout.study(study.name)
    return [*found, own.described, own.table, own.report, *files.artifacts(layout, study)]


def missing_files(layout: Layout, phase: Phase) -> Iterator[Path]:
    """Yield missing records and trial files that no other missing file is made from."""
    folder = layout.phase(phase.study, phase.name)
    records = {slot: folder.record(slot) for slot in files.all_slots(phase)}
    missing = {slot: path for slot, path in records.items() if not path.exists()}
    read: set[Path] = set()
    if not folder.scores.exists():
        read.update(files.records(layout, phase))
    for fill in phase.fills(layout):
        if not all(path.exists() for paths in fill.outputs.values() for path in paths):
            read.update(fill.records)
    yield from (path for path in missing.values() if path not in read)
    # The job of a record that is missing writes the trial file too, or waits for it.
    trials = (folder.trial(slot) for slot in records if slot not in missing)
    yield from (path for path in trials if not path.exists())
