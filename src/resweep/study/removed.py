"""Trials and packs that are no longer part of a study.

    {phase}/records/{slot}.json, {phase}/trials/{slot}.yaml   ->   {phase}/removed/
    {phase}/packs/{digest}.json                               ->   deleted: the study has all of it

No result is deleted: the runs stay in the store, and a value that comes back is linked again.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from resweep.files import may_write
from resweep.paths import Layout, PhaseFolder
from resweep.plurals import counted
from resweep.study import files
from resweep.study.study import Phase, Study

log = logging.getLogger(__name__)


def move_removed(layout: Layout, study: Study) -> None:
    """Move the files of trials that no phase of a study has any more.

    Those of a phase stay where they are if another user's folders do not let us move all of them.

    Raises:
        OSError: A file cannot be moved.
    """
    for phase in study.phases:
        folder = layout.phase(study.name, phase.name)
        found = list(_removed(layout, phase))
        places = {folder.path, *(file.parent for file in found)}
        if not found or not all(map(may_write, places)):
            continue
        for file in found:
            _move(file, folder)
        trials = counted(len({file.stem for file in found}), "trial")
        log.warning("moved the files of %s no longer in the study to %s", trials, folder.removed)


def _removed(layout: Layout, phase: Phase) -> Iterator[Path]:
    """Yield the existing records and trial files of a phase that are not among its own."""
    folder = layout.phase(phase.study, phase.name)
    slots = files.all_slots(phase)
    own = {*map(folder.record, slots), *map(folder.trial, slots)}
    for file in (*folder.all_records(), *folder.all_trials()):
        if file not in own:
            yield file


def delete_old_packs(layout: Layout, study: Study) -> None:
    """Delete the files of packs that a study has no more, where we may."""
    for phase in study.phases:
        folder = layout.phase(study.name, phase.name)
        known = {folder.pack(content.id) for content in files.pack_files(phase)}
        for file in folder.all_packs():
            if file not in known and may_write(file.parent):
                file.unlink(missing_ok=True)


def _move(file: Path, folder: PhaseFolder) -> None:
    """Move a file into the folder of removed ones, which is one level deeper."""
    place = folder.removed / file.relative_to(folder.path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    if file.is_symlink() and not file.readlink().is_absolute():
        place.symlink_to(Path("..", file.readlink()))
        file.unlink()
    else:
        file.rename(place)
