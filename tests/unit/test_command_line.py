"""Types of arguments."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from resweep import command_line
from resweep.command_line import JsonArgument


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        ("positive", {"1": 1, "007": 7}, ["0", "-1", "1.0", "1e3", "", "\u00b2", "9" * 5000]),
        ("count", {"0": 0, "12": 12}, ["-1", "x", " 1"]),
        ("seconds", {"0": 0.0, "1.5": 1.5}, ["-1", "nan", "inf", "x", ""]),
        ("file_path", {"a/b": Path("a/b")}, ["", "  ", "a\0b"]),
        ("folder_name", {"a-b_1": "a-b_1"}, ["", "a/b", "..", "-a", "a\n"]),
        ("id_of_run", {"0123456789ab": "0123456789ab"}, ["", "0123", "../x", "0123456789AB"]),
        ("plain_text", {"a b": "a b"}, ["", " ", "\udc80"]),
    ],
)
def test_values_are_read_or_refused(read: str, good: dict[str, Any], bad: list[str]) -> None:
    function = getattr(command_line, read)
    assert {text: function(text) for text in good} == good
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError) as caught:
            function(text)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_json_comes_in_words_or_in_a_file(tmp_path: Path) -> None:
    content = {"a": [1, 2.5, "x"], "b": {"c": None}, "prompt": "\u00e9\n" * 100_000}
    (tmp_path / "a file.json").write_text(json.dumps(content))
    assert JsonArgument()(json.dumps(content)) == content
    assert JsonArgument()(f"@{tmp_path}/a file.json") == content
    with pytest.raises(FileNotFoundError):
        JsonArgument()(f"@{tmp_path}/none.json")
    assert JsonArgument(list[int], len)("[1, 2]") == 2


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[1]", "5", "null", '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}'),
        *('{"a": "\\u0000"}', '{"a": 1' + "0" * 5000 + "}", "[" * 100_000),
        '{"a": ' + "[" * 200 + "]" * 200 + "}",
    ],
    ids=lambda text: text[:12],
)
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        JsonArgument()(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
