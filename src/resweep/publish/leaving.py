"""What leaves this machine in the files of artifacts: no path of it, no secret.

    .yaml .json .csv      each value that is a path, relative to the checkout or shortened
    .html .md .txt        each path within the text, but not in a page's chart library
    code                  as it is, or refused: a changed module would not be what ran
    weights, tokenizers   as they are

What still names a folder of this machine, or holds a secret, is refused.
"""

import csv
import html
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from resweep import yaml12
from resweep.cells import csv_reader, end_lines
from resweep.credentials import HINT, find_secrets, has_secret_form, secrets_of
from resweep.errors import ConfigError, DamagedFile, Problem
from resweep.json_files import CHECKSUM, checksum
from resweep.local_paths import home, shortened, without_folders
from resweep.paths import Layout

# Their texts are tokens: what looks like a path among them is not one.
_TOKENIZERS = re.compile(r"(?:tokenizer|vocab|added_tokens)\.json|merges\.txt")
_STRUCTURED = (".yaml", ".yml", ".json", ".csv")
_TEXTS = (".html", ".md", ".txt")
_LIBRARY = re.compile(r'(<script class="library">.*?</script>)', re.DOTALL)  # of a report's charts
_CODE = (".py", ".smk", ".sh", "")
_FEWEST_PARTS = 3  # of a folder that texts are searched for: / and /root are words of code


@dataclass(frozen=True)
class Machine:
    """What must not leave this machine.

    Attributes:
        known: Folders that paths are written relative to.
        private: Folders that no text may name.
        secrets: Variables of the environment with a key or a password.
    """

    known: tuple[Path, ...]
    private: tuple[str, ...]
    secrets: Mapping[str, str]

    @classmethod
    def of(cls, layout: Layout) -> "Machine":
        """Return what is known of this machine, for results of a layout."""
        places = [Path.cwd(), layout.root.absolute().parent]
        known = tuple(dict.fromkeys([*places, *(place.resolve() for place in places)]))
        folders = [*known, *home()]
        private = tuple(
            dict.fromkeys(str(one) for one in folders if len(one.parts) >= _FEWEST_PARTS)
        )
        return cls(known, private, secrets_of(os.environ))


def is_cleaned(name: str) -> bool:
    """Whether the content of a file has to be looked at, by its name."""
    path = PurePath(name)
    if _TOKENIZERS.fullmatch(path.name):
        return False
    return path.suffix.lower() in (*_STRUCTURED, *_TEXTS, *_CODE)


def cleaned(name: str, data: bytes, machine: Machine, where: str) -> bytes:
    """Return the bytes of a file as they leave; the same ones if nothing has to change.

    Args:
        name: Of the file in the artifact.
        data: Its content.
        machine: Where it is.
        where: The file, for errors.

    Raises:
        ConfigError: It holds a secret, or code names a folder of this machine.
        DamagedFile: It is not what its name says.
    """
    if not is_cleaned(name):
        return data
    kind = PurePath(name).suffix.lower()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise DamagedFile(Path(where), "is not text", "remove it, or do not publish it") from None
    if kind in _STRUCTURED:
        text = _structured(kind, text, machine, where)
    if kind in (*_STRUCTURED, *_TEXTS):
        text = "".join(_without_paths(part, machine) for part in _LIBRARY.split(text))
    problems = [Problem(where, "", None, fault) for fault in _faults(text, machine)]
    if problems:
        raise ConfigError(problems)
    return text.encode()


def _structured(kind: str, text: str, machine: Machine, where: str) -> str:
    """Clean the values of a file; raises ConfigError for values that look like secrets."""
    if kind == ".csv":
        return _table(text, machine, where)
    try:
        content = json.loads(text) if kind == ".json" else yaml12.parse_file(text, where)
    except json.JSONDecodeError:  # of another program; its paths are found as in any text
        return text
    secrets = [Problem(where, key, None, HINT) for key in find_secrets(content)]
    if secrets:
        raise ConfigError(secrets)
    clean = without_folders(content, machine.known)
    if clean == content:
        return text
    if isinstance(clean, dict) and CHECKSUM in clean:
        rest = {key: value for key, value in clean.items() if key != CHECKSUM}
        clean = {**rest, CHECKSUM: checksum(rest)}
    return yaml12.dump(clean) if kind != ".json" else json.dumps(clean, indent=2) + "\n"


def _table(text: str, machine: Machine, where: str) -> str:
    try:
        rows = list(csv_reader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise DamagedFile(Path(where), f"is not CSV ({error})", "make it again") from None
    clean = [[without_folders(cell, machine.known) for cell in row] for row in rows]
    if clean == rows:
        return text
    made = io.StringIO(newline="")
    csv.writer(made).writerows(clean)
    return end_lines(made.getvalue())


def _without_paths(text: str, machine: Machine) -> str:
    """Return a text with its paths shortened; a library of code stays as it is."""
    if _LIBRARY.fullmatch(text):
        return text
    return shortened(_without_places(text, machine), machine.known)


def _without_places(text: str, machine: Machine) -> str:
    """Replace the folders of this machine, whose names may have spaces, within a text."""
    for folder in machine.private:
        relative = Path(folder) in machine.known
        for form in dict.fromkeys((folder, html.escape(folder))):
            text = re.sub(rf"{re.escape(form)}/", "" if relative else "~/", text)
    return text


def _faults(text: str, machine: Machine) -> Iterator[str]:
    """Yield why a text may not leave, without what it is about."""
    if has_secret_form(text):
        yield HINT
    for name, value in machine.secrets.items():
        if value in text:
            yield f"contains the value of {name}; remove it"
    for folder in machine.private:
        if re.search(rf"{re.escape(folder)}(?![\w.-])", text):
            yield f"names the folder {folder} of this machine; write it relative, or remove it"
            return
