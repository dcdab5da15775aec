"""Boards of Sudoku: their shape, and a solver that counts solutions.

A board is a sequence of `size * size` cells, row by row: 0 is empty, else 1 to `size`. For the
solver, a set of cells is the bits of an integer: what holds for many cells takes one operation.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}  # rows and columns of a box
# Of generated puzzles: 9 x 9 has some with 17, but removing cells at random hardly finds them.
FEWEST_GIVENS = {4: 4, 6: 9, 9: 23}
# Seconds. Hard puzzles with one solution take some hundred tries, some without any take millions.
MOST_TRIES = 50_000


class Undecided(Exception):
    """A puzzle has too many possibilities to say how many solutions it has."""


@dataclass(frozen=True)
class Shape:
    """Cells of a size as sets of bits.

    Attributes:
        size: Cells of a row.
        all: All cells.
        units: Rows, columns and boxes.
        peers: For each cell, those that share a unit with it.
    """

    size: int
    all: int
    units: tuple[int, ...]
    peers: tuple[int, ...]


@cache
def shape_of(size: int) -> Shape:
    """Return the sets of cells of a size."""
    height, width = BOXES[size]
    cells = [(row, column) for row in range(size) for column in range(size)]
    units = [0] * (3 * size)
    for index, (row, column) in enumerate(cells):
        box = row // height * (size // width) + column // width
        for unit in (row, size + column, 2 * size + box):
            units[unit] |= 1 << index
    peers = [0] * len(cells)
    for index in range(len(cells)):
        for unit in units:
            if unit >> index & 1:
                peers[index] |= unit & ~(1 << index)
    return Shape(size, (1 << len(cells)) - 1, tuple(units), tuple(peers))


def solve(board: Sequence[int], size: int, most: int = 2) -> list[list[int]]:
    """Return the solutions of a puzzle, at most `most` of them.

    Raises:
        Undecided: They were not found with `MOST_TRIES` tries.
    """
    options = options_of(board, size)
    found: list[list[int]] = []
    if options is None:
        return found
    tries = 0
    for solution in _search(options, 0, shape_of(size), None):
        if solution is None:
            tries += 1
            if tries > MOST_TRIES:
                raise Undecided
            continue
        found.append(solution)
        if len(found) == most:
            break
    return found


def has_solution(options: list[int], size: int) -> bool:
    """Whether there is a board within some options, which this changes."""
    return any(_search(options, 0, shape_of(size), None))


def draw_solution(size: int, source: random.Random) -> list[int]:
    """Draw a full board."""
    shape = shape_of(size)
    return next(filter(None, _search([shape.all] * size, 0, shape, source)))


def options_of(board: Sequence[int], size: int) -> list[int] | None:
    """Return for each digit the cells that can have it; None if two given digits clash."""
    shape = shape_of(size)
    options = [shape.all] * size
    for index, digit in enumerate(board):
        if digit:
            bit = 1 << index
            if not options[digit - 1] & bit:
                return None
            options = [option & ~bit for option in options]
            options[digit - 1] = (options[digit - 1] | bit) & ~shape.peers[index]
    return options


def _search(
    options: list[int], solved: int, shape: Shape, source: random.Random | None
) -> Iterator[list[int] | None]:
    """Yield the boards within some options, and None for each digit that is tried.

    Args:
        options: For each digit, the cells that can have it; changed.
        solved: Cells that have one digit left, which was removed from all of their peers.
        shape: Of the board.
        source: Of the order in which digits are tried; None: in their own.
    """
    while True:
        once = twice = thrice = 0  # cells that can have at least so many digits
        for option in options:
            thrice |= twice & option
            twice |= once & option
            once |= option
        if once != shape.all:
            return
        new = once & ~twice & ~solved
        if new:
            solved |= new
            for digit, option in enumerate(options):
                for index in bits(new & option):
                    option &= ~shape.peers[index]
                options[digit] = option
            continue
        if solved == shape.all:
            yield _board_of(options, shape)
            return
        changed = _place_only_cells(options, solved, shape)
        if changed is None:
            return
        if not changed:
            break
    open_cells = twice & ~thrice or twice
    index = next(bits(open_cells))
    if source is not None:
        index = source.choice(list(bits(open_cells)))
    digits = [digit for digit, option in enumerate(options) if option >> index & 1]
    if source is not None:
        source.shuffle(digits)
    for digit in digits:
        yield None
        tried = [option & ~(1 << index) for option in options]
        tried[digit] |= 1 << index
        yield from _search(tried, solved, shape, source)


def _place_only_cells(options: list[int], solved: int, shape: Shape) -> bool | None:
    """Place digits that have one cell left in a unit.

    Returns:
        Whether there were any; None if a digit has no cell left in a unit.
    """
    changed = False
    for digit in range(shape.size):
        for unit in shape.units:
            cells = options[digit] & unit
            if not cells:
                return None
            if not cells & (cells - 1) and not cells & solved:
                others = [d for d in range(shape.size) if d != digit and options[d] & cells]
                for other in others:
                    options[other] &= ~cells
                changed = changed or bool(others)
    return changed


def _board_of(options: list[int], shape: Shape) -> list[int]:
    board = [0] * len(shape.peers)
    for digit, option in enumerate(options, 1):
        for index in bits(option):
            board[index] = digit
    return board


def bits(cells: int) -> Iterator[int]:
    """Yield the indices of a set of cells."""
    while cells:
        lowest = cells & -cells
        cells ^= lowest
        yield lowest.bit_length() - 1
