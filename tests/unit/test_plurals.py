"""Numbers of things."""

import pytest

from resweep.plurals import counted


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((0, "run"), "0 runs"),
        ((1, "run"), "1 run"),
        ((2, "run"), "2 runs"),
        ((1, "process", "processes"), "1 process"),
        ((3, "process", "processes"), "3 processes"),
    ],
)
def test_one_is_singular(arguments: tuple[int, str], text: str) -> None:
    assert counted(*arguments) == text
