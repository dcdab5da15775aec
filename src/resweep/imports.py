"""What a script is made of: the modules of this library that it imports, and a digest of them.

Snakemake does not see that an imported module was edited. A cheap rule has the digest of its script
as a param, and runs again when one of its modules changed. Nothing is executed: the source is read.

Foundations are not followed: what they compute is named by content (a run, a data set) and checked
by tests, and work that costs hours must not be repeated because of an edit there.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

PACKAGE = "resweep"
LIBRARY = Path(__file__).parent
FOUNDATIONS = ("config", "store", "systems", "training")  # rooms of the library


def code_digest(script: Path, library: Path = LIBRARY) -> str:
    """Return twelve hex digits for a script and all modules that it imports, in functions too."""
    total = hashlib.sha256(script.read_bytes())
    for file in sorted(imported_files(script, library)):
        total.update(file.relative_to(library).as_posix().encode())
        total.update(file.read_bytes())
    return total.hexdigest()[:12]


def imported_files(script: Path, library: Path = LIBRARY) -> set[Path]:
    """Return the files of all modules that a script imports, whether directly or not.

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
    """Return the files of the modules that a file names, their packages included."""
    files: dict[Path, None] = {}
    for name in _names(ast.parse(file.read_bytes())):
        parts = name.split(".")
        if parts[0] != PACKAGE:
            continue
        for length in range(len(parts)):
            place = library.joinpath(*parts[1 : length + 1])
            for module in (place / "__init__.py", place.with_suffix(".py")):
                if module.is_file():
                    files[module] = None
    return tuple(files)


def _names(tree: ast.Module) -> Iterator[str]:
    """Yield the full names of what is imported, be it modules or what is in them."""
    for node in _statements(tree.body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def _statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield statements with those inside them; to walk expressions too takes ten times as long."""
    for node in nodes:
        yield node
        for block in ("body", "orelse", "handlers", "finalbody", "cases"):
            yield from _statements(getattr(node, block, ()))
