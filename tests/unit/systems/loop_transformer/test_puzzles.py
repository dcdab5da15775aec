"""Puzzles that are drawn, and puzzles that are read."""

from pathlib import Path

import numpy as np
import pytest

from resweep.data import store
from resweep.errors import DataError
from resweep.paths import Layout
from resweep.systems.loop_transformer import board
from resweep.systems.loop_transformer.board import BOXES, solve
from resweep.systems.loop_transformer.puzzle_data import PuzzleData
from resweep.systems.loop_transformer.puzzles import generate, read_files, shared_kinds
from resweep.systems.loop_transformer.sections import Data
from resweep.systems.loop_transformer.symmetry import augment, available, kinds
from tests.support.loop_transformer import SYSTEM, configure, prepare

ONE = "1...", "..2.", "...3", "4..."


def data(**fields: object) -> Data:
    return Data.model_validate(fields)


@pytest.mark.parametrize(
    ("size", "fewest", "most"), [(4, 5, 5), (4, 4, 11), (6, 12, 13), (9, 26, 30), (9, 60, 60)]
)
def test_puzzles_have_one_solution_and_as_many_givens_as_asked(
    size: int, fewest: int, most: int
) -> None:
    train, test = generate(
        data(size=size, min_givens=fewest, max_givens=most, train_puzzles=10, test_puzzles=5)
    )
    assert (len(train[0]), len(test[0])) == (10, 5)
    for questions, answers in (train, test):
        givens = (questions > 0).sum(1)
        assert fewest <= givens.min() and givens.max() <= most
        for question, answer in zip(questions, answers, strict=True):
            assert solve(list(map(int, question)), size) == [list(answer)]


def test_no_test_puzzle_is_one_of_training_after_augmentations() -> None:
    """With so few kinds of puzzles, they would be: a third is drawn several times."""
    train, test = generate(data(size=4, train_puzzles=300, test_puzzles=100))
    assert shared_kinds(train, test, 4) == []
    names = kinds(*(np.concatenate(pair) for pair in zip(train, test, strict=True)), 4)
    assert len({*names}) == 400


def test_a_test_puzzle_that_was_moved_and_relabelled_is_found() -> None:
    for size in sorted(BOXES):
        train, test = generate(data(size=size, train_puzzles=20, test_puzzles=5))
        copy = augment(*train, size, available(size), np.random.default_rng(0))
        mixed = tuple(
            np.concatenate([boards[:3], moved[7:8]])
            for boards, moved in zip(test, copy, strict=True)
        )
        assert shared_kinds(train, (mixed[0], mixed[1]), size) == [(3, 7)]


def test_more_puzzles_than_there_are_is_one_line() -> None:
    with pytest.raises(DataError) as caught:
        generate(data(size=4, min_givens=4, max_givens=4, train_puzzles=13, test_puzzles=1))
    text = str(caught.value)
    assert "= 14" in text and "only 13 puzzles" in text and "max_givens" in text
    assert "\n" not in text


def test_equal_settings_give_equal_files_and_others_do_not(tmp_path: Path) -> None:
    one, two = (prepare(configure(), tmp_path / name) for name in ("a", "b"))
    assert one.digest == two.digest
    assert prepare(configure(data__puzzle_seed=1), tmp_path / "a").digest != one.digest
    questions, answers = PuzzleData(one).read("train")
    assert len(questions) == 40 and (answers > 0).all()


def csv_of(puzzles: tuple[np.ndarray, np.ndarray], empty: str = ".") -> str:
    rows = ["source,question,answer,rating"]
    for question, answer in zip(*puzzles, strict=True):
        shown = "".join(str(digit) if digit else empty for digit in question)
        rows.append(f"made,{shown},{''.join(map(str, answer))},0")
    return "\n".join(rows) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of 6 and 3 puzzles of size 4."""
    train, test = generate(data(size=4, train_puzzles=6, test_puzzles=3))
    (tmp_path / "train.csv").write_text(csv_of(train))
    (tmp_path / "test.csv").write_text(csv_of(test, empty="0"))
    return tmp_path


def read(folder: Path, **fields: object) -> PuzzleData:
    settings = data(size=4, path=str(folder), **fields).model_dump(mode="json")
    return PuzzleData(store.ensure(SYSTEM, settings, Layout(folder / "results")))


def test_files_are_read_as_they_were_made(folder: Path) -> None:
    train, test = generate(data(size=4, train_puzzles=6, test_puzzles=3))
    found = read(folder)
    for split, puzzles in (("train", train), ("test", test)):
        for one, two in zip(found.read(split), puzzles, strict=True):
            assert (one == two).all()
    first = read(folder, train_puzzles=4, test_puzzles=2)
    assert dict(first.counts) == {"train": 4, "test": 2}


def replace_line(file: Path, line: int, text: str) -> None:
    lines = file.read_text().splitlines()
    lines[line - 1] = text
    file.write_text("\n".join(lines) + "\n")


SOLVED = "1234341221434321"
WRONG = {
    "made,11..............," + SOLVED: "has no solution",
    "made,1...............," + SOLVED: "has more than one solution",
    "made,1234..," + SOLVED: "has a question that is not 16 digits",
    "made,1234341221434x2.," + SOLVED: "has a question that is not 16 digits",
    "made,123434122143432.,": "has an answer that is not 16 digits",
    "made,123434122143432.": "has an answer that is not 16 digits",
    "made,123434122143432.,2134341221434321": "has an answer that is not its solution",
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_puzzle_is_named_by_its_line(line: str, folder: Path) -> None:
    replace_line(folder / "train.csv", 4, f"{line},0" if line.count(",") > 1 else line)
    with pytest.raises(DataError) as caught:
        read(folder)
    text = str(caught.value)
    assert f"train.csv: line 4 {WRONG[line]}" in text and "\n" not in text


def test_a_puzzle_that_takes_too_long_to_solve_is_named_by_its_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(board, "MOST_TRIES", 0)
    replace_line(folder / "train.csv", 4, f"made,{'.' * 16},{SOLVED},0")
    with pytest.raises(DataError, match=r"line 4 has so many possibilities"):
        read(folder)


def test_files_of_a_spreadsheet_are_read(folder: Path) -> None:
    before = read(folder)
    for name in ("train.csv", "test.csv"):
        lines = (folder / name).read_text().splitlines()
        quoted = [",".join(f'"{cell}"' for cell in line.split(",")) for line in lines]
        (folder / name).write_text("\ufeff" + "\r\n".join(quoted) + "\r\n", newline="")
    after = read(folder)
    assert after.counts == before.counts
    for one, two in zip(after.read("test"), before.read("test"), strict=True):
        assert (one == two).all()


def test_all_wrong_lines_are_named_up_to_a_few(folder: Path) -> None:
    for line in (2, 4):
        replace_line(folder / "test.csv", line, "made,1234..,x,0")
    with pytest.raises(DataError, match=r"line 2 has .*; line 4 has "):
        read(folder)


def test_a_test_puzzle_of_training_is_named_by_both_lines(folder: Path) -> None:
    fifth = (folder / "train.csv").read_text().splitlines()[4]
    turned = str.maketrans("1234", "3142")  # relabelled
    replace_line(folder / "test.csv", 3, fifth.rpartition(",")[0].translate(turned) + ",0")
    with pytest.raises(DataError, match=r"test.csv: line 3 is line 5 of train.csv, up to"):
        read(folder)


def test_a_missing_file_and_a_missing_column_are_named(folder: Path) -> None:
    (folder / "test.csv").write_text("puzzle,solution\n")
    with pytest.raises(DataError, match=r"test.csv: has no column question and no column answer"):
        read(folder)
    (folder / "test.csv").unlink()
    with pytest.raises(DataError, match=r"test.csv"):
        read(folder)


def test_damaged_files_are_noticed(tmp_path: Path) -> None:
    prepared = prepare(configure(), tmp_path)
    file = prepared.folder / "test.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(Exception, match=r"test.bin: has .* bytes instead of"):
        PuzzleData(prepared).read("test")


def test_puzzles_of_another_size_are_named_with_the_size_to_set(folder: Path) -> None:
    board = "123456789" * 9
    (folder / "train.csv").write_text(f"question,answer\n{board},{board}\n")
    with pytest.raises(DataError, match=r"train\.csv: line 2 .* 81 cells.* set data\.size: 9"):
        read_files(Data(size=4, path=str(folder)))
