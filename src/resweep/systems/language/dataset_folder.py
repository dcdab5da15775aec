"""Text by the folder and the size of a corpus: `dataset_path/dataset_size/`.

    train.txt valid.txt test.txt        splits, each a file
    train/*.txt valid/*.txt test/*.txt  splits, each a folder
    *.txt                               all text, which is split when it is read

or one file of all text, `dataset_path/dataset_size.txt`. The validation split may be called valid,
val, validation or dev. With a training split alone, its text is split when it is read. Without a
size, all of this is in `dataset_path` itself, which may be a file, too.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from resweep.errors import ConfigError, Problem

DATASET_PATH = "data.dataset_path"
DATASET_SIZE = "data.dataset_size"
SPLITS = {
    "data.paths": ("train",),
    "data.val_paths": ("valid", "val", "validation", "dev"),
    "data.test_paths": ("test",),
}
OTHER_SOURCES = ("data.source", "data.paths")


def find_dataset(given: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Return the fields of `data` that read the text; none where the fields themselves are given.

    Args:
        given: key -> value, of a file.
        origin: The file.

    Raises:
        ConfigError: There is no text, or not what its neighbours need; says what was looked for.
    """
    path, size = given.get(DATASET_PATH), given.get(DATASET_SIZE)
    others = [key for key in OTHER_SOURCES if given.get(key) is not None]
    if others:
        if path is not None or size is not None:
            key, value = (DATASET_SIZE, size) if path is None else (DATASET_PATH, path)
            raise ConfigError(Problem(origin, key, value, f"{others[0]} is given too; remove one"))
        return {}
    if not isinstance(path, str) or not path:
        fault = "is missing" if path is None else "is not a path"
        hint = f"{fault}; should be the folder of the text"
        raise ConfigError(Problem(origin, DATASET_PATH, path, hint))
    if isinstance(size, bool) or not isinstance(size, str | int | None) or size == "":
        hint = 'should be the name of a folder in dataset_path, as "10M"'
        raise ConfigError(Problem(origin, DATASET_SIZE, size, hint))
    folder = Path(path) if size is None else Path(path) / str(size)
    try:
        found = _paths(folder, path, origin)
    except (OSError, ValueError) as error:  # names that no folder can have, folders that are closed
        why = getattr(error, "strerror", None) or error
        raise ConfigError(Problem(origin, DATASET_PATH, path, f"cannot be read ({why})")) from None
    return {"data.source": "text", "data.documents": "blank_line"} | found


def _paths(folder: Path, path: str, origin: str) -> dict[str, Any]:
    splits = {}
    for field, names in SPLITS.items():
        found = [one for name in names for one in _files(folder.expanduser() / name)]
        if len(found) > 1:
            hint = f"{found[0]} and {found[1]} are both there; remove or rename one"
            raise ConfigError(Problem(origin, DATASET_PATH, path, hint))
        splits[field] = found
    train, val, test = splits.values()
    if train and (val or not test):
        return {field: found for field, found in splits.items() if found}
    if val or test:
        there = next(one for found in (train, val, test) for one in found)
        lacks = "valid.txt or valid/*.txt" if train else "train.txt or train/*.txt"
        hint = f"{there} is there without {lacks} in {folder}; add it, or give all text other names"
        raise ConfigError(Problem(origin, DATASET_PATH, path, hint))
    if any(folder.expanduser().glob("*.txt")):
        return {"data.paths": [str(folder / "*.txt")]}
    single = folder if str(folder) == str(Path(path)) else folder.with_name(f"{folder.name}.txt")
    if single.expanduser().is_file():
        return {"data.paths": [str(single)]}
    hint = f"has no text; looked in {folder} for train.txt, train/*.txt and *.txt"
    if single != folder:
        hint += f", and for {single}"
    raise ConfigError(Problem(origin, DATASET_PATH, path, hint))


def _files(place: Path) -> Iterator[str]:
    """Yield the file, and the glob of the folder, that a split of this place has."""
    file = place.with_name(f"{place.name}.txt")
    if file.is_file():
        yield str(file)
    if any(place.glob("*.txt")):
        yield str(place / "*.txt")
