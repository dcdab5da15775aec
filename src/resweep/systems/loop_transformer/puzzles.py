"""Where puzzles come from: drawn at a difficulty, or read from CSV files.

    generate    full board -> cells removed while there is one solution -> all of different kinds
    read_csv    question,answer -> checked line by line

Both give boards as (n, cells) of uint8, 0 for empty cells.
"""

import csv
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from resweep.errors import DataError
from resweep.systems.loop_transformer.board import (
    FEWEST_GIVENS,
    Undecided,
    draw_solution,
    has_solution,
    options_of,
    solve,
)
from resweep.systems.loop_transformer.sections import Data
from resweep.systems.loop_transformer.symmetry import kinds
from resweep.training.seeds import derive_seed

Puzzles = tuple[np.ndarray, np.ndarray]  # questions, answers

COLUMNS = ("question", "answer")
EMPTY = ".0"
SIZES = {size * size: size for size in FEWEST_GIVENS}  # by cells
MOST_LINES = 5  # of a file, in a message
TRIES = 20  # of a board, until one with few enough givens is found
# Puzzles are drawn in rounds of at least so many, until less than this share of them is new.
ROUND, FEW_NEW = 200, 0.02


def generate(data: Data) -> tuple[Puzzles, Puzzles]:
    """Draw the puzzles of training and test, all of different kinds.

    Raises:
        DataError: There are not as many, or hardly.
    """
    wanted = data.train_puzzles + data.test_puzzles
    questions = answers = np.empty((0, data.cells), np.uint8)
    drawn = 0
    while (known := len(questions)) < wanted:
        count = wanted if not drawn else max(wanted - known, ROUND)
        more = np.array([draw(data, drawn + number) for number in range(count)], np.uint8)
        drawn += count
        questions = np.concatenate([questions, more[:, 0]])
        answers = np.concatenate([answers, more[:, 1]])
        keep = sorted(_first_of(kinds(questions, answers, data.size)).values())[:wanted]
        questions, answers = questions[keep], answers[keep]
        if len(keep) < wanted and len(keep) - known < FEW_NEW * count:
            fewest, most = data.givens
            raise DataError(
                f"data.train_puzzles + data.test_puzzles = {wanted:,}: of size {data.size} with "
                f"{fewest} to {most} givens, only {len(keep):,} puzzles were found that no "
                "augmentation turns into each other; ask for fewer, or widen min_givens and "
                "max_givens"
            )
    # Common kinds are found first: without shuffling, the two parts would differ.
    order = np.random.Generator(np.random.Philox(key=[data.puzzle_seed, 1])).permutation(wanted)
    train, test = order[: data.train_puzzles], order[data.train_puzzles :]
    return (questions[train], answers[train]), (questions[test], answers[test])


def draw(data: Data, number: int) -> tuple[list[int], list[int]]:
    """Draw a puzzle and its only solution; its number of givens is drawn first.

    Raises:
        DataError: None with so few givens was found.
    """
    source = random.Random(derive_seed("puzzle", data.puzzle_seed, number))
    givens = source.randint(*data.givens)
    for _ in range(TRIES * data.size):
        answer = draw_solution(data.size, source)
        question = _remove_cells(answer, givens, data.size, source)
        if question is not None:
            return question, answer
    raise DataError(
        f"data.min_givens = {givens}: no puzzle of size {data.size} was found with so few; raise it"
    )


def _remove_cells(
    answer: list[int], givens: int, size: int, source: random.Random
) -> list[int] | None:
    """Empty cells at random, as long as there is one solution; None if too many have to stay."""
    question, left = answer.copy(), len(answer)
    order = list(range(len(answer)))
    source.shuffle(order)
    for cell in order:
        if left == givens:
            return question
        question[cell] = 0
        if _has_another(question, cell, answer[cell], size):
            question[cell] = answer[cell]
        else:
            left -= 1
    return question if left == givens else None


def _has_another(question: list[int], cell: int, digit: int, size: int) -> bool:
    """Whether a puzzle has a solution with another digit in a cell."""
    options = options_of(question, size)
    assert options is not None, "it has a solution"
    options[digit - 1] &= ~(1 << cell)
    return has_solution(options, size)


def read_csv(path: Path, data: Data, most: int) -> tuple[Puzzles, list[int]]:
    """Read the first puzzles of a file; also returns their lines.

    Raises:
        DataError: The file has none; or some are malformed, have no solution or
            several, or another one than their answer: names their lines.
    """
    wrong: list[str] = []
    rows: list[tuple[list[int], list[int]]] = []
    lines: list[int] = []
    for line, question, answer in _lines_of(path):
        cells = len(question.strip())
        if cells == len(answer.strip()) != data.cells and cells in SIZES:
            hint = f"set data.size: {SIZES[cells]}, or name other puzzles"
            raise DataError(
                f"{path}: line {line} has a puzzle of {cells} cells, but data.size = {data.size} "
                f"has {data.cells}; {hint}"
            )
        if len(rows) + len(wrong) == most or len(wrong) == MOST_LINES:
            break
        puzzle = _board(question, data), _board(answer, data)
        fault = _fault(*puzzle, data)
        if fault is None:
            assert puzzle[0] is not None and puzzle[1] is not None
            rows.append((puzzle[0], puzzle[1]))
            lines.append(line)
        else:
            wrong.append(f"line {line} {fault}")
    if wrong:
        more = ", and maybe more" if len(wrong) == MOST_LINES else ""
        raise DataError(f"{path}: {'; '.join(wrong)}{more}; correct or remove them")
    if not rows:
        raise DataError(f"{path}: has no puzzles")
    boards = np.array(rows, np.uint8)
    return (boards[:, 0], boards[:, 1]), lines


def _lines_of(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line number, question and answer."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path}: has no column {' and no column '.join(missing)}; its first line "
                    "should name the columns question and answer"
                )
            for row in reader:
                yield reader.line_num, row["question"] or "", row["answer"] or ""
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not a CSV file: {error}") from None


def _board(text: str, data: Data) -> list[int] | None:
    """Read a board; None if it is not one of this size."""
    text = text.strip()
    digits = {str(digit): digit for digit in range(1, data.size + 1)} | dict.fromkeys(EMPTY, 0)
    if len(text) != data.cells or not set(text) <= digits.keys():
        return None
    return [digits[letter] for letter in text]


def _fault(question: list[int] | None, answer: list[int] | None, data: Data) -> str | None:
    """Return what is wrong with a puzzle, as a predicate; None if it is fine."""
    for name, board in (("a question", question), ("an answer", answer)):
        if board is None:
            return (
                f"has {name} that is not {data.cells} digits from 1 to {data.size}, with . or 0 "
                "for empty cells"
            )
    assert question is not None
    try:
        found = solve(question, data.size)
    except Undecided:
        return "has so many possibilities that it cannot be said whether it has one solution"
    if not found:
        return "has no solution"
    if len(found) > 1:
        return "has more than one solution"
    if found[0] != answer:
        return "has an answer that is not its solution"
    return None


def read_files(data: Data) -> tuple[Puzzles, Puzzles]:
    """Read the puzzles of training and test, and check that none is in both.

    Raises:
        DataError: A file is missing or has wrong puzzles; or a puzzle of test is one of training
            after augmentations: names the lines.
    """
    files = files_of(data)
    (train, train_lines), (test, test_lines) = (
        read_csv(file, data, most)
        for file, most in zip(files, (data.train_puzzles, data.test_puzzles), strict=True)
    )
    shared = shared_kinds(train, test, data.size)
    if shared:
        shown = [
            f"line {test_lines[i]} is line {train_lines[j]} of {files[0].name}"
            for i, j in shared[:MOST_LINES]
        ]
        more = f", and {len(shared) - MOST_LINES:,} more" if len(shared) > MOST_LINES else ""
        raise DataError(
            f"{files[1]}: {'; '.join(shown)}{more}, up to relabelling and moved rows and columns; "
            "remove them from one of the files"
        )
    return train, test


def files_of(data: Data) -> list[Path]:
    """Return the files that puzzles are read from, those of training first.

    Raises:
        DataError: One is missing.
    """
    assert data.path is not None, "they are read"
    files = [Path(data.path).expanduser() / f"{split}.csv" for split in ("train", "test")]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise DataError(f"{missing}: is missing; data.path needs train.csv and test.csv")
    return files


def shared_kinds(train: Puzzles, test: Puzzles, size: int) -> list[tuple[int, int]]:
    """Return the puzzles of test that augmentations turn into one of training.

    Returns:
        (position in test, position in training) of each.
    """
    questions, answers = (np.concatenate(pair) for pair in zip(train, test, strict=True))
    names = kinds(questions, answers, size)
    first = _first_of(names[: len(train[0])])
    of_test = names[len(train[0]) :]
    return [(i, first[name]) for i, name in enumerate(of_test) if name in first]


def _first_of(names: list[bytes]) -> dict[bytes, int]:
    """Return the first position of each name."""
    return {name: i for i, name in reversed(list(enumerate(names)))}
