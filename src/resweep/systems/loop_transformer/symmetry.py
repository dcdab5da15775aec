"""What can be done to a Sudoku without changing its kind, and whether two puzzles are of one kind.

    relabelling      the digits change places
    transposition    rows become columns; only where boxes are square
    bands, stacks    rows of boxes change places, columns of boxes do
    rows, columns    those of one row (column) of boxes change places

Arrays of boards are (n, cells) of digits, 0 for empty cells.
"""

from functools import cache
from itertools import permutations, product

import numpy as np

from resweep.systems.loop_transformer.board import BOXES

AUGMENTATIONS = ("relabelling", "transposition", "bands", "rows", "stacks", "columns")
ROUNDS = 3  # of the fingerprint


def available(size: int) -> tuple[str, ...]:
    """Return the augmentations that boards of a size have."""
    height, width = BOXES[size]
    return tuple(name for name in AUGMENTATIONS if name != "transposition" or height == width)


def augment(
    questions: np.ndarray,
    answers: np.ndarray,
    size: int,
    chosen: tuple[str, ...],
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Return puzzles changed at random, each by a draw of its own.

    Args:
        questions, answers: (n, cells) of uint8.
        size: Cells of a row.
        chosen: Names of `AUGMENTATIONS`.
        random: All is drawn from it, in the same amount for any choice.
    """
    count = len(questions)
    height, width = BOXES[size]
    rows = _shuffled(random, count, size // height, height, "bands" in chosen, "rows" in chosen)
    columns = _shuffled(
        random, count, size // width, width, "stacks" in chosen, "columns" in chosen
    )
    digits = np.argsort(random.random((count, size)), axis=1) + 1
    turned = random.random(count) < 0.5
    if "relabelling" not in chosen:
        digits[:] = np.arange(1, size + 1)
    cells = rows[:, :, None] * size + columns[:, None, :]
    if "transposition" in chosen:
        cells = np.where(turned[:, None, None], cells.transpose(0, 2, 1), cells)
    cells = cells.reshape(count, -1)
    labels = np.concatenate([np.zeros((count, 1), int), digits], axis=1).astype(np.uint8)
    return tuple(  # type: ignore[return-value]  # of two
        np.take_along_axis(labels, np.take_along_axis(boards, cells, 1).astype(int), 1)
        for boards in (questions, answers)
    )


def _shuffled(
    random: np.random.Generator, count: int, groups: int, each: int, outer: bool, inner: bool
) -> np.ndarray:
    """Draw orders of lines: groups change places, and lines within a group: (count, lines)."""
    order = np.argsort(random.random((count, groups)), axis=1)
    within = np.argsort(random.random((count, groups, each)), axis=2)
    if not outer:
        order[:] = np.arange(groups)
    if not inner:
        within[:] = np.arange(each)
    return (order[:, :, None] * each + within).reshape(count, -1)


def fingerprint(questions: np.ndarray, answers: np.ndarray, size: int) -> np.ndarray:
    """Return a number for each puzzle, equal for all puzzles of its kind: (n,) of uint64.

    Each cell has a colour, at first whether it is given. A few times, it is mixed with those of its
    row and column, of its box, of its band and stack, and of the cells with its digit. Puzzles of
    different kinds rarely have equal numbers; `canonical` is exact.
    """
    height, width = BOXES[size]
    row, column = np.divmod(np.arange(size * size), size)
    box = row // height * (size // width) + column // width
    square = height == width
    digit = answers.astype(int) - 1
    colour = _mixed(questions > 0, 1)
    for turn in range(ROUNDS):
        of_lines = [(row, column, 2), (row // height, column // width, 3)]
        mixed = colour.copy()
        for down, across, salt in of_lines:
            first = _mixed(_sums(colour, np.broadcast_to(down, digit.shape), size), salt)
            second = _mixed(_sums(colour, np.broadcast_to(across, digit.shape), size), salt)
            mixed += first + (second if square else second * np.uint64(3))
        mixed += _mixed(_sums(colour, np.broadcast_to(box, digit.shape), size), 4)
        mixed += _mixed(_sums(colour, digit, size), 5)
        colour = _mixed(mixed, 6 + turn)
    total: np.ndarray = colour.sum(axis=1, dtype=np.uint64)
    return total


def _sums(colour: np.ndarray, groups: np.ndarray, size: int) -> np.ndarray:
    """Sum colours over the cells of each group; returns each cell's sum: (n, cells)."""
    sums = np.zeros((len(colour), size), np.uint64)
    np.add.at(sums, (np.arange(len(colour))[:, None], groups), colour)
    return np.take_along_axis(sums, groups, 1)


def _mixed(values: np.ndarray, salt: int) -> np.ndarray:
    """Scramble numbers (the finalizer of splitmix64, Steele et al. 2014)."""
    x = values.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


def canonical(question: np.ndarray, answer: np.ndarray, size: int) -> bytes:
    """Return what all puzzles of one kind have in common, and no other puzzle has.

    It is the alphabetically first solution that the group reaches, and the first of the patterns of
    given cells that reach it. The first row of that solution counts 1, 2, ..., so each choice of
    transposition, columns and first row leaves one candidate: its rows sorted within their bands,
    and its bands, by their first digit.

    Args:
        question, answer: (cells,): the solution is the only one.
        size: Cells of a row.
    """
    height, width = BOXES[size]
    orders = _column_orders(size)
    boards = np.stack([answer, question > 0]).reshape(2, size, size).astype(np.int8)
    turns = [boards, boards.transpose(0, 2, 1)] if height == width else [boards]
    grids, patterns = [], []
    for turned in turns:
        moved = turned[:, :, orders].transpose(2, 0, 1, 3)  # (orders, 2, size, size)
        for first in range(size):
            labels = np.argsort(moved[:, 0, first], axis=1).astype(np.int8)
            grid = np.take_along_axis(labels[:, None], moved[:, 0] - 1, 2)
            rows = _sorted_rows(grid[:, :, 0], height)
            grids.append(np.take_along_axis(grid, rows[:, :, None], 1))
            patterns.append(np.take_along_axis(moved[:, 1], rows[:, :, None], 1))
    grid, pattern = (np.concatenate(kept).reshape(-1, size * size) for kept in (grids, patterns))
    least = np.arange(len(grid))
    for cell in range(size, size * size):
        values = grid[least, cell]
        least = least[values == values.min()]
    return grid[least[0]].tobytes() + min(row.tobytes() for row in pattern[least])


def _sorted_rows(leads: np.ndarray, height: int) -> np.ndarray:
    """Return the order of rows by their first digits (n, size), bands staying together."""
    count, size = leads.shape
    bands = leads.reshape(count, -1, height)
    within = np.argsort(bands, axis=2) + np.arange(0, size, height)[None, :, None]
    outer = np.argsort(bands.min(axis=2), axis=1)
    return np.take_along_axis(within, outer[:, :, None], 1).reshape(count, size)


@cache
def _column_orders(size: int) -> np.ndarray:
    """Return all orders of columns: (orders, size)."""
    width = BOXES[size][1]
    stacks = size // width
    return np.array(
        [
            [stack * width + column for stack in outer for column in inner[stack]]
            for outer in permutations(range(stacks))
            for inner in product(permutations(range(width)), repeat=stacks)
        ]
    )


def kinds(questions: np.ndarray, answers: np.ndarray, size: int) -> list[bytes]:
    """Return a name of each puzzle's kind: equal for those that augmentations turn into each other.

    Exact forms are only computed where fingerprints are equal.
    """
    marks = fingerprint(questions, answers, size)
    _, inverse, counts = np.unique(marks, return_inverse=True, return_counts=True)
    alone = counts[inverse] == 1
    return [
        mark.tobytes() if only else canonical(question, answer, size)
        for mark, only, question, answer in zip(marks, alone, questions, answers, strict=True)
    ]
