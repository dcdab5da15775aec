"""Numbers of things and of bytes, and the ends of ranges."""

import pytest

from resweep.plurals import (
    alike,
    counted,
    measured_duration,
    setting_span_text,
    size_text,
    span_text,
)


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


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.041, "0.041 s"), (9.94, "9.9 s"), (9.96, "10 s"), (61, "1 min 1 s")]
)
def test_short_durations_have_two_digits(seconds: float, text: str) -> None:
    assert measured_duration(seconds) == text


@pytest.mark.parametrize(
    ("values", "digits", "text"),
    [
        ([2.7, 2.38, 2.5], 3, "2.38 to 2.70"),
        ([0.00768, 0.011], 3, "0.00768 to 0.01100"),
        ([2.66191, 2.66194], 3, "2.66191 to 2.66194"),
        ([12345.6, 12345.7], 3, "12,345.6 to 12,345.7"),
        ([123.4, 1234.5], 3, "123 to 1,234"),
        ([1, 2.5], 4, "1.0 to 2.5"),
        ([-3.0, 3.14159], 4, "-3.000 to 3.142"),
        ([0.0001, 0.01], 3, "0.0001 to 0.01"),
        ([0, 0.25], 3, "0 to 0.25"),
        ([1e-7, 2e-7], 3, "1e-07 to 2e-07"),
        ([8, 64], 3, "8 to 64"),
        ([0.1 + 0.2, 0.3], 3, "0.3"),
        ([2.5, 2.5], 3, "2.5"),
    ],
)
def test_ends_of_ranges_differ_and_are_equally_precise(
    values: list[float], digits: int, text: str
) -> None:
    assert span_text(values, digits) == text


def test_numbers_that_are_read_together_keep_their_order() -> None:
    assert alike([3.1, 2.66, 3.1]) == ["3.10", "2.66", "3.10"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.01, 0.003], "0.003 to 0.01"),
        ([0.1], "0.1"),
        ([0.00858123, 0.0001], "0.0001 to 0.00858"),
        ([0.12341, 0.12342], "0.12341 to 0.12342"),
        ([8, 1024], "8 to 1,024"),
    ],
)
def test_settings_are_written_as_people_write_them(values: list[float], text: str) -> None:
    assert setting_span_text(values) == text
