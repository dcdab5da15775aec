"""What the process that sends metrics to W&B reads and tidies, without W&B."""

import time
from pathlib import Path

from resweep.wandb.follow import Tail, drop_empty, wait_for_new_name


def test_lines_are_read_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text('{"step": 1}\n{"st')
    with path.open("rb") as file:
        tail = Tail(file.fileno())
        assert list(tail.new_lines()) == [{"step": 1}]
        assert list(tail.new_lines()) == []
        with path.rename(tmp_path / "moved").open("a") as moved:
            moved.write('ep": 2}\n')
        assert list(tail.new_lines()) == [{"step": 2}]


def offline(directory: Path, name: str, size: int) -> Path:
    """Make the folder of an offline run."""
    folder = directory / "wandb" / name
    folder.mkdir(parents=True)
    (folder / "run-abc.wandb").write_bytes(b"x" * size)
    return folder


def test_only_empty_folders_of_the_run_are_removed(tmp_path: Path) -> None:
    empty = offline(tmp_path, "offline-run-20260101_000000-abc", 7)
    kept = [
        offline(tmp_path, "offline-run-20260101_000001-abc", 8),
        offline(tmp_path, "offline-run-20260101_000000-abcd", 7),
    ]
    drop_empty(tmp_path, "abc")
    assert not empty.exists() and all(folder.exists() for folder in kept)


def test_two_attempts_of_one_second_get_folders_of_their_own(tmp_path: Path) -> None:
    taken = time.strftime("%Y%m%d_%H%M%S")
    offline(tmp_path, f"offline-run-{taken}-abc", 8)
    wait_for_new_name(tmp_path, "abc")
    assert time.strftime("%Y%m%d_%H%M%S") > taken
