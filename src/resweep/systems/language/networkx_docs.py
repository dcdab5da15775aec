"""The built-in text: the docstrings of a pinned package, so that it is equal on every machine.

    modules of networkx -> docstrings of each, in the order of the file -> one document a module

NetworkX is pure Python, and torch needs it, so it is in every environment. Its files are parsed and
never imported. No function of Python that has changed between versions shapes the text.
"""

import ast
import logging
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from resweep.errors import DataError

log = logging.getLogger(__name__)

PACKAGE = "networkx"
VERSION = "3.6.1"  # as in requirements.txt
FOLDERS = ("algorithms", "generators")  # prose on graphs; elsewhere much is said twice
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def read_networkx_docs() -> Iterator[str]:
    """Yield a document for each module; warns if the version is not the pinned one.

    Raises:
        DataError: The package is not installed.
    """
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise DataError(
            f"data.source: networkx-docs: {PACKAGE} is not installed; "
            f"run pip install {PACKAGE}=={VERSION}"
        )
    installed = version(PACKAGE)
    if installed != VERSION:
        log.warning(
            "data.source: networkx-docs: %s %s is installed, %s is pinned; this text, its digest "
            "and all runs on it may differ from those of the guides",
            PACKAGE,
            installed,
            VERSION,
        )
    root = Path(found.submodule_search_locations[0])
    for folder in FOLDERS:
        for module in sorted((root / folder).glob("*.py"), key=lambda path: path.name):
            yield "\n\n".join(docstrings(module.read_text(encoding="utf-8")))


def docstrings(source: str) -> Iterator[str]:
    """Yield the docstrings of a module's source, in its order, without their indentation."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, DOCUMENTED)]
    for node in sorted(nodes, key=lambda node: getattr(node, "lineno", 0)):
        text = _without_indentation(ast.get_docstring(node, clean=False) or "")
        if text:
            yield text


def _without_indentation(docstring: str) -> str:
    # inspect.cleandoc and textwrap.dedent differ between versions of Python.
    first, *rest = docstring.expandtabs().split("\n")
    margin = min((len(line) - len(line.lstrip()) for line in rest if line.strip()), default=0)
    return "\n".join([first.strip(), *(line[margin:].rstrip() for line in rest)]).strip()
