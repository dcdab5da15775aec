"""Which files a dataset_path and a dataset_size read."""

from pathlib import Path
from typing import Any

import pytest

from resweep.systems.language.corpus import source_files
from resweep.systems.language.dataset_folder import find_dataset
from tests.support.corpus import settings
from tests.support.problems import assert_problem, problem_of

PATHS = ("paths", "val_paths", "test_paths")


def find(folder: Path, size: Any = "10M") -> dict[str, Any]:
    """The fields of `data` of a folder."""
    return find_dataset({"data.dataset_path": str(folder), "data.dataset_size": size}, "a.yaml")


@pytest.mark.parametrize(
    ("there", "paths"),
    [
        (["10M/a.txt", "10M/b.txt", "100M/c.txt"], (["10M/*.txt"], None, None)),
        (["10M.txt", "100M.txt"], (["10M.txt"], None, None)),
        (["10M/train.txt", "10M/notes.txt"], (["10M/train.txt"], None, None)),
        (["10M/train.txt", "10M/val.txt"], (["10M/train.txt"], ["10M/val.txt"], None)),
        (
            ["10M/train/a.txt", "10M/train/b.txt", "10M/dev/a.txt", "10M/test.txt"],
            (["10M/train/*.txt"], ["10M/dev/*.txt"], ["10M/test.txt"]),
        ),
    ],
)
def test_layouts(tmp_path: Path, there: list[str], paths: tuple[Any, ...]) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    found = find(tmp_path)
    for key, wanted in zip(PATHS, paths, strict=True):
        assert found.get(f"data.{key}") == (wanted and [str(tmp_path / one) for one in wanted])
    data = settings(**{name.removeprefix("data."): value for name, value in found.items()})
    assert {str(file.relative_to(tmp_path)) for file in source_files(data)} <= set(there)


def test_without_a_size_the_path_is_the_folder_or_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    assert find(tmp_path, None)["data.paths"] == [str(tmp_path / "*.txt")]
    assert find(tmp_path / "a.txt", None)["data.paths"] == [str(tmp_path / "a.txt")]


def test_what_was_looked_for_is_named(tmp_path: Path) -> None:
    problem = problem_of(find, tmp_path)
    folder = tmp_path / "10M"
    assert_problem(
        problem, "data.dataset_path", str(tmp_path), f"in {folder} ", f"{folder}.txt", "train.txt"
    )


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (["valid.txt"], ["train.txt"]),
        (["train.txt", "test.txt"], ["valid.txt"]),
        (["train.txt", "train/a.txt"], ["train.txt", "train/*.txt"]),
        (["train.txt", "valid.txt", "dev.txt"], ["valid.txt", "dev.txt"]),
    ],
)
def test_splits_that_do_not_fit_are_refused(
    tmp_path: Path, there: list[str], words: list[str]
) -> None:
    for name in there:
        (tmp_path / "10M" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "10M" / name).write_text(name)
    assert_problem(problem_of(find, tmp_path), "data.dataset_path", str(tmp_path), *words)


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
def test_names_that_no_folder_can_have_are_one_line(tmp_path: Path, name: str) -> None:
    problem = problem_of(find, tmp_path / name)
    assert problem.key == "data.dataset_path" and len(str(problem)) < 1000


@pytest.mark.parametrize("size", [True, 1.5, ["10M"], ""])
def test_a_size_is_a_name(tmp_path: Path, size: Any) -> None:
    assert_problem(problem_of(find, tmp_path, size), "data.dataset_size", size)


def test_the_path_is_needed_unless_another_source_is_named() -> None:
    assert_problem(problem_of(find_dataset, {}, "a.yaml"), "data.dataset_path", None)
    assert find_dataset({"data.source": "python-docs"}, "a.yaml") == {}
    both = {"data.source": "python-docs", "data.dataset_size": "10M"}
    assert_problem(problem_of(find_dataset, both, "a.yaml"), "data.dataset_size", "10M")
