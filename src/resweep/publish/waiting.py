"""Artifacts that wait: recorded offline, or not taken by a place, by what their files say."""

import logging
from pathlib import Path

from resweep.errors import DamagedFile
from resweep.json_files import read_json
from resweep.paths import Layout, StudyFolder

log = logging.getLogger(__name__)


def failed_commands(study: StudyFolder) -> list[list[str]]:
    """Return the command of each stamp of a study that notes a failure.

    A damaged stamp is reported: the next call of snakemake writes it again.
    """
    found: list[list[str]] = []
    for stamp in study.all_stamps():
        try:
            known = read_json(stamp, "delete it and run snakemake: it is written again")
        except DamagedFile as error:
            log.warning("%s", error)
            continue
        command = known.get("again")
        if isinstance(command, list) and command[:1] == ["python"]:
            found.append([str(word) for word in command])
    return found


def recorded_folders(study: StudyFolder, layout: Layout) -> list[Path]:
    """Return the folders in which W&B recorded artifacts of a study, sent or not."""
    found: list[Path] = []
    for description in study.all_versions():
        try:
            places = read_json(description, "it is written again").get("places", [])
        except DamagedFile as error:
            log.warning("%s", error)
            continue
        found += [layout.root / place["run"] for place in places if "run" in place]
    return found
