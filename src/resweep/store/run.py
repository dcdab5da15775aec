"""The folder of one run: its state, its attempts, its immutable records.

config.yaml       the resolved configuration
record.json       the run's state, replaced atomically
records/          what a trial that stopped there got: {step}.json, {step}-{rule}.json; immutable
metrics.jsonl timing.jsonl checkpoint_{step}/ final_checkpoint/ train.log
again/            a retraining of what was pruned, while it lasts
claims/           the trials that want the weights to stay
lock lease.json   who advances it
"""

import hashlib
import json
import os
import platform
import socket
from functools import cache
from pathlib import Path
from typing import Any

import resweep
from resweep.gpus import held_gpu
from resweep.paths import write_atomically
from resweep.store.lock import read_lease
from resweep.training import checkpoint

MOST_ATTEMPTS_WITHOUT_PROGRESS = 8
NEARLY_FULL = 0.85  # of the memory limit: a killed process that had so much ran out of it

FINISHED = "finished"
STOPPED = "stopped"
DIVERGED = "diverged"
INFEASIBLE = "infeasible"
EMPTY = "empty"
FAILED = "failed"


class Run:
    """One run of the store; what changes it needs the run's lock.

    Args:
        path: The run's folder, named by its id.
    """

    def __init__(self, path: Path):
        self.path = path
        self.run_id = path.name

    def state(self) -> dict[str, Any]:
        """Return the run's state as in record.json; empty for a run that was never begun."""
        try:
            return dict(json.loads((self.path / "record.json").read_text()))
        except FileNotFoundError:
            return {}

    def update(self, **changes: Any) -> None:
        """Replace parts of the run's state, atomically."""
        state = {"run_id": self.run_id, **self.state(), **changes}
        write_atomically(self.path / "record.json", json.dumps(state, indent=2) + "\n")

    def records(self) -> dict[str, Path]:
        """Return the records by the stems of their names: `200`, `50-diverged`."""
        return {path.stem: path for path in sorted((self.path / "records").glob("[0-9]*.json"))}

    def find_record(
        self, until: int, weights: bool = False, device_memory: float | None = None
    ) -> Path | None:
        """Return the record that already answers a request, or None.

        Args:
            until: The step asked for.
            weights: Whether its weights are wanted too.
            device_memory: Bytes of the device; what did not fit as much before still does not.
        """
        # First what was reached: a later failure to train it again takes nothing from it.
        exact = self.path / "records" / f"{until}.json"
        has_weights = (self.path / checkpoint.folder_name(until)).is_dir()
        if exact.exists() and (has_weights or not weights):
            return exact
        for stem, path in self.records().items():
            step, _, rule = stem.partition("-")
            if not rule:
                continue
            if rule == INFEASIBLE:
                if device_memory is not None:
                    tried = json.loads(path.read_text())["device_memory"]
                    if device_memory <= tried:
                        return path
            elif rule == FAILED or int(step) <= until:
                return path
        return None

    def furthest_record(self) -> int:
        """Return the last step that a record stands for; 0 without any."""
        return max((int(stem) for stem in self.records() if stem.isdigit()), default=0)

    def write_record(self, step: int, content: dict[str, Any], rule: str | None = None) -> Path:
        """Write an immutable record; one that is there already stays as it is."""
        name = f"{step}-{rule}.json" if rule else f"{step}.json"
        path = self.path / "records" / name
        if not path.exists():
            write_atomically(path, json.dumps({"run_id": self.run_id, **content}, indent=2) + "\n")
        return path

    def begin_attempt(self, generation: int, from_step: int, device: str) -> None:
        """Note that this process begins to train; ends an attempt that was left open as killed."""
        attempts = self.attempts()
        attempts.append(
            {
                "generation": generation,
                "host": host(),
                "process": os.getpid(),
                "job": os.environ.get("SLURM_JOB_ID"),
                "device": device,
                "gpu": held_gpu(),
                "from_step": from_step,
                "to_step": from_step,
                "end": None,
            }
        )
        self.update(attempts=attempts)

    def was_advanced_here(self) -> bool:
        """Whether this very process was the last to train the run."""
        attempts = self.state().get("attempts") or [{}]
        return (attempts[-1].get("host"), attempts[-1].get("process")) == (host(), os.getpid())

    def end_attempt(self, end: str, to_step: int, seconds: float, gpus: int) -> None:
        """Note how the open attempt ended, and add its time to the run's."""
        state = self.state()
        attempt = state["attempts"][-1]
        attempt |= {"end": end, "to_step": to_step, "seconds": round(seconds, 2)}
        segment = {
            "from_step": attempt["from_step"],
            "to_step": to_step,
            "host": attempt["host"],
            "device": attempt["device"],
            "gpu": attempt["gpu"],
            "processes": 1,
            "seconds": round(seconds, 2),
            "versions": versions(),
            "code": code_digest(),
        }
        self.update(
            attempts=state["attempts"],
            segments=[*state.get("segments", []), segment],
            gpu_seconds=round(state.get("gpu_seconds", 0.0) + seconds * gpus, 2),
        )

    def close_attempt(self, lease: dict[str, Any]) -> None:
        """Write down how an open attempt ended, as its lease tells; needs the lock."""
        if self.state().get("attempts"):
            self.update(attempts=self.attempts(lease))

    def attempts(self, lease: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return all attempts; one that was left open counts as killed, or as out of memory.

        Only its lease can tell what it died of: how much memory it had, and how much was allowed.
        The attempt of a process that is at work now looks the same: ask under the lock, or when no
        job is running.
        """
        attempts = [dict(attempt) for attempt in self.state().get("attempts", [])]
        lease = read_lease(self.path) if lease is None else lease
        if attempts and attempts[-1]["end"] is None:
            used, limit = lease.get("memory_mb", 0), lease.get("memory_limit_mb")
            full = limit and used >= NEARLY_FULL * limit
            attempts[-1]["end"] = "out of memory" if full else "killed"
            attempts[-1]["to_step"] = max(lease.get("step", 0), attempts[-1]["from_step"])
        return attempts

    def out_of_memory_count(self) -> int:
        """How often this run ended for lack of main memory: what a retry's request grows by."""
        return sum(attempt["end"] == "out of memory" for attempt in self.attempts())

    def attempts_from(self, step: int) -> int:
        """Count the latest attempts that began at `step` and were killed or failed.

        An attempt that saved on a signal counts neither way; one that began elsewhere ends the
        count, since there was progress after it.
        """
        count = 0
        for attempt in reversed(self.attempts()):
            if attempt["from_step"] != step or attempt["end"] == "completed":
                break
            count += attempt["end"] != "interrupted"
        return count


def host() -> str:
    """Name of this machine, as SLURM calls it."""
    return os.environ.get("SLURMD_NODENAME", socket.gethostname())


def versions() -> dict[str, str]:
    """Versions that can change numbers."""
    import numpy
    import torch

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "resweep": resweep.__version__,
    }


@cache
def code_digest() -> str:
    """Digest of the modules that a run's numbers come from: data, model and training."""
    total = hashlib.sha256()
    package = Path(resweep.__file__).parent
    for folder in ("data", "model", "training"):
        for file in sorted((package / folder).glob("*.py")):
            total.update(file.name.encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:12]
