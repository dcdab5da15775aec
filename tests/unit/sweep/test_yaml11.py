"""What W&B makes of text that YAML 1.2 leaves as text."""

import pytest
import yaml

from resweep.sweep.yaml11 import as_boolean, as_number, as_whole, is_quoted_number, other_reading

WORDS = ["yes", "No", "ON", "off", "True", "FALSE"]
NUMBERS = ["1_000", "-1_0", "+1_000.5", "1_0.", "1_0.0e+3", ".2", ".5e+3"]


@pytest.mark.parametrize("text", WORDS + NUMBERS)
def test_words_and_numbers_are_read_as_by_wandb(text):
    assert other_reading(text) == yaml.safe_load(text)
    assert type(other_reading(text)) is type(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text", ["y", "", "_", "_1", ".", "._2", "1_000x", "1e999", "fast", "1:30", "[1]"]
)
def test_other_text_stays(text):
    assert as_number(text) is text and as_whole(text) is text and as_boolean(text) is text
    assert other_reading(text) is text and not is_quoted_number(text)


@pytest.mark.parametrize("value", [None, True, 2, 0.5, [1], {"a": 1}, 1.5])
def test_other_values_stay(value):
    assert as_number(value) is value and as_boolean(value) is value
    assert other_reading(value) is value and not is_quoted_number(value)


def test_a_float_without_a_fraction_is_whole():
    assert [as_whole(3.0), as_whole("3_0.0"), as_whole(3.5)] == [3, 30, 3.5]
    assert type(as_whole(3.0)) is int
    assert as_whole(float("inf")) == float("inf")


def test_numbers_in_quotes_are_known():
    assert is_quoted_number("1e-4") and as_number("1e-4") == "1e-4"
    assert other_reading("1e-4") == 1e-4
    assert [other_reading(0), other_reading(1)] == [False, True]
