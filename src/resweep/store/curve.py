"""The curve of a run, metrics.jsonl, and what vouches for it.

    each record        has the digest of the lines up to its step
    each checkpoint    has a copy of the lines up to its step, checked by digest like its weights
    its intervals      say which steps have a line; all that older records and checkpoints leave

    metrics.jsonl  ->  lines up to a step, checked; from a copy if they are not what was logged

Nothing is decided, ranked or continued from lines that nothing vouches for.
"""

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.errors import DamagedFile, LockTimeout
from resweep.files import write_atomically
from resweep.json_files import refusing_others, set_aside
from resweep.paths import METRICS, RunFolder
from resweep.store import checkpoints as checkpoint
from resweep.store.lock import RunLock
from resweep.training.metrics import Intervals, Line, Parsed, content_digest, parse
from resweep.trials.record import Record, Status, read_record

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Witness:
    """What a record or a checkpoint says of the curve.

    Attributes:
        name: Of its file or folder.
        step: The step that it knows the lines up to.
        digest: Of these lines.
        copy: The lines themselves; None if it has only the digest.
    """

    name: str
    step: int
    digest: str
    copy: bytes | None = None

    def agrees(self, curve: Parsed) -> bool:
        """Whether a curve has its lines."""
        return content_digest(curve.content_up_to(self.step)) == self.digest


def record_curve(
    folder: RunFolder, record: Record, training: Mapping[str, Any], *, restore: bool = False
) -> list[Line]:
    """Return the lines of a run up to the step of one of its records, checked as by `read_curve`.

    Args:
        folder: The run's.
        record: The record.
        training: The `training` section of its configuration.
        restore: Whether to write a damaged file again from a copy, if nobody trains the run.

    Raises:
        DamagedFile: See `read_curve`.
    """
    if record.status in (Status.FAILED, Status.INFEASIBLE):  # nothing is concluded from them
        return parse(_content(folder)).up_to(record.step)
    up_to = _last_line(record)
    intervals = Intervals.of(training, record.max_steps)
    sound = _sound(folder, up_to, intervals)
    content = sound.content
    if record.step == record.max_steps:  # nothing comes after it
        content = sound.content_up_to(record.step)
    if restore and content != _content(folder):
        with suppress(LockTimeout, OSError), RunLock(folder.path, timeout=0.0):
            _write_back(folder, content)
    return sound.up_to(up_to)


def find_curve_damage(folder: RunFolder, record: Record, training: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the file itself up to the step of a record, as a predicate.

    Copies are not used; nothing after the step is looked at. Arguments of `record_curve`.
    """
    if record.status in (Status.FAILED, Status.INFEASIBLE):
        return None
    intervals = Intervals.of(training, record.max_steps)
    parsed = parse(_content(folder))
    damage = _find_damage(parsed, _last_line(record), intervals, _records(folder))
    if damage is None and record.step == record.max_steps:
        whole = parsed.content_up_to(record.step) == parsed.content
        return None if whole else f"has lines after step {record.step}, where the run ends"
    return damage


def has_copy(folder: RunFolder, record: Record, training: Mapping[str, Any]) -> bool:
    """Whether an intact copy has what a damaged file lacks; arguments of `record_curve`."""
    try:
        record_curve(folder, record, training)
    except DamagedFile:
        return False
    return True


def _last_line(record: Record) -> int:
    """Return the last step whose line belongs to a record."""
    # Where a value was not a number, nothing was logged.
    return record.step - 1 if record.status is Status.DIVERGED and not record.rule else record.step


def read_curve(
    folder: RunFolder, up_to: int, intervals: Intervals, also: int | None = None
) -> list[Line]:
    """Return the lines of a run up to a step, checked; from a copy where the file is damaged.

    Args:
        folder: The run's.
        up_to: The step.
        intervals: When the run logs.
        also: Return the lines up to this later step too, as far as they are there: unchecked.

    Raises:
        DamagedFile: They are not what was logged, and no checkpoint has a copy.
    """
    return _sound(folder, up_to, intervals).up_to(max(up_to, also or 0))


def restore_curve(folder: RunFolder, up_to: int, intervals: Intervals) -> None:
    """Write the lines up to a step back from a copy if they are damaged; needs the run's lock.

    Raises:
        DamagedFile: There is no copy.
    """
    content = _sound(folder, up_to, intervals).content
    if content != _content(folder):
        _write_back(folder, content)


def checkpoint_curve(place: Path, step: int, intervals: Intervals) -> bytes:
    """Return the lines up to the step of an intact checkpoint: its copy.

    Checkpoints of older versions have none: there, the lines are those of the file beside it, if
    all are there.

    Raises:
        DamagedFile: They are not.
    """
    copy = place / METRICS
    if copy.is_file():
        return copy.read_bytes()
    folder = RunFolder(place.parent)
    parsed = parse(_content(folder))
    damage = _find_damage(parsed, step, intervals, _records(folder))
    if damage is not None:
        raise _damaged(folder, damage)
    return parsed.content_up_to(step)


def _sound(folder: RunFolder, up_to: int, intervals: Intervals) -> Parsed:
    """Return the content of the file, or what replaces it; raises DamagedFile."""
    parsed = parse(_content(folder))
    records = _records(folder)
    if not any(record.step >= up_to for record in records):
        records += _copies(folder)
    damage = _find_damage(parsed, up_to, intervals, records)
    if damage is None:
        return parsed
    copies = list(_copies(folder))
    for witness in sorted(copies, key=lambda witness: -witness.step):
        assert witness.copy is not None
        tail = _after(parsed.content, witness.step)
        for restored in map(parse, (witness.copy + tail, witness.copy)):
            if _find_damage(restored, up_to, intervals, [*records, *copies]) is None:
                log.warning("%s: %s; using the copy in %s", folder.metrics, damage, witness.name)
                return restored
    raise _damaged(folder, damage)


def _damaged(folder: RunFolder, damage: str) -> DamagedFile:
    if not folder.metrics.is_file():
        damage = "is a folder" if folder.metrics.is_dir() else "is missing"
    fix = f"to train the run again: `resweep forget runs {folder.path.name}`, then snakemake"
    return DamagedFile(folder.metrics, damage, fix)


def _content(folder: RunFolder) -> bytes:
    try:
        with refusing_others(folder.metrics, ""):
            return folder.metrics.read_bytes()
    except (FileNotFoundError, DamagedFile):
        return b""


def _write_back(folder: RunFolder, content: bytes) -> None:
    if folder.metrics.is_dir():  # which no file replaces
        set_aside(folder.metrics, "is a folder")
    write_atomically(folder.metrics, content)


def _after(content: bytes, step: int) -> bytes:
    """Return the sound lines at the end of a file that are of later steps."""
    kept: list[bytes] = []
    following = math.inf  # step of the line after
    for text in reversed(content.splitlines(keepends=True)):
        lines = parse(text).lines
        if not lines or not step < lines[0]["step"] < following:
            break
        following = lines[0]["step"]
        kept.append(text)
    return b"".join(reversed(kept))


def _find_damage(
    parsed: Parsed, up_to: int, intervals: Intervals, witnesses: list[Witness]
) -> str | None:
    """Return what is wrong with the lines up to a step, as a predicate, or None."""
    if parsed.damage is not None and parsed.last < up_to:
        return parsed.damage
    steps = [line["step"] for line in parsed.up_to(up_to)]
    expected = intervals.steps(up_to)
    if steps != expected:
        if lacking := set(expected) - set(steps):
            return f"has no line of step {min(lacking)}"
        return "has lines that were not logged"
    # The first one from this step on vouches for all of them; those before, for a part.
    ordered = sorted(witnesses, key=lambda witness: witness.step)
    later = [witness for witness in ordered if witness.step >= up_to][:1]
    for witness in later or ordered[-1:]:
        if not witness.agrees(parsed):
            return f"its lines up to step {witness.step} are not those of {witness.name}"
    return None


def _records(folder: RunFolder) -> list[Witness]:
    found = []
    for file in folder.all_records():
        with suppress(DamagedFile):  # it vouches for nothing
            record = read_record(file)
            if record.curve is not None:
                name = f"{file.parent.name}/{file.name}"
                found.append(Witness(name, record.step, record.curve))
    return found


def _copies(folder: RunFolder) -> Iterator[Witness]:
    for step in checkpoint.steps_of(folder.path):
        place = folder.path / checkpoint.folder_name(step)
        copy = checkpoint.read_intact(place, METRICS)
        if copy is not None:
            yield Witness(place.name, step, content_digest(copy), copy)
