"""Further places that a study may publish to, and what is refused when it is read."""

from typing import Any

import pytest

from resweep.study.publish_target import check_target


@pytest.mark.parametrize(
    "target", ["backup", "/mnt/backup", "~/backup", "memory://x", "file:///tmp/x", {"hub": "m"}]
)
def test_targets(target: Any) -> None:
    assert check_target(target) == target


@pytest.mark.parametrize(
    ("target", "word"),
    [
        ("", "folder"),
        (3, "folder"),
        ({"hub": 1}, "folder"),
        ({"hub": "a", "x": "b"}, "folder"),
        ({"hub": "memory://x"}, "hub"),
        ("nosuch://x", "nosuch"),
        ("gdrive://x", "gdrive"),
        ("s3://me:word-of-mine@host/x", "password"),
    ],
)
def test_what_is_no_target(target: Any, word: str) -> None:
    with pytest.raises(ValueError, match=word) as caught:
        check_target(target)
    assert "word-of-mine" not in str(caught.value)
