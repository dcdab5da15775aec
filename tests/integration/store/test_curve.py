"""metrics.jsonl, damaged: it comes back, or the run is trained again, or a line names the file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from resweep.data.store import Prepared
from resweep.errors import DamagedFile, Interrupted
from resweep.json_files import read_json
from resweep.paths import METRICS, TIMING, Layout
from resweep.store.advance import advance
from resweep.store.attempts import Attempts
from resweep.store.curve import record_curve
from resweep.store.retention import claim, release
from resweep.store.run import Run
from resweep.training.gradient_learner import GradientLearner
from resweep.trials.record import read_record
from tests.support.asked import Asked, ask, run_of
from tests.support.tiny import configure, prepare

STEPS = [0, 4, 6, 8, 12]
SAVED = 8  # where the half-trained run was interrupted


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    torch.set_num_threads(1)
    return prepare(tmp_path_factory.mktemp("data"))


def request(data: Prepared, **options: Any) -> Asked:
    changes = options.pop("changes", {})
    return ask(configure(data, training__save_steps=4, **changes), data, **options)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Run:
    """The run as an undisturbed training leaves it."""
    layout = Layout(tmp_path_factory.mktemp("whole"))
    advance(*request(data), layout)
    return run_of(request(data), layout)


@pytest.fixture(scope="module")
def half_trained(data, tmp_path_factory) -> Run:
    layout = Layout(tmp_path_factory.mktemp("half"))
    run = run_of(request(data), layout)

    def interrupted() -> bool:
        lines = run.folder.metrics
        return lines.exists() and f'"step": {SAVED}' in lines.read_text()

    with pytest.raises(Interrupted):
        advance(*request(data, interrupted=interrupted), layout)
    assert run.state()["step"] == SAVED
    return run


@pytest.fixture
def half(half_trained, tmp_path) -> Run:
    run = Run(tmp_path / "runs" / half_trained.run_id)
    shutil.copytree(half_trained.path, run.path)
    return run


def layout_of(run: Run) -> Layout:
    return Layout(run.path.parent.parent)


DAMAGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "empty": lambda lines: [],
    "first half cut": lambda lines: lines[2:],
    "one line lost": lambda lines: [lines[0], *lines[2:]],
    "a line twice": lambda lines: [lines[0], lines[1], *lines[1:]],
    "all lines twice": lambda lines: [*lines, *lines],
    "two lines swapped": lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
    "a digit changed": lambda lines: [lines[0], lines[1].replace(b'"lr": 0.0', b'"lr": 0.1')],
    "garbage between": lambda lines: [lines[0], b"\xff\x80garbage\n", *lines[1:]],
    "garbage at the end": lambda lines: [*lines, b"garbage\n"],
    "zeros": lambda lines: [lines[0], b"\0" * 40 + b"\n", *lines[1:]],
    "an empty object": lambda lines: [lines[0], b"{}\n", *lines[1:]],
    "no step": lambda lines: [lines[0], b'{"step": null}\n', *lines[1:]],
    "deep": lambda lines: [lines[0], b"[" * 100_000 + b"\n", *lines[1:]],
    "a step that is text": lambda lines: [lines[0], b'{"step": "4"}\n', *lines[1:]],
    "a list": lambda lines: [b"[]\n", *lines[1:]],
    "a number": lambda lines: [lines[0], b"5\n", *lines[1:]],
    "an empty line": lambda lines: [lines[0], b"\n", *lines[1:]],
    "another run's line": lambda lines: [lines[0], b'{"step": 4, "train/loss": 1.5}\n', *lines[2:]],
    "a value that is text": lambda lines: [b'{"step": 0, "val/loss": "low"}\n', *lines[1:]],
}

# No line of it is read.
AFTER_THE_END = (DAMAGES["all lines twice"], DAMAGES["garbage at the end"])


def spoil(file: Path, damage: Callable[[list[bytes]], list[bytes]]) -> None:
    before = file.read_bytes()
    file.write_bytes(b"".join(damage(before.splitlines(keepends=True))))
    assert file.read_bytes() != before


def without_copies(run: Run) -> None:
    """Make checkpoints as older versions wrote them."""
    for digests in run.path.glob("checkpoint_*/digests.json"):
        known = read_json(digests, "")
        del known[METRICS]
        digests.write_text(json.dumps(known))
        (digests.parent / METRICS).unlink()


def assert_like(run: Run, whole: Run) -> None:
    record = read_record(run.folder.record("12"))
    expected = read_record(whole.folder.record("12"))
    assert run.folder.metrics.read_bytes() == whole.folder.metrics.read_bytes()
    assert (record.metrics, record.weights) == (expected.metrics, expected.weights)
    assert record.curve == expected.curve


@pytest.mark.parametrize("damage", [*DAMAGES.values(), None], ids=[*DAMAGES, "no file"])
def test_damage_on_the_way_is_undone_and_no_step_is_trained_twice(damage, half, whole, data):
    if damage is None:
        half.folder.metrics.unlink()
    else:
        spoil(half.folder.metrics, damage)
    advance(*request(data), layout_of(half))
    assert_like(half, whole)
    assert Attempts(half).all()[-1]["from_step"] == SAVED


@pytest.mark.parametrize(
    "damage", ["first half cut", "one line lost", "a line twice", "garbage between", "no step"]
)
def test_older_checkpoints_are_used_only_with_all_their_lines(damage, half, whole, data, caplog):
    without_copies(half)
    spoil(half.folder.metrics, DAMAGES[damage])
    advance(*request(data), layout_of(half))
    assert_like(half, whole)
    assert Attempts(half).all()[-1]["from_step"] < SAVED
    assert str(half.folder.metrics) in caplog.text


def test_older_checkpoints_with_their_lines_are_continued(half, whole, data):
    without_copies(half)
    advance(*request(data), layout_of(half))
    assert_like(half, whole)
    assert Attempts(half).all()[-1]["from_step"] == SAVED


@pytest.mark.parametrize(
    "content", [b"garbage\n", b"{}\n", b"\0\0\n", b'{"step": null}\n{"step": 4}\n', b"", b"5"]
)
def test_damaged_speeds_begin_again(content, half, whole, data):
    (half.path / TIMING).write_bytes(content)
    advance(*request(data), layout_of(half))
    assert_like(half, whole)
    steps = [json.loads(line)["step"] for line in (half.path / TIMING).read_text().splitlines()]
    assert steps == [12]


# After the end


@pytest.fixture
def finished(whole, tmp_path) -> Run:
    run = Run(tmp_path / "runs" / whole.run_id)
    shutil.copytree(whole.path, run.path, symlinks=True)
    return run


def curve(run: Run, data: Prepared) -> list[dict[str, Any]]:
    record = read_record(run.folder.record("12"))
    return record_curve(run.folder, record, request(data).goal.config["training"])


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_ranking_reads_the_copy_of_a_damaged_curve(damage, finished, whole, data, caplog):
    spoil(finished.folder.metrics, damage)
    assert curve(finished, data) == curve(whole, data)
    if damage not in AFTER_THE_END:
        assert str(finished.folder.metrics) in caplog.text


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_ranking_restores_a_damaged_curve(damage, finished, whole, data):
    spoil(finished.folder.metrics, damage)
    record = read_record(finished.folder.record("12"))
    training = request(data).goal.config["training"]
    record_curve(finished.folder, record, training, restore=True)
    assert finished.folder.metrics.read_bytes() == whole.folder.metrics.read_bytes()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_without_a_copy_one_line_names_the_file(damage, finished, whole, data):
    claim(finished, "s", "p", "t")
    release(finished, "s", "p", "t")  # the weights go
    assert not finished.has_weights(12)
    spoil(finished.folder.metrics, damage)
    if damage in AFTER_THE_END:
        assert curve(finished, data) == curve(whole, data)
        return
    with pytest.raises(DamagedFile) as caught:
        curve(finished, data)
    assert caught.value.path == finished.folder.metrics
    assert f"resweep forget runs {finished.run_id}" in caught.value.fix


def test_records_without_a_digest_need_every_line(finished, whole, data):
    claim(finished, "s", "p", "t")
    release(finished, "s", "p", "t")
    file = finished.folder.record("12")
    content = json.loads(file.read_text())
    del content["curve"]
    content.pop("checksum", None)
    file.write_text(json.dumps(content))
    assert curve(finished, data) == curve(whole, data)
    spoil(finished.folder.metrics, DAMAGES["one line lost"])
    with pytest.raises(DamagedFile, match="no line of step 4"):
        curve(finished, data)


def test_what_nothing_has_a_copy_of_is_trained_beside(data, whole, tmp_path):
    """A rung's record stands, its weights are pruned, its lines are gone."""
    layout = Layout(tmp_path)
    run = run_of(request(data), layout)
    claim(run, "s", "p", "t")
    advance(*request(data, stop=6), layout)
    release(run, "s", "p", "t")
    spoil(run.folder.metrics, DAMAGES["one line lost"])
    advance(*request(data), layout)
    assert_like(run, whole)
    assert read_record(run.folder.record("6")).curve is not None
    assert (run.path / "metrics.jsonl.damaged").exists()


def test_a_stop_is_not_decided_from_damaged_lines(data, tmp_path):
    rules = {"early_stopping__plateau_patience": 1, "early_stopping__plateau_min_delta": 9.0}
    layout = Layout(tmp_path)
    stopped = request(data, changes=rules)
    run = run_of(stopped, layout)
    advance(*request(data), layout)  # the same run, without monitors
    assert run_of(request(data), layout).run_id == run.run_id
    spoil(run.folder.metrics, DAMAGES["one line lost"])
    record = read_record(advance(*stopped, layout))
    assert (record.step, record.rule) == (6, "plateau")
    assert [json.loads(line)["step"] for line in run.folder.metrics.open()] == STEPS


# Values that are no numbers


def test_a_validation_loss_that_is_no_number_at_the_start_diverges_at_once(
    data, tmp_path, monkeypatch
):
    monkeypatch.setattr(GradientLearner, "evaluate", lambda self: {"val/loss": float("nan")})
    layout = Layout(tmp_path)
    record = read_record(advance(*request(data), layout))
    assert (record.status, record.step, record.metrics) == ("diverged", 0, {})
    run = run_of(request(data), layout)
    assert run.folder.metrics.read_bytes() == b""
    assert advance(*request(data), layout) == run.folder.record("0-diverged")


def test_other_values_that_are_no_numbers_are_null(data, tmp_path, monkeypatch):
    evaluate = GradientLearner.evaluate
    monkeypatch.setattr(
        GradientLearner, "evaluate", lambda self: evaluate(self) | {"val/perplexity": float("inf")}
    )
    layout = Layout(tmp_path)
    record = read_record(advance(*request(data), layout))
    assert record.status == "finished" and "val/perplexity" not in record.metrics

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not JSON")

    lines = run_of(request(data), layout).folder.metrics.read_text().splitlines()
    parsed = [json.loads(line, parse_constant=refuse) for line in lines]
    assert parsed[0]["val/perplexity"] is None
