"""The checkpoints that an analysis is asked for: of a run, of a trial, or a folder of any origin.

RUN_ID                        all checkpoints of the run
a record of a trial           those up to where the trial ended
a run's folder                all that are in it; also a folder of another trainer
a checkpoint, a model folder  that one
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from resweep.errors import ConfigError, Problem
from resweep.paths import Layout, RunFolder, is_run_id
from resweep.store import checkpoints as checkpoint
from resweep.trials.record import read_record


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint: its folder, and its step if that is known."""

    folder: Path
    step: int | None

    @property
    def name(self) -> str:
        """Its step for people, or the name of its folder."""
        return self.folder.name if self.step is None else f"step {self.step}"

    @property
    def short(self) -> str:
        """Its step alone, or the name of its folder."""
        return self.folder.name if self.step is None else f"{self.step}"


@dataclass(frozen=True)
class Found:
    """What an analysis is asked for.

    Attributes:
        given: As it was named.
        run: The folder of the run in a store that it belongs to; None for folders of other trainers
            and models.
        checkpoints: By step.
    """

    given: str
    run: RunFolder | None
    checkpoints: list[Checkpoint]

    def only(self, steps: Sequence[int]) -> "Found":
        """Return it with the checkpoints of some steps; all without any.

        Raises:
            ConfigError: One is missing; names those that are there.
        """
        if not steps:
            return self
        known = {one.step: one for one in self.checkpoints}
        for step in steps:
            if step not in known:
                there = ", ".join(f"{one.step}" for one in self.checkpoints) or "none"
                hint = f"{self.given} has no such checkpoint; there are: {there}"
                raise ConfigError(Problem("command line", "--checkpoints", step, hint))
        return replace(self, checkpoints=[known[step] for step in sorted(set(steps))])


def find_checkpoints(given: str, layout: Layout) -> Found:
    """Return the checkpoints that a command line names.

    Args:
        given: As in the description of this module.
        layout: Of the results folder.

    Raises:
        ConfigError: There is no such run, record or folder, or it has no checkpoints.
        DamagedFile: The record is not one.
    """
    path, until = Path(given), None
    if is_run_id(given) and not path.is_dir():
        path = layout.run(given)
    elif path.suffix == ".json":
        record = read_record(path)
        if record.run_id is None:
            hint = f"the trial is {record.status}: it has no run, and no checkpoints"
            raise _wrong(given, hint)
        is_link = path.is_symlink()  # to records/ of the run, in whatever results folder
        path = path.resolve().parent.parent if is_link else layout.run(record.run_id)
        until = record.step
    if not path.is_dir():
        raise _wrong(given, "should be the id of a run, a record, or an existing folder")
    steps = [step for step in checkpoint.steps_of(path) if until is None or step <= until]
    found = [Checkpoint(path / checkpoint.folder_name(step), step) for step in steps]
    if found or RunFolder(path).state.is_file():
        if not found:
            hint = f"{path} has no checkpoint; set keep: all in the study (docs/gradients.md)"
            raise _wrong(given, hint)
        return Found(given, _run(path), found)
    real = path.resolve()  # models/{trial} and final_checkpoint are links
    return Found(given, _run(real.parent), [Checkpoint(path, checkpoint.step_of(real.name))])


def _run(folder: Path) -> RunFolder | None:
    run = RunFolder(folder)
    return run if run.config.is_file() and run.state.is_file() else None


def _wrong(given: str, hint: str) -> ConfigError:
    return ConfigError(Problem("command line", "RUN_OR_FOLDER", given, hint))
