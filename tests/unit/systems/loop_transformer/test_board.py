"""Solving boards: the number of solutions, against plain enumeration and known puzzles."""

import itertools
import random

import pytest

from resweep.systems.loop_transformer import board as boards
from resweep.systems.loop_transformer.board import (
    BOXES,
    Undecided,
    draw_solution,
    shape_of,
    solve,
)

# Royle's list of minimal puzzles, and one of Norvig's hard ones.
SEVENTEEN = "000000010400000000020000000000050407008000300001090000300400200050100000000806000"
HARDEST = "8..........36......7..9.2...5...7.......457.....1...3...1....68..85...1..9....4.."
# Norvig's, without a solution: his solver takes 24 minutes to say so.
IMPOSSIBLE = ".....5.8....6.1.43..........1.5........1.6...3.......553.....61........4........."
HARD = "4.....8.5.3..........7......2.....6.....8.4......1.......6.3.7.5..2.....1.4......"


def board(text: str) -> list[int]:
    return [int(letter) if letter.isdigit() else 0 for letter in text]


def is_valid(cells: list[int], size: int) -> bool:
    """Whether each digit is once in each row, column and box."""
    height, width = BOXES[size]
    places = list(itertools.product(range(size), repeat=2))
    for unit_of in (
        lambda r, c: ("row", r),
        lambda r, c: ("column", c),
        lambda r, c: ("box", r // height, c // width),
    ):
        seen = {(unit_of(r, c), cells[r * size + c]) for r, c in places}
        if len(seen) != size * size:
            return False
    return set(cells) == set(range(1, size + 1))


@pytest.mark.parametrize("size", sorted(BOXES))
def test_drawn_boards_are_valid_and_different(size: int) -> None:
    drawn = [draw_solution(size, random.Random(seed)) for seed in range(30)]
    assert all(is_valid(cells, size) for cells in drawn)
    assert len({tuple(cells) for cells in drawn}) > 20


@pytest.mark.parametrize("text", [SEVENTEEN, HARD, HARDEST])
def test_hard_puzzles_have_one_solution(text: str) -> None:
    (solution,) = solve(board(text), 9)
    assert is_valid(solution, 9)
    given = [(cell, digit) for cell, digit in enumerate(board(text)) if digit]
    assert all(solution[cell] == digit for cell, digit in given)


def test_a_puzzle_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "MOST_TRIES", 1000)  # three times those of the hardest one above
    assert len(solve(board(HARDEST), 9)) == 1
    with pytest.raises(Undecided):
        solve(board(IMPOSSIBLE), 9)


def test_all_boards_of_four_are_found() -> None:
    found = solve([0] * 16, 4, most=1000)
    assert len(found) == len({tuple(cells) for cells in found}) == 288  # a known count
    assert all(is_valid(cells, 4) for cells in found)


def test_solutions_are_those_that_enumeration_finds() -> None:
    every = solve([0] * 16, 4, most=1000)
    source = random.Random(0)
    counts = set()
    for _ in range(200):
        cells = source.choice(every)
        puzzle = [digit if source.random() < 0.3 else 0 for digit in cells]
        fits = [s for s in every if all(d in (0, s[i]) for i, d in enumerate(puzzle))]
        assert sorted(solve(puzzle, 4, most=1000)) == sorted(fits)
        counts.add(len(fits) == 1)
    assert counts == {True, False}


def test_clashing_givens_have_no_solution() -> None:
    assert solve([1, 1, *[0] * 14], 4) == []
    # Each digit is missing somewhere, but no two givens clash.
    assert solve([1, 2, 0, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0], 4) == []


def test_a_cell_has_as_many_peers_as_the_units_say() -> None:
    for size, (height, width) in BOXES.items():
        expected = 2 * (size - 1) + (height - 1) * (width - 1)
        assert {peers.bit_count() for peers in shape_of(size).peers} == {expected}
