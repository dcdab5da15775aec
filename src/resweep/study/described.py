"""study.yaml in the results: the resolved study, for what reads its results later."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from resweep import yaml12
from resweep.errors import ConfigError, DamagedFile
from resweep.files import write_atomically
from resweep.json_files import CHECKSUM, checksum, typed

FIX = "delete it and run snakemake: it is written again"


@with_config(ConfigDict(extra="allow"))
class _Phase(TypedDict):
    """A phase, as far as all readers need it."""

    name: str
    kind: str


@with_config(ConfigDict(extra="allow"))
class _Study(TypedDict):
    """Content of the file."""

    phases: Annotated[list[_Phase], Field(min_length=1)]
    tracking: dict[str, Any]
    system: NotRequired[str]


_SHAPE = TypeAdapter(_Study)


def write_described(path: Path, study: Mapping[str, Any]) -> None:
    """Write study.yaml, with its checksum.

    Args:
        path: The file.
        study: The resolved study.
    """
    write_atomically(path, yaml12.dump({**study, CHECKSUM: checksum(study)}))


def read_described(path: Path) -> dict[str, Any]:
    """Read study.yaml; the file exists. Files of older versions have no checksum.

    Raises:
        DamagedFile: It is not a resolved study, or not the one that was written.
    """
    try:
        content = yaml12.load_mapping(path)
        known = content.pop(CHECKSUM, None)
        described: dict[str, Any] = typed(content, _SHAPE)
        if known not in (None, checksum(content)):
            raise ValueError("was changed after it was written: its checksum does not fit")
    except ConfigError as error:
        raise DamagedFile(path, error.problems[0].hint, FIX) from None
    except ValueError as error:
        raise DamagedFile(path, str(error), FIX) from None
    return described
