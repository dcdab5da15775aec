"""The built-in text is the same everywhere, and says so where it cannot be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from resweep.systems.language import networkx_docs
from resweep.systems.language.corpus import read_documents
from resweep.systems.language.networkx_docs import PACKAGE, VERSION, docstrings
from resweep.systems.language.token_data import prepare_tokens
from tests.conftest import ROOT
from tests.support.corpus import data_error, settings

DIGEST = "78d2eb1a6e55a9df52a64f38a90344ac74eff5dc89662594a3f6139d6be4bf17"
MODULE = '''"""Says what
    it does.\t

  Twice.
"""

class First:
    """A class."""

    @property
    async def inner(self):
        r"""Of the class, \\ raw.

            Deeper.
        """
        def deep():
            """ """

def last(): "On one line. "

def without(): pass
'''


def test_the_tokens_are_those_that_the_guides_were_written_with(tmp_path: Path) -> None:
    made = prepare_tokens(settings(), tmp_path)
    assert made["digest"] == DIGEST
    assert made["documents"] == {"train": 75, "val": 6, "test": 5}


def test_the_version_is_the_pinned_one() -> None:
    assert f"{PACKAGE}=={VERSION}" in (ROOT / "requirements.txt").read_text().splitlines()


def test_docstrings_come_in_the_order_of_the_file_without_indentation() -> None:
    assert list(docstrings(MODULE)) == [
        "Says what\n  it does.\n\nTwice.",
        "A class.",
        "Of the class, \\ raw.\n\nDeeper.",
        "On one line.",
    ]


def test_another_version_is_another_text_and_one_line_says_so(tmp_path: Path) -> None:
    for folder in ("algorithms", "generators"):
        (tmp_path / PACKAGE / folder).mkdir(parents=True)
        (tmp_path / PACKAGE / "__init__.py").touch()
        for number in range(20):
            text = f'"""Module {number} of {folder}, {"word " * 20}."""'
            (tmp_path / PACKAGE / folder / f"m{number:02}.py").write_text(text)
    metadata = tmp_path / f"{PACKAGE}-0.1.dist-info/METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 0.1\n")
    stamp = tmp_path / "stamp.json"
    script = ROOT / "workflow/scripts/prepare_data.py"
    words = ["--settings", "{}", "--stamp", str(stamp), "--results", str(tmp_path / "results")]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", ""), str(ROOT / "src")])
    done = subprocess.run(
        [sys.executable, script, *words],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = done.stderr.splitlines()
    assert f"{PACKAGE} 0.1" in line and VERSION in line
    assert json.loads(stamp.read_text())["digest"] != DIGEST


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(networkx_docs, "PACKAGE", "no_such_package")
    assert f"pip install no_such_package=={VERSION}" in data_error(read_documents, settings())
