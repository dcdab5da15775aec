"""Small texts, and the data settings that read them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resweep.errors import DataError
from resweep.systems.language.data_section import Data

DOCUMENTS = [f"Document {n}: " + "word " * (n % 17 + 3) for n in range(200)]


def settings(**changes: Any) -> dict[str, Any]:
    """A complete data section."""
    return Data.model_validate(changes).model_dump(mode="json")


def text_settings(*paths: object, **changes: Any) -> dict[str, Any]:
    """A data section that reads text files."""
    return settings(source="text", paths=[str(path) for path in paths], **changes)


def blank_lines(path: Path) -> dict[str, Any]:
    """A data section that reads text files whose documents are divided by blank lines."""
    return text_settings(path, documents="blank_line")


def write_documents(folder: Path) -> Path:
    """Write the documents to a file that `blank_lines` reads."""
    file = folder / "corpus" / "a.txt"
    file.parent.mkdir()
    file.write_text("\n\n".join(DOCUMENTS))
    return file


def data_error(call: Callable[..., object], *arguments: object) -> str:
    """Return the one line that a call fails with."""
    with pytest.raises(DataError) as caught:
        call(*arguments)
    (line,) = str(caught.value).splitlines()
    return line
