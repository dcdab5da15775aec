"""Packs of real trainings: equal to trainings alone, whatever happens to some of them."""

import os
import signal
from pathlib import Path

import pytest

from tests.support.packs import STEPS, PackPlace

SIX = (1e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1e-2)
WHOLE = list(range(1, STEPS + 1))


@pytest.fixture
def place(tmp_path: Path) -> PackPlace:
    return PackPlace(tmp_path)


def test_in_a_pack_they_are_what_they_are_alone(place: PackPlace, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    other = PackPlace(alone, data__paths=[str(tmp_path / "text.txt")])
    other.train_alone(other.pack(*SIX[:3]))
    assert place.train(place.pack(*SIX[:3]))["done"]
    found = place.results()
    assert sum(name.endswith("model.safetensors") for name in found) == 3
    assert found == other.results()


def test_two_train_at_once_and_never_three(place: PackPlace) -> None:
    def at_step(rate: float, step: int) -> None:
        """Let the first two wait for each other."""
        (place.path / f"begun-{rate}").touch()
        while len(list(place.path.glob("begun-*"))) < 2:
            os.sched_yield()

    assert place.train(place.pack(*SIX), at_step)["done"]
    order = [process for _, process, _ in place.steps()]
    last = {process: position for position, process in enumerate(order)}
    running = [
        len([p for p in set(order[: position + 1]) if last[p] >= position])
        for position in range(len(order))
    ]
    assert max(running) == 2


def test_another_value_trains_its_trial_alone(place: PackPlace) -> None:
    first, inner, last = SIX[0], SIX[2], SIX[-1]
    rest = [rate for rate in SIX if rate not in (first, inner, last)]
    place.train(place.pack(*rest))
    for added in (first, inner, last):
        before = len(place.steps())
        rest = sorted([*rest, added])
        assert place.train(place.pack(*rest))["done"]
        assert [(rate, step) for rate, _, step in place.steps()[before:]] == [
            (added, step) for step in WHOLE
        ]
    assert place.train(place.pack(*SIX))["done"] and len(place.steps()) == 6 * STEPS


def test_a_child_that_crashes_takes_no_other_along(place: PackPlace) -> None:
    bad = SIX[2]

    def at_step(rate: float, step: int) -> None:
        if rate == bad and step == 9:
            os.kill(os.getpid(), signal.SIGSEGV)

    ended = place.train(place.pack(*SIX), at_step)
    assert ended["done"] is False and list(ended["failed"]) == [place.name(bad)]
    assert "SIGSEGV" in ended["failed"][place.name(bad)] and ended["left"] == []
    assert place.ends(bad) == ["killed", None]  # tried again once; the next attempt closes it
    before = len(place.steps())
    assert all(place.record(rate)["status"] == "finished" for rate in SIX if rate != bad)
    assert place.train(place.pack(*SIX))["done"]
    assert {rate for rate, *_ in place.steps()[before:]} == {bad}
