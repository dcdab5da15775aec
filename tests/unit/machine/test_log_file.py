"""Log files on a full disk, and where there can be none."""

import logging
from pathlib import Path

import pytest

from resweep.machine.log_file import LogFile, add_log_file


def test_a_full_disk_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    handler = LogFile(Path("/dev/full"))
    for number in range(3):
        handler.handle(logging.makeLogRecord({"msg": f"line {number}"}))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: /dev/full: ")


def test_a_log_file_that_cannot_be_opened_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    assert add_log_file(tmp_path / "file/log") is None
    assert [str(tmp_path / "file") in record.message for record in caplog.records] == [True]


def test_lines_are_appended_with_the_folder_made(tmp_path: Path) -> None:
    for number in range(2):
        handler = LogFile(tmp_path / "deep/log", "%(message)s")
        handler.handle(logging.makeLogRecord({"msg": f"line {number}"}))
        handler.close()
    assert (tmp_path / "deep/log").read_text() == "line 0\nline 1\n"
