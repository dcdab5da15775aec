"""study.yaml in the results: the resolved study, for what reads its results later."""

from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from resweep import yaml12
from resweep.errors import ConfigError, DamagedFile
from resweep.json_files import typed

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


def read_described(path: Path) -> dict[str, Any]:
    """Read study.yaml; the file exists.

    Raises:
        DamagedFile: It is not a resolved study.
    """
    try:
        described: dict[str, Any] = typed(yaml12.load_mapping(path), _SHAPE)
    except ConfigError as error:
        raise DamagedFile(path, error.problems[0].hint, FIX) from None
    except ValueError as error:
        raise DamagedFile(path, str(error), FIX) from None
    return described
