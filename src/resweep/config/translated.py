"""A configuration that was written in other names than those of our fields, and its errors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from resweep.errors import Problem


@dataclass(frozen=True, kw_only=True)
class Translated:
    """What a file says, in the names of our fields.

    Attributes:
        origin: The file.
        values: path -> value, complete: what a study has under `set`.
        own: Names of the user's own hyperparameters.
        keys: path -> the key of the file that it stands for, where they differ.
    """

    origin: str
    values: Mapping[str, Any]
    own: tuple[str, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)

    def of(self, problem: Problem) -> Problem:
        """Return a problem of a study that has these values as one of the file."""
        key = problem.key.removeprefix("set.")
        # An option of another command, and a place that its user has never seen.
        hint = re.sub(r" \(run_sweep\.py: --own [^()]*\)", "", problem.hint)
        hint = hint.replace("to the study", f"to {self.origin}")
        return replace(problem, file=self.origin, key=self.keys.get(key, key), hint=hint)
