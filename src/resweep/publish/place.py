"""Where a study publishes: a project of W&B, and further targets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STATUSES = {"offline": "recorded", "online": "published", "disabled": "local"}


@dataclass(frozen=True)
class Place:
    """Where to publish.

    Attributes:
        mode: offline (`resweep send` sends it later), online or disabled (files and stamp only).
        project, entity: In W&B.
        to: Further targets: a folder, a URL of fsspec, {hub: FOLDER}.
    """

    mode: str
    project: str
    entity: str | None = None
    to: tuple[str | Mapping[str, str], ...] = ()

    @property
    def has_hub(self) -> bool:
        """Whether a Hugging Face folder is among the targets."""
        return any(not isinstance(target, str) for target in self.to)

    def described(self) -> dict[str, Any]:
        """Return the fields of W&B that matter in this mode."""
        if self.mode == "disabled":
            return {"mode": self.mode}
        return {"mode": self.mode, "project": self.project, "entity": self.entity}
