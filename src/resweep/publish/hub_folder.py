"""A Hugging Face model folder: weights, config, tokenizer and a model card, ready to be uploaded.

    FOLDER/model.safetensors config.json tokenizer.json ...   as in the checkpoint
    FOLDER/README.md                                          the model card
    FOLDER/resweep.json                                       written last: what is ours, by digest

The folder may be a clone of a repository: only files of ours are replaced or removed.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from resweep.canonical import file_digest
from resweep.errors import StoreError
from resweep.files import removing
from resweep.json_files import read_json, write_json
from resweep.publish.leaving import Machine
from resweep.publish.versions import write_clean

OURS = "resweep.json"


class _Ours(TypedDict):
    """Content of the file."""

    files: dict[str, str]


_OURS = TypeAdapter(_Ours)


def fill_hub_folder(folder: Path, files: Mapping[str, Path | bytes], machine: Machine) -> None:
    """Make a folder that of a model; a call that was interrupted is continued.

    Args:
        folder: Need not exist.
        files: Name -> file, or its bytes.
        machine: Where this is.

    Raises:
        StoreError: It has files of these names that are not ours.
        DamagedFile: What is ours there cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        before = read_json(folder / OURS, "choose another folder", _OURS)["files"]
    except FileNotFoundError:
        before = None
    if before is None:
        others = sorted(name for name in files if (folder / name).exists())
        if others:
            raise StoreError(f"{folder}: has {others[0]} of its own; choose another folder")
        before = {}
    # Named before they are there, so that a call after a kill knows that they are ours.
    names = dict.fromkeys(files, "")
    write_json(folder / OURS, {"files": {**names, **before}})
    new = folder / f".{OURS}.new"
    with removing(new):
        for name, source in files.items():
            write_clean(name, source, new / name, machine)
        digests = {name: file_digest(new / name) for name in files}
        for name, digest in digests.items():
            place = folder / name
            if not place.is_file() or file_digest(place) != digest:
                place.parent.mkdir(parents=True, exist_ok=True)
                (new / name).replace(place)
    for name in before.keys() - files.keys():
        (folder / name).unlink(missing_ok=True)
    write_json(folder / OURS, {"files": digests})
