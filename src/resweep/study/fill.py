"""A job that decides what trains next, from what earlier jobs wrote."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Files = Mapping[str, Sequence[Path]]


@dataclass(frozen=True, kw_only=True)
class Fill:
    """A job that writes trial files.

    Its command is `python {scripts}/{script}`, with the plan and the files of `passes` as
    options of the same names; it reads names of records from standard input.

    Attributes:
        verb: What it does, for the names of its rule and log: plan, suggest, promote ...
        stage: Which stage of the phase it is for, for these names too; "" for the only one.
        script: Its command's file in workflow/scripts/.
        plan: What it needs of the study, as canonical JSON; None if nothing.
        records: Records that it reads.
        inputs: Other files that must exist first, by name.
        outputs: Files that it writes, by name.
        passes: Names of inputs and outputs that are passed to the command.
    """

    verb: str
    stage: str = ""
    script: str
    plan: str | None = None
    records: Sequence[Path] = ()
    inputs: Files = field(default_factory=dict)
    outputs: Files
    passes: Sequence[str] = ()

    def command(self, scripts: str) -> str:
        """Return the command for bash; it waits for names of records if it reads any.

        The plan is passed as a file: one argument of a command ends at 128 kB.

        Args:
            scripts: The folder of its script.
        """
        files = {**self.inputs, **self.outputs}
        words = ["python", f"{scripts}/{self.script}"]
        words += ["--records", "-"] if self.records else []
        for name in self.passes:
            words += [f"--{name.replace('_', '-')}", *map(str, files[name])]
        plan = f" --plan @<(printf %s {shlex.quote(self.plan)})" if self.plan is not None else ""
        return shlex.join(words) + plan
