"""What a script is made of: which modules are followed, and what its digest sees."""

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from resweep.imports import FOUNDATIONS, LIBRARY, code_digest, imported_files, imported_names
from tests.conftest import ROOT

MODULES = {
    "__init__.py": "",
    "paths.py": "",
    "errors.py": "",
    "lonely.py": "",
    "ranking/__init__.py": "",
    "ranking/scores.py": "from resweep.errors import Error\nfrom resweep.store.run import Run\n",
    "store/__init__.py": "",
    "store/run.py": "import resweep.paths\n",
    "report/__init__.py": "",
    "report/page.py": "import json\nimport resweep.report.charts as c\n",
    "report/charts.py": "",
    "look/__init__.py": "",
    "look/page.css": "p { color: red }",
}


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "src/resweep"
    for name, text in MODULES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def imported(tmp_path: Path, library: Path) -> Callable[[str], set[str]]:
    """Names of the files that a script imports."""

    def ask(text: str) -> set[str]:
        script = tmp_path / "script.py"
        script.write_text(text)
        return {str(file.relative_to(library)) for file in imported_files(script, library)}

    return ask


def test_modules_are_followed_with_their_packages(imported: Callable[[str], set[str]]) -> None:
    found = imported("from resweep.report.page import render\nimport numpy\n")
    assert found == {"__init__.py", "report/__init__.py", "report/page.py", "report/charts.py"}


def test_assets_belong_to_their_package(
    tmp_path: Path, library: Path, imported: Callable[[str], set[str]]
) -> None:
    text = "from resweep.look import styles\n"
    assert imported(text) == {"__init__.py", "look/__init__.py", "look/page.css"}
    before = code_digest(tmp_path / "script.py", library)
    (library / "look/page.css").write_text("p { color: blue }")
    assert code_digest(tmp_path / "script.py", library) != before


@pytest.mark.parametrize(
    "text",
    [
        "from resweep import lonely\n",
        "import resweep.lonely\n",
        "def main():\n    from resweep.lonely import one\n",
        "try:\n    pass\nexcept ValueError:\n    import resweep.lonely as l\n",
        "class A:\n    def b(self):\n        with c:\n            from resweep import lonely\n",
        "if a:\n    pass\nelse:\n    from resweep.lonely import one\n",
        "match a:\n    case 1:\n        import resweep.lonely\n",
    ],
)
def test_imports_count_wherever_they_stand(text: str, imported: Callable[[str], set[str]]) -> None:
    assert imported(text) == {"__init__.py", "lonely.py"}


def test_foundations_are_neither_followed_nor_part_of_it(
    imported: Callable[[str], set[str]],
) -> None:
    found = imported("import resweep.ranking.scores\nfrom resweep.store import run\n")
    assert found == {"__init__.py", "ranking/__init__.py", "ranking/scores.py", "errors.py"}


def test_a_digest_sees_the_script_and_what_it_imports(tmp_path: Path, library: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import resweep.ranking.scores\n")
    seen = {code_digest(script, library)}
    for name in ("lonely.py", "store/run.py", "report/page.py"):
        (library / name).write_text(MODULES[name] + "# edited\n")
        assert code_digest(script, library) in seen, name
    for name in ("ranking/scores.py", "errors.py", "__init__.py", "ranking/__init__.py"):
        (library / name).write_text(MODULES[name] + "# edited\n")
        assert code_digest(script, library) not in seen, name
        seen.add(code_digest(script, library))
    script.write_text("import resweep.ranking.scores  # edited\n")
    assert code_digest(script, library) not in seen
    assert all(len(digest) == 12 and int(digest, 16) >= 0 for digest in seen)


def test_no_import_of_the_library_is_overlooked() -> None:
    files = [*LIBRARY.rglob("*.py"), *(ROOT / "workflow/scripts").glob("*.py")]
    for file in files:
        source = file.read_text()
        found = {
            name
            for node in ast.walk(ast.parse(source))
            for name in (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if isinstance(node, ast.ImportFrom)
                else [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            if name.startswith("resweep.")
        }
        assert found <= set(imported_names(source)), file


def test_the_foundations_are_rooms() -> None:
    assert all((LIBRARY / name / "__init__.py").is_file() for name in FOUNDATIONS)
