"""Trainings on prepared data that is damaged: never another result than on sound data."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.errors import DamagedFile, Interrupted
from resweep.jobs.options import JobOptions
from resweep.jobs.train_trial import train_trial
from resweep.paths import Layout
from resweep.store.run import Run
from resweep.trials.record import Record, read_record
from resweep.trials.trial import Trial
from tests.support.tiny import BASE, LANGUAGE

TEXT = "\n\n".join(f"Sentence {n} is about the number {n * n}." for n in range(200))
SAVED = 6  # the step of an interrupted training


class Place:
    """A results folder with one trial, and the text that it is trained on."""

    def __init__(self, path: Path):
        self.text = path / "corpus/text.txt"
        self.text.parent.mkdir(parents=True)
        self.text.write_text(TEXT)
        self.layout = Layout(path / "results")
        self.record = path / "record.json"
        source = {"source": "text", "paths": [str(self.text)], "documents": "blank_line"}
        flat = BASE | {f"data.{name}": value for name, value in source.items()}
        config, problems = compose.validate(Composed(nest(flat), {}), "here", LANGUAGE)
        assert not problems, problems
        self.trial = Trial("s", "p", "t", config=config)

    def train(self, at_step: Callable[[int], Any] = lambda step: None) -> Record:
        """Train; `at_step` is called before each step, and returns whether to stop there."""
        steps = iter(range(-1, 1000))  # it is also asked before the learner is built
        options = JobOptions(
            results=self.layout.root, device="cpu", keep="all", tracking={"wandb": "disabled"}
        )
        train_trial(
            self.trial, self.record, options, interrupted=lambda: bool(at_step(next(steps)))
        )
        return read_record(self.record)

    def train_half(self) -> None:
        with pytest.raises(Interrupted):
            self.train(lambda step: step == SAVED)

    @property
    def data(self) -> Path:
        """The folder of prepared data."""
        (path,) = self.layout.root.glob("data/*/")
        return path

    @property
    def run(self) -> Run:
        (path,) = self.layout.root.glob("runs/*/")
        return Run(path)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, bytes]:
    """The record and the metrics of an undamaged twin."""
    place = Place(tmp_path_factory.mktemp("sound"))
    return place.train(), (place.run.path / "metrics.jsonl").read_bytes()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def assert_equal(place: Place, record: Record, sound: tuple[Record, bytes]) -> None:
    expected, metrics = sound
    assert (record.run_id, record.status, record.weights) == (
        expected.run_id,
        expected.status,
        expected.weights,
    )
    assert (place.run.path / "metrics.jsonl").read_bytes() == metrics


def overwrite(path: Path, content: bytes = b"damage", restore_date: bool = False) -> None:
    date = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.write(content * (path.stat().st_size // len(content)))
    if restore_date:
        os.utime(path, ns=(date, date))


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("train.bin", overwrite),
        ("train.bin", lambda path: os.truncate(path, path.stat().st_size - 1)),
        ("val.bin", lambda path: os.truncate(path, 2)),
        ("test.bin", Path.unlink),
        ("data.json", lambda path: path.write_text("{}")),
    ],
)
def test_damage_between_two_calls_changes_nothing(name, harm, place, sound):
    place.train_half()
    harm(place.data / name)
    assert_equal(place, place.train(), sound)


def test_damage_that_cannot_be_repaired_is_no_result(place, sound):
    place.train_half()
    overwrite(place.data / "train.bin")
    moved = place.text.parent.rename(place.text.parent.with_name("elsewhere"))
    for _ in range(2):
        with pytest.raises(DamagedFile) as caught:
            place.train()
        assert caught.value.path == place.data / "train.bin"
    assert not place.record.exists() and len(place.run.state()["attempts"]) == 1
    moved.rename(place.text.parent)
    assert_equal(place, place.train(), sound)


@pytest.mark.parametrize("name", ["train.bin", "val.bin", "test.bin"])
def test_damage_while_it_trains_is_a_fault_of_the_machine(name, place, sound):
    def at_step(step: int) -> None:
        if step == SAVED - 2:
            overwrite(place.data / name)

    with pytest.raises(DamagedFile) as caught:
        place.train(at_step)
    assert caught.value.path == place.data / name
    assert place.run.state()["attempts"][-1]["end"].startswith("machine: DamagedFile: ")
    assert not place.record.exists()
    assert_equal(place, place.train(), sound)


def test_a_training_that_fails_on_damaged_data_has_not_failed(place, sound):
    """Tokens outside the vocabulary, in a file whose date says that nothing has changed."""
    place.train_half()

    def at_step(step: int) -> None:
        if step == 0:
            overwrite(place.data / "train.bin", b"\xff\xff", restore_date=True)

    with pytest.raises(DamagedFile):
        place.train(at_step)
    assert place.run.state()["attempts"][-1]["end"].startswith("machine: DamagedFile: ")
    assert not place.record.exists()
    os.utime(place.data / "train.bin")
    assert_equal(place, place.train(), sound)


def test_data_that_was_prepared_again_while_it_trains_changes_nothing(place, sound):
    def at_step(step: int) -> None:
        if step == 2:
            shutil.copytree(place.data, place.data.with_suffix(".new"))
            shutil.rmtree(place.data)
            place.data.with_suffix(".new").rename(place.data.with_suffix(""))

    assert_equal(place, place.train(at_step), sound)
