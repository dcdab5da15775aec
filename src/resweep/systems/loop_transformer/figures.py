"""Pictures for the report: how the best model solves a puzzle, step by step."""

from collections.abc import Iterable
from typing import Literal

import numpy as np
from safetensors import safe_open

from resweep.paths import RunFolder
from resweep.plurals import counted
from resweep.systems.loop_transformer.board import BOXES
from resweep.systems.values import Board, Pictures, TrainedRun

# Of a checkpoint's extra state (`resweep.systems.loop_transformer.objective`), as tokens.
SHOWN, ANSWERS = "shown.puzzles", "shown.answers"
MOST_STEPS = 8  # of a puzzle, that are drawn
Look = Literal["given", "right", "wrong"]


def solving_steps(runs: Iterable[TrainedRun]) -> list[Pictures]:
    """Return puzzles and what the best trial with a checkpoint makes of them.

    Of the supervision steps, only those are drawn in which an answer changed, and the last one.
    """
    for run in runs:
        file = RunFolder(run.folder).final_checkpoint / "extra.safetensors"
        if file.is_file():
            with safe_open(file, framework="numpy") as tensors:
                puzzles, answers = tensors.get_tensor(SHOWN), tensors.get_tensor(ANSWERS)
            size = run.config["data"]["size"]
            rows = {
                f"puzzle {number}": _boards(puzzle, steps, size)
                for number, (puzzle, steps) in enumerate(zip(puzzles, answers, strict=True), 1)
            }
            solved = sum((s[-1] == p[1]).all() for p, s in zip(puzzles, answers, strict=True))
            return [
                Pictures(
                    title="Solving steps",
                    caption=f"The best trial, {run.trial}, solves {solved} of "
                    f"{counted(len(puzzles), 'test puzzle')} with the fewest givens. Its answers "
                    "are drawn after supervision steps in which they changed; wrong cells should "
                    "become fewer from left to right.",
                    rows=rows,
                )
            ]
    return []


def _boards(puzzle: np.ndarray, steps: np.ndarray, size: int) -> list[Board]:
    """Return a puzzle and its answers as boards; puzzle is (2, cells), steps (steps, cells)."""
    question, answer = puzzle
    boards = [_board(question, question, answer, size, "puzzle")]
    changed = [n for n in range(len(steps)) if n == 0 or (steps[n] != steps[n - 1]).any()]
    for step in sorted({*changed[: MOST_STEPS - 1], len(steps) - 1}):
        wrong = int((steps[step] != answer).sum())
        label = f"step {step + 1}: {f'{wrong} wrong' if wrong else 'solved'}"
        boards.append(_board(steps[step], question, answer, size, label))
    return boards


def _board(
    cells: np.ndarray, question: np.ndarray, answer: np.ndarray, size: int, label: str
) -> Board:
    looks: dict[tuple[int, int], Look] = {}
    for index, (cell, given, right) in enumerate(zip(cells, question, answer, strict=True)):
        if cell and (cell != right or not given):
            looks[divmod(index, size)] = "right" if cell == right else "wrong"
        elif given:
            looks[divmod(index, size)] = "given"
    texts = [[str(digit) if digit else "" for digit in row] for row in cells.reshape(-1, size)]
    return Board(cells=texts, looks=looks, box=BOXES[size], label=label)
