"""The note of what W&B has of a run."""

from pathlib import Path

import pytest

from resweep.paths import RunFolder
from resweep.wandb.sent import NOTHING, begin, is_behind, note, sent_step

LINES = '{"step": 0}\n{"step": 5}\n{"step": 10}\n{"st'


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with lines up to step 10, trained to step 12."""
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.metrics.write_text(LINES)
    return folder


def test_a_run_that_was_never_tracked_lacks_nothing(run: RunFolder) -> None:
    assert sent_step(run) is None
    assert not is_behind(run, 12)


@pytest.mark.parametrize(("sent", "behind"), [(NOTHING, True), (5, True), (10, False), (15, False)])
def test_lines_after_the_noted_step_are_lacking(run: RunFolder, sent: int, behind: bool) -> None:
    begin(run, sent)
    assert (sent_step(run), is_behind(run, 12)) == (sent, behind)


def test_what_is_noted_stays_when_a_training_continues(run: RunFolder) -> None:
    begin(run, NOTHING)
    note(run, 10)
    begin(run, 5)
    assert sent_step(run) == 10


@pytest.mark.parametrize("content", ["", '{"step": "5"}', '{"step": 5, "checksum": "0"}', "[]"])
def test_of_a_damaged_note_everything_is_lacking(run: RunFolder, content: str) -> None:
    run.sent_to_wandb.write_text(content)
    assert sent_step(run) == NOTHING
    assert is_behind(run, 12)
    note(run, 10)
    assert sent_step(run) == 10


def test_a_run_without_metrics_lacks_nothing(run: RunFolder) -> None:
    begin(run, NOTHING)
    run.metrics.unlink()
    assert not is_behind(run, 12)


def test_a_run_that_was_forgotten_is_not_noted(run: RunFolder) -> None:
    run.path.rename(run.path.with_name("trash"))
    note(run, 10)
    assert not run.path.exists()
