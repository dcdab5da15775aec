"""Stages: batches of trainings, their names and their folders."""

import pytest

from resweep.search.stages import lay_out, numbers, round_names
from resweep.sweep import EarlyTerminate

RULE = EarlyTerminate(min_iter=1, eta=3)


def test_slots_are_numbered_in_an_order_that_sorting_keeps() -> None:
    assert numbers(0) == ()
    assert numbers(3) == ("01", "02", "03")
    assert numbers(120)[:2] == ("001", "002")
    assert list(numbers(120)) == sorted(numbers(120))


@pytest.mark.parametrize(
    ("trials", "size", "sizes"),
    [(12, 6, [6, 6]), (7, 3, [3, 3, 1]), (2, 8, [2]), (1, 1, [1])],
)
def test_rounds_share_the_trials(trials: int, size: int, sizes: list[int]) -> None:
    rounds = round_names(trials, size)
    assert [len(names) for names in rounds] == sizes
    flat = [name for names in rounds for name in names]
    assert len(set(flat)) == trials and flat == sorted(flat)
    assert flat[0] == "r01-01"


def test_more_trials_leave_the_full_rounds_as_they_were() -> None:
    assert round_names(20, 6)[:3] == round_names(18, 6)


def test_a_plain_sweep_is_one_stage() -> None:
    (stage,) = lay_out((("a", "b"),), False, None, ())
    assert (stage.name, stage.round_name, stage.folder) == ("", "", "")
    assert stage.slots == ("a", "b") and stage.first and stage.last
    assert stage.rung.band is None


def test_rungs_of_a_grid() -> None:
    stages = lay_out((("a", "b", "c", "d"),), False, RULE, (1, 3))
    assert [stage.name for stage in stages] == ["b1", "b2", "b3"]
    assert [stage.slots for stage in stages] == [
        ("b1/a", "b1/b", "b1/c", "b1/d"), ("b2/01", "b2/02"), ("b3/01",),
    ]  # fmt: skip
    assert [stage.rung.band for stage in stages] == [1, 3, None]
    assert [(stage.first, stage.last) for stage in stages] == [
        (True, False), (False, False), (False, True),
    ]  # fmt: skip


def test_rounds_without_rungs() -> None:
    stages = lay_out(round_names(3, 2), True, None, ())
    assert [stage.name for stage in stages] == ["r01", "r02"]
    assert [stage.slots for stage in stages] == [("r01-01", "r01-02"), ("r02-01",)]
    assert all(stage.folder == "" and stage.first and stage.last for stage in stages)


def test_rungs_inside_rounds() -> None:
    stages = lay_out(round_names(7, 4), True, RULE, (1,))
    assert [stage.name for stage in stages] == ["r01_b1", "r01_b2", "r02_b1", "r02_b2"]
    assert [stage.round_name for stage in stages] == ["r01", "r01", "r02", "r02"]
    assert [len(stage.slots) for stage in stages] == [4, 2, 3, 2]
    assert stages[0].slots[0] == "r01/b1/r01-01"
    assert stages[3].slots == ("r02/b2/01", "r02/b2/02")
    assert [stage.last for stage in stages] == [False, True, False, True]
