"""Conditions on rows of the table of runs."""

import pytest

from resweep.report.run_filters import read_condition
from tests.support.problems import problem_of


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("learning_rate=6e-4", {0.0006: True, 6e-5: False, None: False, "6e-4": True}),
        ("n=2", {2: True, 20: False, True: False}),
        ("n=2,4", {2: True, 4: True, 3: False}),
        ("n!=2", {2: False, 3: True, None: True}),
        ("n<3", {2.5: True, 3: False, None: False, "2": False}),
        ("n<=3", {3: True, 4: False}),
        ("n > 3", {3: False, 4: True}),
        ("n>=3e0", {3: True, 2: False}),
        ("name=gpt2", {"gpt2": True, "gpt": False, None: False}),
        ("name=/^warm/", {"warm-1": True, "a warm one": False, None: False}),
        ("name=/WARM/i", {"warm": True}),
        ("name!=/x/", {"x": False, "y": True}),
        ("step=/5/", {150: True, 140: False}),
        ("flag=true", {True: True, False: False, None: False, "true": True}),
        ("path=none", {None: True, "x": False, 0: False}),
        ("path=", {None: True, "x": False}),
        ("path!=none", {None: False, "x": True}),
        ('name="none"', {"none": True, None: False}),
        ("run_name=a=b", {"a=b": True, "a": False}),
    ],
)
def test_values_are_compared_by_type(text, cells):
    condition = read_condition(text)
    assert {cell: condition.holds(cell) for cell in cells} == cells


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("n", "COLUMN=VALUE"),
        ("=3", "COLUMN=VALUE"),
        ("", "COLUMN=VALUE"),
        ("n<three", "compares numbers"),
        ("n=/[/", "not a regular expression"),
    ],
)
def test_what_is_none_is_refused(text, words):
    problem = problem_of(read_condition, text)
    assert (problem.key, words in problem.hint) == (text, True)
