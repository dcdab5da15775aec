"""Damaged files of a run: it is healed to what it was, and no step is trained again."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.data.store import Prepared
from resweep.errors import DamagedFile
from resweep.paths import Layout
from resweep.store.advance import advance
from resweep.store.attempts import Attempts
from resweep.store.curve import record_curve
from resweep.store.recorder import Recorder
from resweep.store.retention import Policy, add_policy, claim, policies_of
from resweep.store.run import Run
from resweep.training.gradient_learner import GradientLearner
from resweep.trials.record import read_record
from resweep.trials.trial import Trial, write_trial
from tests.support.asked import Asked, ask, run_of
from tests.support.tiny import configure, prepare

MEASURED = ("seconds", "gpu_seconds", "checksum")


@pytest.fixture
def data(tmp_path: Path) -> Prepared:
    return prepare(tmp_path / "data")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "results")


@pytest.fixture
def asked(data: Prepared) -> Asked:
    return ask(configure(data), data)


@pytest.fixture
def run(asked: Asked, layout: Layout) -> Run:
    """A finished run that also has the record of a stop between two evaluations."""
    advance(*asked._replace(goal=stop_at(asked, 5).goal), layout)
    advance(*asked, layout)
    return run_of(asked, layout)


def stop_at(asked: Asked, step: int) -> Asked:
    return ask(asked.goal.config, asked.goal.data, stop=step)


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever trains a step fails."""
    monkeypatch.setattr(GradientLearner, "train_step", lambda *_: 1 / 0)


def content(record: Path) -> dict[str, Any]:
    read = json.loads(record.read_text())
    return {key: value for key, value in read.items() if key not in MEASURED}


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "truncated": truncate,
    "zeros": lambda file: file.write_bytes(b"\0" * 100),
    "a list": lambda file: file.write_text("[]"),
    "a mapping": lambda file: file.write_text("{}"),
    "a number": lambda file: file.write_text(file.read_text().replace("12", "13", 1)),
}


@pytest.mark.parametrize("step", [5, 12])
@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_record_is_made_again(step, how, run, asked, layout, untrained):
    record = run.folder.record(f"{step}")
    before = content(record)
    DAMAGES[how](record)
    damaged = record.read_bytes()
    assert advance(*stop_at(asked, step), layout) == record
    assert content(record) == before
    assert record.with_name(f"{step}.json.damaged").read_bytes() == damaged


def test_a_finished_record_follows_from_the_state_alone(run, asked, layout, monkeypatch):
    before = content(run.folder.record("12"))
    truncate(run.folder.record("12"))
    monkeypatch.setattr(GradientLearner, "__init__", lambda *_: 1 / 0)
    assert content(advance(*asked, layout)) == before


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_state_is_written_again(how, run, asked, layout, untrained):
    before, state = content(run.folder.record("12")), run.state()
    DAMAGES[how](run.folder.state)
    assert content(advance(*asked, layout)) == before
    healed = run.state()
    for key in ("run_id", "status", "step", "max_steps", "identity", "metrics", "checkpoints"):
        assert healed[key] == state[key], key
    assert run.folder.state.with_name("record.json.damaged").exists()


def test_a_state_that_is_gone_is_written_again(run, asked, layout, untrained):
    identity = run.state()["identity"]
    run.folder.state.unlink()
    advance(*asked, layout)
    assert (run.state()["identity"], run.state()["step"]) == (identity, 12)


def test_state_and_record_together_continue_from_the_checkpoint(run, asked, layout, untrained):
    """Nothing but the last checkpoint has the result: it is evaluated again."""
    before = content(run.folder.record("12"))
    truncate(run.folder.record("12"))
    truncate(run.folder.state)
    assert content(advance(*asked, layout)) == before


def test_a_state_of_another_run_is_not_this_one(run, asked, layout, data):
    other = ask(configure(data, training__seed=9), data)
    advance(*stop_at(other, 5), layout)
    copied = run_of(other, layout)
    copied.folder.state.write_bytes(run.folder.state.read_bytes())
    record = read_record(advance(*other, layout))
    assert (record.run_id, record.step) == (copied.run_id, 12)
    assert copied.state()["identity"] == other.goal.identity


def test_a_half_trained_run_with_a_damaged_state_continues(asked, layout, data):
    advance(*stop_at(asked, 5), layout)
    run = run_of(asked, layout)
    expected = ask(configure(data), data)
    whole = read_record(advance(*expected, Layout(layout.root.with_name("other"))))
    truncate(run.folder.state)
    record = read_record(advance(*asked, layout))
    assert (record.weights, record.metrics) == (whole.weights, whole.metrics)
    assert [attempt["from_step"] for attempt in Attempts(run).all()] == [5]


def test_a_state_keeps_what_claiming_trials_keep(run, asked, layout):
    add_policy(run, Policy(best=2))
    config = {**asked.goal.config, "training": {**asked.goal.config["training"], "keep_best": 2}}
    claim(run, "s", "p", "t")
    write_trial(layout.trial("s", "p", "b1/t"), Trial("s", "p", "t", config=config))
    truncate(run.folder.state)
    advance(*asked, layout)
    assert policies_of(run) == [Policy(best=2)]


def test_a_diverged_record_follows_from_the_state(data, layout, monkeypatch):
    changes = {"training__learning_rate": 1e15, "training__grad_clip": 0.0}
    asked = ask(configure(data, **changes), data)
    record = advance(*asked, layout)
    before = content(record)
    truncate(record)
    monkeypatch.setattr(GradientLearner, "__init__", lambda *_: 1 / 0)
    assert content(advance(*asked, layout)) == before


@pytest.mark.parametrize(
    "list_of_digests", ["[]", "{}", '{"model.safetensors": 5}', '{"../x": "0"}', "", "5"]
)
def test_a_damaged_list_of_digests_is_a_damaged_checkpoint(list_of_digests, run, asked, layout):
    (run.path / "checkpoint_12/digests.json").write_text(list_of_digests)
    before = content(run.folder.record("12"))
    advance(*ask(asked.goal.config, asked.goal.data, weights=True), layout)
    assert (run.path / "checkpoint_12.damaged").is_dir()
    assert content(run.folder.record("12")) == before
    assert run.has_weights(12)


@pytest.mark.parametrize("text", ["", "training: {learning_rate: 9.0}\n", "- 1\n", "a: [\n"])
def test_a_changed_configuration_is_written_again(text, run, asked, layout):
    before = yaml12.load(run.folder.config)
    begun = run.folder.config.stat().st_mtime
    run.folder.config.write_text(text)
    advance(*asked, layout)
    assert yaml12.load(run.folder.config) == before
    assert run.folder.config.stat().st_mtime == pytest.approx(begun, abs=60)
    assert run.config() == before


IN_PLACE = {"a folder": Path.mkdir, "a link to itself": lambda path: path.symlink_to(path.name)}
NAMES = ("records/12.json", "record.json", "config.yaml", "metrics.jsonl")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", IN_PLACE)
def test_what_is_in_the_place_of_a_file_gives_way(what, name, run, asked, layout, untrained):
    before, record = content(run.folder.record("12")), run.folder.record("12")
    metrics = run.folder.metrics.read_bytes()
    (run.path / f"{name}.damaged").touch()  # of an earlier damage
    (run.path / name).unlink()
    IN_PLACE[what](run.path / name)
    assert advance(*asked, layout) == record and content(record) == before
    record_curve(run.folder, read_record(record), asked.goal.config["training"], restore=True)
    assert run.folder.metrics.read_bytes() == metrics
    assert (run.path / name).is_file() and not (run.path / name).is_symlink()


@pytest.mark.parametrize("removed", [False, True])
def test_files_of_another_run_are_not_those_of_this_one(removed, run, asked, layout, data):
    """A whole folder of it is consistent in itself: a copy by hand, or a mixed-up backup."""
    before, curve = content(run.folder.record("12")), run.folder.metrics.read_bytes()
    other = ask(configure(data, training__seed=9), data)
    advance(*other, layout)
    taken = run_of(other, layout)
    shutil.rmtree(run.path)
    shutil.copytree(taken.path, run.path, symlinks=True)
    if removed:
        run.folder.record("12").unlink()
    assert content(advance(*asked, layout)) == before
    assert run.folder.metrics.read_bytes() == curve


@pytest.mark.parametrize("how", [Path.unlink, truncate])
def test_a_record_is_not_made_again_from_lines_that_are_gone(how, run, asked, layout):
    """Neither weights nor another record are left: the run is trained from scratch."""
    before, curve = content(run.folder.record("12")), run.folder.metrics.read_bytes()
    for path in (*run.folder.records.iterdir(), *run.path.glob("checkpoint_*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    how(run.folder.metrics)
    assert content(advance(*asked, layout)) == before
    assert run.folder.metrics.read_bytes() == curve


def test_a_record_made_again_vouches_for_what_was_logged(run, asked):
    """Its digest is that of the lines of a copy, or it is not made at all."""
    record, metrics = run.folder.record("12"), run.folder.metrics
    before, curve = content(record), metrics.read_bytes()
    record.unlink()
    metrics.write_text("x\n")
    assert content(Recorder(run, asked.goal).replay(12, None)) == before
    assert metrics.read_bytes() == curve
    for path in (record, *run.path.glob("checkpoint_*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    metrics.write_text("x\n")
    with pytest.raises(DamagedFile, match=r"metrics\.jsonl"):
        Recorder(run, asked.goal).replay(12, None)
    assert not record.exists()


STRAY = (
    "records/10 (copy).json", "records/notes.json", "records/.12.json.swp", "records/012.json",
    "claims/.DS_Store", "claims/s.p.t~", "claims/.nfs0000", "checkpoint_x/a", "checkpoint_7",
    "checkpoint_12 (copy)/a", "checkpoint_012/a", "notes.txt",
)  # fmt: skip


def test_stray_files_in_a_run_harm_nothing(run, asked, layout, untrained):
    for name in STRAY:
        (run.path / name).parent.mkdir(exist_ok=True)
        (run.path / name).write_text("{")
    record = advance(*asked, layout)
    truncate(record)
    assert advance(*asked, layout) == record
    assert sorted(run.records()) == ["12", "5"]
    assert all((run.path / name).exists() for name in STRAY)


def test_a_record_after_a_kill_says_what_trained_it(asked, layout):
    """The process died after its checkpoint, before its segment and its record."""
    whole = read_record(advance(*asked, layout))
    run = run_of(asked, layout)
    attempt = run.state()["attempts"][-1] | {"end": None}
    run.update(attempts=[attempt], segments=[], status="begun")
    run.folder.record("12").unlink()
    stopped = read_record(advance(*stop_at(asked, 6), layout))
    assert stopped.versions and stopped.versions == whole.versions
    assert (stopped.device, stopped.code) == (whole.device, whole.code)
