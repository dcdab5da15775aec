"""Links from a page to files near it, relative so that the folder of results can be moved."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote


@dataclass(frozen=True)
class Links:
    """Links from a page.

    Attributes:
        folder: Where the page is.
    """

    folder: Path

    def to(self, path: Path) -> str:
        """Return the address of a file or folder as the page has to spell it."""
        # Both resolved: a relative path through a symbolic link would lead elsewhere.
        relative = os.path.relpath(path.resolve(), self.folder.resolve())
        return quote(relative)
