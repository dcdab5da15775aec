"""What a study trains, as a file that every contender reads."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Trainings that differ in fields of `training`.

    Attributes:
        data: Folder of the prepared data.
        model, training: Sections that all have in common.
        trials: What each trial assigns, by its name.
    """

    data: Path
    model: Mapping[str, Any]
    training: Mapping[str, Any]
    trials: Mapping[str, dict[str, Any]]

    @classmethod
    def read(cls, file: Path) -> "Workload":
        """Read what `write` wrote."""
        content = json.loads(file.read_text())
        return cls(**{**content, "data": Path(content["data"])})

    def write(self, file: Path) -> Path:
        """Write it as JSON; returns the file."""
        file.write_text(json.dumps({**asdict(self), "data": str(self.data)}))
        return file

    @property
    def space(self) -> dict[str, list[Any]]:
        """The values of each field, whose grid the trials are."""
        names = next(iter(self.trials.values()))
        return {name: sorted({trial[name] for trial in self.trials.values()}) for name in names}

    def trial_with(self, assigned: Mapping[str, Any]) -> str:
        """Return the name of the trial that assigns these values."""
        (name,) = (name for name, values in self.trials.items() if values == assigned)
        return name
