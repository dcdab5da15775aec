"""What a script consists of: the modules of this library that it imports, and a digest of them.

Snakemake does not notice edits of imported modules. A cheap rule has the digest of its script as a
param, and runs again when one of its modules changed. Nothing is executed, only source is read.

Foundations are not followed: what they compute is named by content (a run, a data set) and checked
by tests, and an edit there must not repeat hours of work.
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
    """Yield the full names of everything imported, modules as well as names inside them."""
    for node in _statements(tree.body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def _statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield statements and those inside them; walking expressions too takes ten times as long."""
    for node in nodes:
        yield node
        for block in ("body", "orelse", "handlers", "finalbody", "cases"):
            yield from _statements(getattr(node, block, ()))
