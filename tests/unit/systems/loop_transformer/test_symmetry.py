"""Augmentations of puzzles, and the kinds that they cannot tell apart."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from resweep.systems.loop_transformer.board import BOXES, solve
from resweep.systems.loop_transformer.puzzles import draw
from resweep.systems.loop_transformer.sections import Augmentation, Data
from resweep.systems.loop_transformer.symmetry import (
    AUGMENTATIONS,
    augment,
    available,
    canonical,
    fingerprint,
    kinds,
)


def puzzles(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    drawn = [draw(Data(size=size), number) for number in range(count)]
    questions, answers = zip(*drawn, strict=True)
    return np.array(questions, np.uint8), np.array(answers, np.uint8)


def group_of_four() -> Iterator[np.ndarray]:
    """All orders of the 16 cells that keep rows, columns and boxes: 128."""
    lines = [
        [2 * band + row for band in bands for row in inner[band]]
        for bands in itertools.permutations(range(2))
        for inner in itertools.product(itertools.permutations(range(2)), repeat=2)
    ]
    for rows, columns, turned in itertools.product(lines, lines, (False, True)):
        cells = np.array(rows)[:, None] * 4 + np.array(columns)[None, :]
        yield (cells.T if turned else cells).ravel()


def first_in_group(question: np.ndarray, answer: np.ndarray) -> tuple[bytes, bytes]:
    """The first solution and pattern that the whole group reaches, one by one."""
    reached = []
    for cells in group_of_four():
        labels = np.zeros(5, np.uint8)
        labels[answer[cells][:4]] = range(4)  # of each relabelling, the one that comes first
        reached.append((labels[answer[cells]].tobytes(), (question[cells] > 0).tobytes()))
    return min(reached)


def test_names_of_the_configuration_are_the_augmentations() -> None:
    assert Augmentation.__args__ == AUGMENTATIONS  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", sorted(BOXES))
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_augmented_puzzle_has_the_augmented_solution(size: int, name: str) -> None:
    if name not in available(size):
        assert size == 6 and name == "transposition"
        return
    questions, answers = puzzles(size, 12)
    random = np.random.default_rng(0)
    moved, solved = augment(questions, answers, size, (name,), random)
    assert all(
        solve(list(map(int, q)), size) == [list(a)] for q, a in zip(moved, solved, strict=True)
    )
    assert (solved != answers).any()


def test_each_augmentation_does_what_it_says() -> None:
    questions, answers = puzzles(9, 20)
    grid = answers.reshape(-1, 9, 9)
    done = {
        name: augment(questions, answers, 9, (name,), np.random.default_rng(1))
        for name in AUGMENTATIONS
    }
    moved = {name: after.reshape(-1, 9, 9) for name, (_, after) in done.items()}
    for one, two in zip(grid, moved["relabelling"], strict=True):
        assert len({*zip(one.ravel(), two.ravel(), strict=True)}) == 9
    assert all(
        (two == one).all() or (two == one.T).all()
        for one, two in zip(grid, moved["transposition"], strict=True)
    )
    for name, turned in (("bands", False), ("rows", False), ("stacks", True), ("columns", True)):
        before, after = (g.transpose(0, 2, 1) if turned else g for g in (grid, moved[name]))
        for one, two in zip(before, after, strict=True):
            lines = [row.tobytes() for row in one]
            order = [lines.index(row.tobytes()) for row in two]
            bands = [{i // 3 for i in order[first : first + 3]} for first in (0, 3, 6)]
            assert all(len(band) == 1 for band in bands)
            if name in ("bands", "stacks"):
                assert all(order[i] % 3 == i % 3 for i in range(9))
            else:
                assert [band.pop() for band in bands] == [0, 1, 2]
    kept = {name: (q > 0).sum(1).tolist() for name, (q, _) in done.items()}
    assert all(counts == (questions > 0).sum(1).tolist() for counts in kept.values())


@pytest.mark.parametrize("size", sorted(BOXES))
def test_augmentations_keep_the_kind(size: int) -> None:
    questions, answers = puzzles(size, 6)
    moved = augment(questions, answers, size, available(size), np.random.default_rng(2))
    assert (fingerprint(*moved, size) == fingerprint(questions, answers, size)).all()
    forms = [canonical(q, a, size) for q, a in zip(questions, answers, strict=True)]
    assert forms == [canonical(q, a, size) for q, a in zip(*moved, strict=True)]
    assert len(set(forms)) == 6


def test_kinds_of_four_are_the_orbits_of_the_whole_group() -> None:
    questions, answers = puzzles(4, 150)
    by_force = [first_in_group(q, a) for q, a in zip(questions, answers, strict=True)]
    named = kinds(questions, answers, 4)
    exact = [canonical(q, a, 4) for q, a in zip(questions, answers, strict=True)]
    assert len({*by_force}) < 150
    for found in (named, exact):
        assert len({*zip(found, by_force, strict=True)}) == len({*found}) == len({*by_force})


def test_the_known_number_of_puzzles_with_four_givens_is_found() -> None:
    drawn = [draw(Data(size=4, min_givens=4, max_givens=4), number) for number in range(300)]
    questions, answers = (np.array(part, np.uint8) for part in zip(*drawn, strict=True))
    assert len({*kinds(questions, answers, 4)}) == 13
