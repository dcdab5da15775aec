"""The pictures of solving steps, from a checkpoint's own file."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from resweep.systems.loop_transformer.figures import ANSWERS, SHOWN, solving_steps
from resweep.systems.values import Board, TrainedRun

SOLVED = [1, 2, 3, 4, 3, 4, 1, 2, 2, 1, 4, 3, 4, 3, 2, 1]


def trained(folder: Path, steps: list[list[int]], question: list[int]) -> TrainedRun:
    """A run whose last checkpoint holds a puzzle and the answers to it."""
    checkpoint = folder / "checkpoint_9"
    checkpoint.mkdir(parents=True)
    save_file(
        {
            SHOWN: np.array([[question, SOLVED]], np.uint8),
            ANSWERS: np.array([steps], np.uint8),
        },
        checkpoint / "extra.safetensors",
    )
    (folder / "final_checkpoint").symlink_to(checkpoint.name)
    return TrainedRun(
        trial="best", asked={}, config={"data": {"size": 4}}, folder=folder, step=9, metrics={}
    )


def test_steps_that_change_something_are_drawn_and_wrong_cells_marked(tmp_path: Path) -> None:
    question = [0, *SOLVED[1:8], *[0] * 8]
    half = [1, *SOLVED[1:8], 1, 1, 4, 3, 4, 3, 2, 1]
    spoilt = [2, 3, *SOLVED[2:]]  # the first cell, and one that was given
    run = trained(tmp_path, [half, half, spoilt, SOLVED, SOLVED], question)
    (pictures,) = solving_steps([run])
    (boards,) = pictures.rows.values()
    assert all(isinstance(board, Board) for board in boards)
    assert [board.label for board in boards] == [
        "puzzle",
        "step 1: 1 wrong",
        "step 3: 2 wrong",
        "step 4: solved",
        "step 5: solved",
    ]
    first, second, third = boards[0], boards[1], boards[2]
    assert isinstance(first, Board) and isinstance(second, Board) and isinstance(third, Board)
    assert first.cells[0] == ["", "2", "3", "4"] and first.box == (2, 2)
    assert set(first.looks.values()) == {"given"} and len(first.looks) == 7
    assert (second.looks[0, 0], second.looks[2, 0], second.looks[0, 1]) == (
        "right",
        "wrong",
        "given",
    )
    assert (third.looks[0, 0], third.looks[0, 1]) == ("wrong", "wrong")
    assert pictures.caption.startswith("The best trial, best, solves 1 of 1 test puzzle with")


def test_the_best_trial_with_a_checkpoint_is_shown(tmp_path: Path) -> None:
    bare = TrainedRun(
        trial="dropped", asked={}, config={}, folder=tmp_path / "a", step=9, metrics={}
    )
    assert solving_steps([bare]) == []
    (pictures,) = solving_steps([bare, trained(tmp_path / "b", [SOLVED], [0] * 16)])
    assert len(pictures.rows) == 1


def test_a_long_way_is_shortened(tmp_path: Path) -> None:
    steps = [[*SOLVED[:15], digit % 4 + 1] for digit in range(16)]
    (pictures,) = solving_steps([trained(tmp_path, steps, [0] * 16)])
    (boards,) = pictures.rows.values()
    assert len(boards) == 9 and boards[-1].label.startswith("step 16")
