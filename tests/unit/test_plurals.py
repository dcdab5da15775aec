"""Numbers of things and of bytes."""

import pytest

from resweep.plurals import counted, size_text


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


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.6, "1 kB"),
        (12_000_000, "12 MB"),
        (999_500_000, "1 GB"),
        (1.5e30, "1,500,000 YB"),
    ],
)
def test_sizes_have_three_digits(size: float, text: str) -> None:
    assert size_text(size) == text
