"""Where what is wrong in a sweep's study was given: an option, the sweep file, the base study.

The study that `run_sweep.py` makes is a file that its user has never seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from resweep.errors import Problem

COMMAND_LINE = "command line"


@dataclass(frozen=True, kw_only=True)
class GivenPlaces:
    """The places that a made study comes from.

    Attributes:
        study: The made study.
        base: The study that it is based on.
        sweep: Its copy of the sweep file.
        sweep_file: The sweep file.
        options: The keys of the study that options set, and these options.
        changes: The names that --set gives a value.
    """

    study: Path
    base: Path
    sweep: Path
    sweep_file: Path
    options: Mapping[str, str]
    changes: frozenset[str]

    def of(self, problem: Problem) -> Problem:
        """Return a problem of the made study as one of the place where it was given."""
        hint = problem.hint.replace(str(self.sweep), str(self.sweep_file))
        problem = replace(problem, hint=hint.replace(str(self.study), str(self.base)))
        if problem.file == str(self.sweep):
            return replace(problem, file=str(self.sweep_file))
        if problem.file != str(self.study):
            return problem
        option = self.options.get(problem.key) or self._change(
            problem.key.removeprefix("phases.0.").removeprefix("set.")
        )
        if option is None:
            return replace(problem, file=str(self.base))
        return replace(problem, file=COMMAND_LINE, key=option)

    def _change(self, key: str) -> str | None:
        """Return the word of --set that gave a key a value; flat names stand for paths."""
        for name in (key, key.rpartition(".")[2]):
            if name in self.changes:
                return f"--set {name}"
        inside = [name for name in self.changes if name.startswith(f"{key}.")]
        return f"--set {min(inside)}" if inside else None
