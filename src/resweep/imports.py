"""What a script consists of: the modules of this library that it imports, and a digest of them.

Snakemake does not notice edits of imported modules. A cheap rule has the digest of its script as a
param, and runs again when one of its modules changed. Nothing is executed, only source is read.

Foundations are not followed: what they compute is named by content (a run, a data set) and checked
by tests, and an edit there must not repeat hours of work.
"""

import functools
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "resweep"
LIBRARY = Path(__file__).parent
_NAMES = r"(?P<names>\([^)]*\)|[^(\n#]+)"
_IMPORT = re.compile(
    rf"^[ \t]*(?:from[ ]+(?P<module>{PACKAGE}[\w.]*)[ ]+)?import[ ]+{_NAMES}", re.MULTILINE
)
ASSETS = (".css", ".js")  # files of a package that are as much its content as its modules
FOUNDATIONS = ("config", "store", "systems", "training")  # rooms of the library


def code_digest(script: Path, library: Path = LIBRARY) -> str:
    """Return twelve hex digits for a script and all its imports, including those in functions."""
    total = hashlib.sha256(script.read_bytes())
    for file in sorted(imported_files(script, library)):
        total.update(file.relative_to(library).as_posix().encode())
        total.update(file.read_bytes())
    return total.hexdigest()[:12]


def imported_files(script: Path, library: Path = LIBRARY) -> set[Path]:
    """Return the files of all modules that a script imports, directly or indirectly.

    Args:
        script: A file with Python code.
        library: Folder of the package.
    """
    found: set[Path] = set()
    waiting = set(_imports(script, library))
    while waiting:
        file = waiting.pop()
        if file not in found and file.relative_to(library).parts[0] not in FOUNDATIONS:
            found.add(file)
            waiting.update(_imports(file, library))
    return found


@functools.cache
def _imports(file: Path, library: Path) -> tuple[Path, ...]:
    """Return the files of the modules that a file imports, including their packages."""
    files: dict[Path, None] = {}
    for name in imported_names(file.read_text()):
        parts = name.split(".")[1:]
        for length in range(len(parts) + 1):
            files |= dict.fromkeys(_files_of("/".join(parts[:length]), library))
    return tuple(files)


@functools.cache
def _files_of(module: str, library: Path) -> tuple[Path, ...]:
    """Return the file of a module, or those of a package; none of what is only a name inside."""
    place = library / module
    modules = (place / "__init__.py", place.with_suffix(".py"))
    assets = sorted(file for kind in ASSETS for file in place.glob(f"*{kind}"))
    return tuple(file for file in (*modules, *assets) if file.is_file())


def imported_names(source: str) -> Iterator[str]:
    """Yield the full names of what is imported of this library, modules and names inside them.

    By its lines, since parsing takes ten times as long, and planning reads a hundred files.
    """
    for line in _IMPORT.finditer(source):
        names = (name.split()[0] for name in re.split(r"[(),]", line["names"]) if name.strip())
        for name in names:
            if line["module"]:
                yield f"{line['module']}.{name}"
            elif name.partition(".")[0] == PACKAGE:
                yield name
