"""The code that a study's jobs ran, as an artifact: what it is, and an archive of it.

    code.json    commit, whether it was changed since, a digest of each file, versions of libraries
    code.tar.gz  src/resweep, workflow/scripts, rules and Snakefile; equal code gives equal bytes

The archive has no history, no difference to a commit, and nothing that is not code of the workflow.
"""

import gzip
import hashlib
import io
import json
import platform
import subprocess
import tarfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from resweep.imports import LIBRARY
from resweep.publish.leaving import Machine, cleaned

SUFFIXES = (".py", ".smk", ".sh")
FOLDERS = ("workflow/scripts", "rules")
PACKAGE = "src/resweep"
SNAKEFILE = "Snakefile"
LIBRARIES = (
    "resweep", "snakemake", "torch", "numpy", "transformers", "tokenizers", "safetensors", "peft",
    "deepspeed", "datasets", "optuna", "scipy", "pandas", "pydantic", "wandb",
)  # fmt: skip


def code_files(root: Path, machine: Machine) -> dict[str, Path | bytes]:
    """Return the description and the archive.

    Args:
        root: The checkout: where the Snakefile is.
        machine: Where this is; code that names one of its folders is refused.

    Raises:
        ConfigError: A file holds a secret, or names a folder of this machine.
    """
    sources = {
        name: cleaned(name, file.read_bytes(), machine, str(file))
        for name, file in source_files(root).items()
    }
    described = {
        **_git_state(root),
        "python": platform.python_version(),
        "libraries": _versions(),
        "files": [
            {"name": name, "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in sources.items()
        ],
    }
    return {
        "code.json": (json.dumps(described, indent=2) + "\n").encode(),
        "code.tar.gz": _archive(sources),
    }


def source_files(root: Path) -> dict[str, Path]:
    """Return the files of the workflow and its library, by their names in a checkout."""
    places = {PACKAGE: LIBRARY, **{name: root / name for name in FOLDERS}}
    found = {
        f"{name}/{file.relative_to(folder).as_posix()}": file
        for name, folder in places.items()
        for file in folder.rglob("*")
        if file.suffix in SUFFIXES and file.is_file() and not file.name.startswith(".")
    }
    snakefile = root / SNAKEFILE
    if snakefile.is_file():
        found[SNAKEFILE] = snakefile
    return dict(sorted(found.items()))


def _git_state(root: Path) -> dict[str, Any]:
    """Return the commit of a checkout, and whether its code is the commit's; None without one."""
    commit = _git(root, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "clean": None}
    places = [place for place in (PACKAGE, *FOLDERS, SNAKEFILE) if (root / place).exists()]
    changes = _git(root, "status", "--porcelain", "--", *places)
    return {"commit": commit, "clean": changes == ""}


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _archive(sources: dict[str, bytes]) -> bytes:
    """Return a compressed archive without dates, owners and modes."""
    made = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=made, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, data in sources.items():
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return made.getvalue()
