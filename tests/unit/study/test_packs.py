"""Which trials share a job: the same on every machine."""

import os
from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.study.load import load_study
from resweep.study.packs import MOST_TRIALS, WORK_ALONE, WORK_OF_A_PACK, Work, divide
from resweep.study.study import Study
from tests.conftest import ROOT

SMALL = Work(1.0)


def shape(works: list[Work], wanted: int | str) -> list[tuple[int, list[str]]]:
    """The packs of trials that are named by their positions: number, names."""
    names = [str(position) for position in range(len(works))]
    return [(pack.number, list(pack.names)) for pack in divide(names, works, wanted)]


def named(*positions: int) -> list[str]:
    return [str(position) for position in positions]


def test_trials_are_packed_in_their_order_until_their_work_is_worth_a_job() -> None:
    half = Work(WORK_OF_A_PACK / 5)
    assert shape([half] * 12, "auto") == [
        (1, named(0, 1, 2, 3, 4)),
        (2, named(5, 6, 7, 8, 9)),
        (3, named(10, 11)),
    ]
    assert [len(names) for _, names in shape([SMALL] * 300, "auto")] == [MOST_TRIALS] * 2 + [44]


def test_more_trials_fill_the_last_pack() -> None:
    before, after = shape([SMALL] * 200, "auto"), shape([SMALL] * 400, "auto")
    assert before[0] == after[0] and before[1][1] == after[1][1][: len(before[1][1])]


@pytest.mark.parametrize("alone", [Work(None), Work(WORK_ALONE + 1), Work(1.0, True)])
def test_large_ones_and_those_of_several_processes_are_alone(alone: Work) -> None:
    assert shape([SMALL, alone, SMALL, SMALL, alone], "auto") == [
        (0, named(1, 4)),
        (1, named(0, 2, 3)),
    ]


def test_a_number_counts_for_all_but_several_processes() -> None:
    works = [Work(None), Work(1e6), Work(1.0, True), SMALL, SMALL]
    assert shape(works, 2) == [(0, named(2)), (1, named(0, 1)), (2, named(3, 4))]
    ((number, names),) = shape(works, 1)
    assert (number, sorted(names)) == (0, named(0, 1, 2, 3, 4))


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def load(**changes: Any) -> Study:
        sweep = {"method": "grid", "parameters": {"learning_rate": {"values": [1e-4, 1e-3, 1e-2]}}}
        study = {
            "name": "mine",
            "base": {"model": "gpt-tiny", "data": "python-docs", "training": "quick"},
            "phases": [{"name": "sweep", "kind": "sweep", "sweep": str(tmp_path / "sweep.yaml")}],
        }
        (tmp_path / "sweep.yaml").write_text(yaml12.dump(sweep))
        (tmp_path / "mine.yaml").write_text(yaml12.dump(study | changes))
        return load_study(tmp_path / "mine.yaml", ROOT / "config")

    return load


def test_they_are_the_same_on_every_machine(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node plans them again: what it has must not count."""
    found = []
    for cores, gpus in ((1, None), (64, None), (64, "0,1,2,3")):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        for name in ("CUDA_VISIBLE_DEVICES", "RESWEEP_GPUS"):
            monkeypatch.setenv(name, gpus) if gpus else monkeypatch.delenv(name, raising=False)
        found.append([dict(phase.packs) for phase in load().phases])
    assert found[0] == found[1] == found[2]
    (packs,) = found[0][0].values()
    assert [(pack.number, len(pack.names), pack.only) for pack in packs] == [(1, 3, True)]


TWO = {"training.processes": 2, "training.distributed": "ddp"}


@pytest.mark.parametrize(
    ("changes", "pack", "counts"),
    [
        (TWO, 4, False),
        ({"training.distributed": "zero1"}, 4, False),
        (TWO, "auto", True),
        (TWO, 1, True),
        ({}, 4, True),
    ],
)
def test_a_number_that_does_not_count_is_said(
    changes: dict[str, Any], pack: int | str, counts: bool, load: Any
) -> None:
    warnings = load(set=changes, resources={"pack": pack}).warnings
    said = [line for line in warnings if f"resources.pack = {pack}" in line]
    assert [line.startswith("mine/sweep: ") for line in said] == ([] if counts else [True])
