"""One line for each fault of a file: its name, the error, and what helps."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from resweep.errors import describe
from resweep.files import write_atomically
from tests.support.disks import only_readable, run_plain


def file_for_folder(root: Path) -> None:
    (root / "results").touch()


def file_for_last_folder(root: Path) -> None:
    (root / "results").mkdir()
    (root / "results/study").touch()


def lost_link(root: Path) -> None:
    (root / "results").symlink_to("/nowhere/results")


def circle(root: Path) -> None:
    (root / "results").symlink_to("results")


def folder_for_file(root: Path) -> None:
    (root / "results/study/file/inside").mkdir(parents=True)


@pytest.mark.parametrize(
    ("fault", "named", "hint"),
    [
        (file_for_folder, "results", "where a folder should be"),
        (file_for_last_folder, "results/study", "where a folder should be"),
        (lost_link, "results", "/nowhere/results"),
        (circle, "results", "a link to results"),
        (folder_for_file, "results/study/file", "a file should be there"),
    ],
)
def test_what_is_in_the_way_is_named(
    fault: Callable[[Path], None], named: str, hint: str, tmp_path: Path
) -> None:
    fault(tmp_path)
    with pytest.raises(OSError) as raised:
        write_atomically(tmp_path / "results/study/file", "text")
    line = describe(raised.value)
    assert f"{tmp_path / named}" in line and hint in line and "\n" not in line


def test_of_two_files_the_written_one_is_named_when_a_disk_is_full() -> None:
    def text(number: int) -> str:
        return describe(OSError(number, "why", "/from", None, "/to"))

    assert text(errno.ENOSPC).startswith("/to: why; ")
    assert text(errno.EXDEV).startswith("/from -> /to: why")


DENIED = """
import sys
from pathlib import Path
from resweep.errors import describe
from resweep.files import write_atomically
root = Path(sys.argv[1])
for work in (
    lambda: write_atomically(root / "theirs/file", ""),
    lambda: write_atomically(root / "theirs/new/file", ""),
    lambda: (root / "secret").read_text(),
    lambda: (root / "closed/file").read_text(),
    lambda: (root / "theirs/file").open("a"),
    lambda: (root / "link").read_text(),
):
    try:
        work()
    except OSError as error:
        print(describe(error))
"""


def test_whose_it_is_is_said(tmp_path: Path) -> None:
    for folder in ("theirs", "closed"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").touch()
    (tmp_path / "secret").touch()
    (tmp_path / "link").symlink_to("closed/file")
    only_readable(tmp_path / "theirs")
    (tmp_path / "secret").chmod(0)
    (tmp_path / "closed").chmod(0)
    try:
        lines = run_plain(DENIED, tmp_path)
    finally:
        (tmp_path / "closed").chmod(0o700)
    owner = tmp_path.owner()
    barriers = ["theirs (dr-x", "theirs (dr-x", "secret (----", "closed (d---", "theirs (dr-x"]
    barriers.append("closed (d---")
    for line, barrier in zip(lines, barriers, strict=True):
        name, mode = barrier.split(" ")
        assert f"{tmp_path / name} belongs to {owner} {mode}" in line, line


COMMAND = """
from resweep.errors import run_command
run_command(lambda: print("x" * 100_000))
"""


@pytest.mark.parametrize("full", [True, False])
def test_output_that_nobody_takes_is_no_trace(full: bool) -> None:
    target = "/dev/full" if full else ">(head -c1 > /dev/null)"
    script = f"{sys.executable} -c '{COMMAND}' > {target}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert [line.startswith("error: standard output: ") for line in lines] == [True] * full


def test_letters_that_an_encoding_lacks_are_no_trace() -> None:
    command = "from resweep.errors import run_command; run_command(lambda: print('1 \\u00b1 2'))"
    done = subprocess.run(
        [sys.executable, "-c", command],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1 ? 2\n"
