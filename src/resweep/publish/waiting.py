"""Artifacts that a place did not take, by their stamps, and the commands that try again."""

import logging

from resweep.errors import DamagedFile
from resweep.json_files import read_json
from resweep.paths import StudyFolder

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
