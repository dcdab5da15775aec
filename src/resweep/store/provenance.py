"""What computed a run's numbers: versions of libraries, and a digest of our own code."""

import hashlib
import platform
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import resweep


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Return the versions of everything that can change numbers.

    Args:
        libraries: Of the system; those that are not in use are left out.
    """
    import numpy
    import torch

    used = {name: sys.modules[name] for name in ("deepspeed", *libraries) if name in sys.modules}
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "resweep": resweep.__version__,
        **{name: module.__version__ for name, module in used.items()},
    }


@cache
def code_digest(system: str) -> str:
    """Digest of the modules that a system's numbers come from: data, training and its own."""
    total = hashlib.sha256()
    package = Path(resweep.__file__).parent
    for folder in ("data", "training", f"systems/{system}"):
        for file in sorted((package / folder).rglob("*.py")):
            total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:12]
