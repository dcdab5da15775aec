"""The Hugging Face hub: access to it, and data sets from it or from local copies.

Clients of the hub retry for minutes, so its availability is checked first. If it cannot be reached,
they use their cache (`HF_HOME`).
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from resweep.errors import DataError
from resweep.systems.language.text_files import BOM, expand_home

BUILDERS = {
    ".json": "json",
    ".jsonl": "json",
    ".parquet": "parquet",
    ".csv": "csv",
    ".txt": "text",
    ".arrow": "arrow",
}
PROBE_SECONDS = 5


def local_copy(key: str, name: str) -> Path | None:
    """Return the file or folder that a name refers to; None if it is a name on the hub.

    Args:
        key: Where the name was given, for the error.
        name: A path, or NAME or OWNER/NAME on the hub; existing paths take precedence.

    Raises:
        DataError: It can only be a path, and does not exist.
    """
    path = expand_home(name)
    if path.exists():
        return path
    if name.startswith(("/", ".", "~")) or name.count("/") > 1 or path.suffix in BUILDERS:
        raise DataError(f"{key}: {name}: no such file or folder; fix the path")
    return None


def why_offline() -> str | None:
    """Return why the hub cannot be reached, None if it answers; takes a few seconds at most."""
    from huggingface_hub import constants, get_session

    if constants.is_offline_mode():
        return "HF_HUB_OFFLINE is set"
    try:
        get_session().head(constants.ENDPOINT, timeout=PROBE_SECONDS)
    except Exception:  # of whichever HTTP library the client uses
        return f"no answer from {constants.ENDPOINT}"
    return None


@contextmanager
def offline(*modules: ModuleType) -> Iterator[None]:
    """Restrict Hugging Face's libraries to local files and their cache.

    Args:
        modules: Those with their own flag `HF_HUB_OFFLINE`.
    """
    from huggingface_hub import constants

    flags: list[Any] = [constants, *modules]
    before = [flag.HF_HUB_OFFLINE for flag in flags]
    for flag in flags:
        flag.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for flag, value in zip(flags, before, strict=True):
            flag.HF_HUB_OFFLINE = value


def not_here(key: str, name: str, reason: str) -> DataError:
    """Return the error for a name that only the hub could resolve."""
    return DataError(
        f"{key}: {name}: neither a path nor in the Hugging Face cache, and the hub cannot be "
        f"reached ({reason}); run this once with network access, copy the cache here (HF_HOME), or "
        "give the path of a local copy"
    )


def one_line(error: BaseException) -> str:
    """Return the first line of the innermost error's message."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def dataset_files(settings: Mapping[str, Any]) -> list[Path]:
    """Return the files of a local data set, sorted; none for one on the hub.

    Raises:
        DataError: The path does not exist or has no files.
    """
    path = local_copy("data.dataset", settings["dataset"])
    if path is None:
        return []
    if path.is_file():
        return [path]
    files = [file for file in path.rglob("*") if file.is_file()]
    files = [
        file
        for file in files
        if not any(part.startswith(".") for part in file.relative_to(path).parts)
        and not file.match("cache-*.arrow")  # created by `datasets`
    ]
    if not files:
        raise DataError(f"data.dataset: {path}: the folder has no files; fix the path")
    return sorted(files)


def dataset_folder(settings: Mapping[str, Any]) -> Path:
    """Return where a local data set is looked for, whether there or not."""
    path = expand_home(settings["dataset"])
    return path.parent if path.suffix in BUILDERS else path


def read_dataset(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the text of each row of a split, in order.

    Raises:
        DataError: The data set, its configuration, split or text column does not exist.
    """
    import datasets

    name, field = settings["dataset"], settings["text_field"]
    path = local_copy("data.dataset", name)
    reason = None if path else why_offline()
    with ExitStack() as stack:
        cache = None  # copies of local files are not kept: the files may change
        if path:
            cache = stack.enter_context(tempfile.TemporaryDirectory(prefix="resweep-data-"))
        if path or reason:
            stack.enter_context(offline(datasets.config))
        try:
            rows = _load_rows(settings, path, cache)
        except DataError:
            raise
        except Exception as error:  # each format raises different errors
            if reason and isinstance(error, OSError):  # ConnectionError too
                raise not_here("data.dataset", name, reason) from None
            raise DataError(f"data.dataset: {name}: {one_line(error)}") from None
        if reason:
            _check_revision(name, settings["dataset_revision"], rows)
        if field not in rows.column_names:
            columns = ", ".join(rows.column_names)
            raise DataError(
                f"data.text_field: {field}: no such column in {name}; there are: {columns}"
            )
        batches = rows.select_columns([field]).iter(batch_size=1000)
        texts = (text for batch in batches for text in batch[field])
        for number, text in enumerate(texts, 1):
            if not isinstance(text, str):
                raise DataError(
                    f"data.dataset: {name}: row {number} has no text under {field!r}; set "
                    "data.text_field"
                )
            yield text.lstrip(BOM) if path else text


def _check_revision(name: str, revision: str | None, rows: Any) -> None:
    """Refuse data of another revision: from its cache, `datasets` always loads the latest."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    if revision is None:
        return
    folder = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=name, repo_type="dataset"))
    known = folder / "refs" / revision  # commit of a branch or tag when last downloaded
    wanted = known.read_text().strip() if known.is_file() else revision
    commits = {Path(file["filename"]).parent.name for file in rows.cache_files}
    if commits != {wanted}:
        raise DataError(
            f"data.dataset_revision: {revision}: the Hugging Face cache only has {name} at "
            f"{', '.join(sorted(commits))}, and the hub cannot be reached; use that revision, or "
            "run this once with network access"
        )


def _load_rows(settings: Mapping[str, Any], path: Path | None, cache: str | None) -> Any:
    """Return a `datasets.Dataset`."""
    import datasets

    split = settings["dataset_split"]
    if path and (path / "dataset_dict.json").is_file():
        splits = datasets.load_from_disk(str(path))
        if split not in splits:
            raise ValueError(f'Unknown split "{split}". Should be one of {sorted(splits)}.')
        return splits[split]
    if path and (path / "state.json").is_file():
        rows = datasets.load_from_disk(str(path))
        own = str(rows.split or "train")
        if split != own:
            raise ValueError(f'Unknown split "{split}". Should be one of {[own]}.')
        return rows
    options = {"name": settings["dataset_config"], "split": split, "cache_dir": cache}
    if path and path.is_file():
        if path.suffix not in BUILDERS:
            known = ", ".join(sorted(BUILDERS))
            raise ValueError(f"files should end in one of {known}")
        return datasets.load_dataset(BUILDERS[path.suffix], data_files=str(path), **options)
    if path:
        return datasets.load_dataset(str(path), **options)
    return datasets.load_dataset(
        settings["dataset"], revision=settings["dataset_revision"], **options
    )
