"""The state of a run as in record.json: its types, and reading it.

It changes while the run is trained, unlike the records of trials. Newer versions may add keys.
"""

from pathlib import Path
from typing import Annotated, Any, NotRequired, Required

from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from resweep.canonical import digest
from resweep.errors import DamagedFile
from resweep.json_files import read_json
from resweep.trials.record import Count, Number, Positive, Status

BEGUN = "begun"  # status of a run that never ended


def written_again(path: Path) -> str:
    """Return how to have a file in a run's folder written again, for a message.

    A training writes it, once a record that leads to the run is gone. Of a trial that a rung
    stopped, that is the record at the rung: all links to the run are deleted.
    """
    run = path.parent
    links = f"find {run.parent.parent} -lname '*/{run.name}/records/*' -delete"
    return f"to have it written again, delete the links to its records and run snakemake: `{links}`"


@with_config(ConfigDict(extra="allow"))
class Attempt(TypedDict):
    """An attempt to train the run."""

    device: str
    from_step: Count
    to_step: Count
    end: str | None
    startup_seconds: NotRequired[Positive]
    versions: NotRequired[dict[str, str]]
    code: NotRequired[str]


@with_config(ConfigDict(extra="allow"))
class Segment(TypedDict):
    """The steps that an attempt trained, if it was not killed."""

    from_step: Count
    to_step: Count
    device: str
    processes: Annotated[int, Field(gt=0)]
    engine: NotRequired[str]
    seconds: Positive
    versions: dict[str, str]
    code: str


class KeepPolicy(TypedDict):
    """Which checkpoints a trial wants to keep."""

    every: Count | None
    last: Count | None
    best: Count | None


@with_config(ConfigDict(extra="allow"))
class State(TypedDict, total=False):
    """Content of record.json."""

    run_id: Required[str]
    status: Annotated[str, Field(pattern=f"^({'|'.join([*Status, BEGUN])})$")]
    step: Count
    max_steps: Count
    identity: dict[str, Any]
    code: str
    config_digest: str
    policies: list[KeepPolicy]
    attempts: list[Attempt]
    segments: list[Segment]
    gpu_seconds: Positive
    parameters: Count | None
    metrics: dict[str, Number]
    checkpoints: dict[str, str]
    best_checkpoints: list[dict[str, Number]]
    reason: str


_SHAPE = TypeAdapter(State)


def read_state(path: Path, run_id: str) -> dict[str, Any]:
    """Read the state of a run; empty for one that never started.

    Raises:
        DamagedFile: It is not the state of this run.
    """
    try:
        state: dict[str, Any] = read_json(path, written_again(path), _SHAPE)
    except FileNotFoundError:
        return {}
    if state["run_id"] != run_id:
        raise DamagedFile(path, f"is the state of run {state['run_id']}", written_again(path))
    return state


def check_identity(path: Path, state: dict[str, Any], run_id: str) -> None:
    """Check that a state's identity is the one that gave the run its name.

    Raises:
        DamagedFile: It is another one.
    """
    if "identity" in state and _name_of(state["identity"]) != run_id:
        what = "has an identity that gives another run id"
        raise DamagedFile(path, what, written_again(path))


def _name_of(identity: dict[str, Any]) -> str | None:
    try:
        return digest(identity, 12)
    except ValueError:  # nan and other values that no identity has
        return None
