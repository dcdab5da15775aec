"""A trial as one line for people."""

from typing import Any

import pytest

from resweep.trials.trial import LONGEST_LINE, Trial


def line(**assignments: Any) -> list[str]:
    named = {name.replace("__", "."): value for name, value in assignments.items()}
    return Trial("s", "p", "3fa2", assignments=named).line.split("  ")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.00070771234, "0.0007077"),
        (4, "4"),
        (True, "true"),
        (None, "null"),
        ("a b", "a b"),
        ("two\nlines {x}", "two lines {x}"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_values_are_short(value: Any, shown: str) -> None:
    assert line(training__x=value) == ["trial 3fa2", f"x {shown}"]


def test_names_are_short_where_they_differ_and_in_the_order_of_the_file() -> None:
    assert line(training__lr=1.0, model__n=2) == ["trial 3fa2", "n 2", "lr 1"]
    assert line(model__dropout=0.1, own__dropout=2) == [
        "trial 3fa2",
        "model.dropout 0.1",
        "own.dropout 2",
    ]
    assert line() == ["trial 3fa2"]


def test_a_line_has_an_end() -> None:
    (long,) = (Trial("s", "p", "t", assignments={f"x{i:02}": "y" * 50 for i in range(40)}),)
    assert len(long.line) == LONGEST_LINE and "\n" not in long.line
    assert len(Trial("s", "p", "t", assignments={"prompt": "y" * 200_000}).line) < 80
