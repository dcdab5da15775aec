"""Claims that last: those of a study on the runs that were its best, or that it published.

    claims/best/{study}.json         was rank 1 of the study's last phase, as one of its seeds
    claims/published/{study}.json    its weights are in a published version

A new ranking releases the claims of trials (`retention.py`), but not these. Each says what the run
was then: the trial's slot, and the ranking, may have changed since.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from resweep.canonical import digest
from resweep.errors import DamagedFile
from resweep.files import may_write
from resweep.json_files import read_json, write_json
from resweep.paths import Layout
from resweep.store import checkpoints as checkpoint
from resweep.store.run import Run

log = logging.getLogger(__name__)


class Why(StrEnum):
    """Why a study claims a run."""

    BEST = "best"
    PUBLISHED = "published"


class Standing(TypedDict):
    """What a run was when it was claimed.

    Attributes:
        study, phase, trial: Of the ranking.
        runs: Those of all seeds of the configuration.
        step: Of the weights.
        metric, goal: What the ranking compared; None where it was published without one.
        value: The configuration's mean over its seeds.
        final: The run's own.
        settings: The configuration: path -> value, without the seed.
        evaluated_on: Digest of the data of the evaluation: values on other data do not compare.
        since: When, in ISO format.
    """

    study: str
    phase: str
    trial: str
    runs: list[str]
    step: int
    metric: str | None
    goal: str | None
    value: float | None
    final: float | None
    settings: dict[str, Any]
    evaluated_on: str
    since: str


STANDING = TypeAdapter(Standing)


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A run that a study claims by itself.

    Attributes:
        run: The run.
        standing: What it was; None if its claims are damaged.
        published: Whether it was published; otherwise it was the best.
    """

    run: Run
    standing: Standing | None
    published: bool

    @property
    def weights(self) -> Path | None:
        """Folder of the claimed weights; None if they are gone, or not known."""
        if self.standing is None:
            return None
        folder = self.run.path / checkpoint.folder_name(self.standing["step"])
        return folder if folder.is_dir() else None

    @property
    def bytes(self) -> int:
        """Size of all checkpoints of the run."""
        total = 0
        for step in checkpoint.steps_of(self.run.path):
            for file in (self.run.path / checkpoint.folder_name(step)).rglob("*"):
                with suppress(FileNotFoundError):  # being deleted right now
                    total += file.stat().st_size if file.is_file() else 0
        return total


def claim_for_study(run: Run, why: Why, standing: Standing) -> None:
    """Claim a run for its study; the same claim again keeps its date.

    Another user's weights stay as long as that user wants.
    """
    if not may_write(run.path):
        log.info("run %s: we may only read it; its owner decides what is kept", run.run_id)
        return
    path = run.folder.lasting_claim(why, standing["study"])
    known = _read(path)
    if known is None or {**known, "since": ""} != {**standing, "since": ""}:
        write_json(path, standing)


def release_for_study(run: Run, why: Why, study: str) -> None:
    """Release a study's claim on a run; its weights stay until `retention.drop_if_unclaimed`."""
    if not may_write(run.path):
        return
    path = run.folder.lasting_claim(why, study)
    path.unlink(missing_ok=True)
    with suppress(OSError):  # not there, or with claims of other studies
        path.parent.rmdir()


def read_standing(run: Run, study: str) -> Standing | None:
    """Return what the run was when the study claimed it; None without an intact claim."""
    found = (_read(run.folder.lasting_claim(why, study)) for why in Why)
    return next((standing for standing in found if standing is not None), None)


def claimed_runs(study: str, layout: Layout) -> list[Claimed]:
    """Return the runs that a study claims by itself; damaged claims count, with a warning."""
    whys = set(Why)
    files = [file for file in layout.lasting_claims(study) if file.parent.name in whys]
    found = []
    for path in dict.fromkeys(file.parents[2] for file in files):
        run = Run(path)
        published = run.folder.lasting_claim(Why.PUBLISHED, study) in files
        standing = read_standing(run, study)
        found.append(Claimed(run=run, standing=standing, published=published))
    return found


def evaluated_on(run: Run) -> str:
    """Return a digest of what the run was evaluated on."""
    identity: Mapping[str, Any] = run.state().get("identity", {})
    examples = identity.get("training", {}).get("eval_sequences")
    return digest({"data": identity.get("data"), "examples": examples}, 12)


def now() -> str:
    """Return the time for a new claim."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(path: Path) -> Standing | None:
    run_id = path.parents[2].name
    fix = f"the weights stay; if they need not, run `resweep forget runs {run_id}`"
    try:
        standing: Standing = read_json(path, fix, STANDING)
    except FileNotFoundError:
        return None
    except DamagedFile as error:
        log.warning("%s", error)
        return None
    return standing
