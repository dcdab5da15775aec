"""Published versions and their stamps, verified: every file has the digest that was published."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from resweep.canonical import digest, file_digest
from resweep.errors import DamagedFile
from resweep.json_files import read_json
from resweep.paths import StudyFolder, artifact_versions

FIX = "delete it and run snakemake: it is written again"


def verify_artifacts(study: Path) -> Iterator[DamagedFile]:
    """Yield what is damaged of the artifacts of a study.

    A version whose files were deleted to save space is not damaged.

    Args:
        study: Its folder of results.

    Raises:
        OSError: A file cannot be read.
    """
    folder = StudyFolder(study)
    for stamp in folder.all_stamps():
        try:
            noted = read_json(stamp, FIX)
        except DamagedFile as error:
            yield error
            continue
        versions = artifact_versions(stamp) / stamp.stem
        described = versions / f"{noted.get('version')}.json"
        if "version" in noted and not described.is_file():
            yield DamagedFile(described, "is missing", f"delete {stamp} and run snakemake")
        elif described.is_file():
            try:
                if read_json(described, FIX).get("digest") != noted.get("digest"):
                    yield DamagedFile(stamp, f"has another digest than {described}", FIX)
            except DamagedFile:
                continue  # named below
    for described in folder.all_versions():
        try:
            yield from _verify_version(described, read_json(described, FIX))
        except DamagedFile as error:
            yield error


def _verify_version(described: Path, about: Mapping[str, Any]) -> Iterator[DamagedFile]:
    folder, files = described.with_suffix(""), about.get("files", {})
    if digest(files) != about.get("digest"):
        yield DamagedFile(described, "lists other digests than its own is of", FIX)
    if not folder.is_dir():
        return
    fix = f"move {folder} away and publish again: delete the stamp and run snakemake"
    for name, known in files.items():
        file = folder / name
        if not file.is_file():
            yield DamagedFile(file, "is missing", fix)
        elif file_digest(file) != known:
            yield DamagedFile(file, "does not match its published digest", fix)
