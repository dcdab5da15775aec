"""How far W&B has the metrics of a run, in a small file of the run's folder.

    tracking begins         {"step": -1}, unless the file exists: W&B has nothing yet
    a W&B run is finished   {"step": 380}: it has all lines of metrics.jsonl up to there
    a later call            sends the lines after that step

A W&B run that was not finished does not count: offline, W&B keeps up to 32 KiB of a run in memory,
and they are lost with its process. Whoever sends holds `RunFolder.wandb_lock`.
"""

import logging

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from resweep.errors import DamagedFile
from resweep.files import may_write
from resweep.json_files import read_json, write_json
from resweep.paths import RunFolder
from resweep.training.metrics import parse

NOTHING = -1


class _Sent(TypedDict):
    """Content of the file."""

    step: int


_SENT = TypeAdapter(_Sent)

log = logging.getLogger(__name__)


def begin(run: RunFolder, step: int) -> None:
    """Note that a run is tracked, unless that is known.

    Args:
        run: The run.
        step: Up to where W&B has its lines, if nothing was noted before.

    Raises:
        OSError: The file cannot be written.
    """
    if not run.sent_to_wandb.exists():
        write_json(run.sent_to_wandb, {"step": step})


def note(run: RunFolder, step: int) -> None:
    """Note that W&B has a run's lines up to a step, unless the run was forgotten meanwhile."""
    if run.path.is_dir():
        write_json(run.sent_to_wandb, {"step": step})


def sent_step(run: RunFolder) -> int | None:
    """Return the step up to which W&B has a run's lines; None if the run was never tracked."""
    try:
        known: _Sent = read_json(run.sent_to_wandb, "all lines are sent to W&B again", _SENT)
    except FileNotFoundError:
        return None
    except DamagedFile as error:
        log.warning("%s", error)
        return NOTHING
    return known["step"]


def is_behind(run: RunFolder, step: int) -> bool:
    """Whether W&B lacks lines of a run that was tracked, and we may note that it got them.

    Args:
        run: The run.
        step: How far it was trained, at least.
    """
    sent = sent_step(run)
    if sent is None or sent >= step or not may_write(run.path) or not run.metrics.is_file():
        return False
    return parse(run.metrics.read_bytes()).last > sent
