"""What is wrong with a configuration, compared by its fields: its wording is free."""

from collections.abc import Callable, Iterable
from typing import Any
from unittest.mock import ANY

import pytest

from resweep.errors import ConfigError, Problem


def problems_of(call: Callable[..., Any], *arguments: Any, **options: Any) -> list[Problem]:
    """Return the problems that a call raises, each of one line."""
    with pytest.raises(ConfigError) as caught:
        call(*arguments, **options)
    problems = list(caught.value.problems)
    assert len(str(caught.value).splitlines()) == len(problems), "a problem of more than one line"
    return problems


def problem_of(call: Callable[..., Any], *arguments: Any, **options: Any) -> Problem:
    """Return the only problem that a call raises."""
    problems = problems_of(call, *arguments, **options)
    assert len(problems) == 1, problems
    return problems[0]


def fits(problem: Problem, key: Any = ANY, value: Any = ANY, *words: str, file: str = "") -> bool:
    """Whether a problem is the expected one.

    Args:
        problem: It.
        key: Its key.
        value: Its value; None where a key is missing.
        words: Names and numbers that its hint has to give.
        file: The end of its file's name.
    """
    same = (problem.key, problem.value) == (key, value) and problem.file.endswith(file)
    return same and all(word in problem.hint for word in words)


def assert_problem(
    problems: Problem | Iterable[Problem],
    key: Any = ANY,
    value: Any = ANY,
    *words: str,
    file: str = "",
) -> None:
    """Assert that one of the problems is the expected one; the arguments are those of `fits`."""
    given = [problems] if isinstance(problems, Problem) else list(problems)
    assert any(fits(problem, key, value, *words, file=file) for problem in given), given
