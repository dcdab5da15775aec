"""The attempts to train a run: where each began, how it ended, and what follows for the next one.

begin -> the attempt is open in record.json -> built    it has the versions that train
                                            -> end      a segment, with its time and versions
                                            -> killed   still open: its lease has the cause
"""

import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from resweep.machine.gpus import held_gpu
from resweep.store.lock import read_lease
from resweep.store.provenance import versions
from resweep.store.run import Run

MOST_WITHOUT_PROGRESS = 8
# How an attempt ends after which the next one uses a smaller micro-batch; stored, so it stays.
FEWER_ROWS = "out of GPU memory; the next attempt takes fewer sequences a forward"
OUT_OF_MEMORY = "out of memory"  # main memory
LACKED_MEMORY = "out_of_memory"  # in a lease: whether that is known to have ended its holder
NEARLY_FULL = 0.85  # of the memory limit: a process killed above it ran out of memory


class Attempts:
    """The attempts of one run; changing them needs the run's lock.

    Args:
        run: The run.
    """

    def __init__(self, run: Run):
        self.run = run

    def begin(
        self, generation: int, from_step: int, device: str, startup: float | None = None
    ) -> None:
        """Record that this process begins to train; an attempt still open ends as killed.

        Args:
            generation: Of the run's lock.
            from_step: The step that it continues from.
            device: What trains.
            startup: CPU seconds that its job took until now; None if another training counts them.
        """
        attempts = self.all()
        attempts.append(
            {
                "generation": generation,
                "host": os.environ.get("SLURMD_NODENAME", socket.gethostname()),
                "job": os.environ.get("SLURM_JOB_ID"),
                "device": device,
                "gpu": held_gpu(),
                "from_step": from_step,
                "to_step": from_step,
                "end": None,
                **({} if startup is None else {"startup_seconds": round(startup, 2)}),
            }
        )
        self.run.update(attempts=attempts)

    def built(self, parameters: int | None, code: str, libraries: Iterable[str] = ()) -> None:
        """Record what the open attempt trains with, now that it is loaded.

        Args:
            parameters: Size of the model.
            code: Digest of the code that computes it.
            libraries: Of the system, whose versions matter.
        """
        *closed, attempt = self.run.state()["attempts"]
        attempt |= {"versions": versions(libraries), "code": code}
        self.run.update(attempts=[*closed, attempt], parameters=parameters)

    def end(
        self,
        end: str,
        *,
        to_step: int,
        seconds: float,
        gpus: int,
        code: str,
        libraries: Iterable[str] = (),
        processes: int = 1,
        engine: str = "none",
    ) -> None:
        """Record how the open attempt ended, and add its time to the run's.

        Args:
            end: How.
            to_step: The step that it reached.
            seconds: Its duration.
            gpus: How many it used.
            code: Digest of the code that computed it.
            libraries: Of the system, whose versions matter.
            processes: How many trained together.
            engine: Their `training.distributed`.
        """
        state = self.run.state()
        attempt = state["attempts"][-1]
        attempt |= {"end": end, "to_step": to_step, "seconds": round(seconds, 2)}
        segment = {
            "from_step": attempt["from_step"],
            "to_step": to_step,
            "host": attempt["host"],
            "device": attempt["device"],
            "gpu": attempt["gpu"],
            "processes": processes,
            "engine": engine,
            "seconds": round(seconds, 2),
            "versions": versions(libraries),
            "code": code,
        }
        self.run.update(
            attempts=state["attempts"],
            segments=[*state.get("segments", []), segment],
            gpu_seconds=round(state.get("gpu_seconds", 0.0) + seconds * gpus, 2),
        )

    def close(self, lease: Mapping[str, Any]) -> None:
        """Record how an open attempt ended, according to its lease; needs the lock."""
        if self.run.state().get("attempts"):
            self.run.update(attempts=self.all(lease))

    def all(self, lease: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return all attempts; one that is still open counts as killed, or as out of memory.

        Only its lease shows which: how much memory it used, and how much was allowed. The attempt
        of a running process looks the same: call this under the lock, or when no job is running.
        """
        attempts = [dict(attempt) for attempt in self.run.state().get("attempts", [])]
        lease = read_lease(self.run.path) if lease is None else lease
        if attempts and attempts[-1]["end"] is None:
            lacked = lease.get(LACKED_MEMORY) or is_nearly_full(lease)
            attempts[-1]["end"] = OUT_OF_MEMORY if lacked else "killed"
            attempts[-1]["to_step"] = max(lease.get("step", 0), attempts[-1]["from_step"])
        return attempts

    def out_of_memory_count(self) -> int:
        """Return how often this run ran out of main memory: a retry's request grows with it."""
        return sum(attempt["end"] == OUT_OF_MEMORY for attempt in self.all())

    def failed_alike(self, error: str) -> bool:
        """Whether the last two attempts ended with this error at the same step."""
        last_two = self.all()[-2:]
        ends = {(attempt["end"], attempt["to_step"]) for attempt in last_two}
        return len(last_two) == 2 and len(ends) == 1 and last_two[0]["end"] == f"error: {error}"

    def count_from(self, step: int) -> int:
        """Count the latest attempts that began at `step` and were killed or failed.

        Attempts that saved on a signal are skipped, and those after which the next one uses a
        smaller micro-batch; one that began at another step ends the count: there was progress after
        it.
        """
        count = 0
        for attempt in reversed(self.all()):
            if attempt["from_step"] != step or attempt["end"] == "completed":
                break
            if attempt["end"] not in ("interrupted", FEWER_ROWS):
                count += 1
        return count


def is_nearly_full(lease: Mapping[str, Any]) -> bool:
    """Whether the holder of this lease, if it was killed, was killed for its main memory."""
    limit = lease.get("memory_limit_mb")
    return bool(limit and lease.get("memory_mb", 0) >= NEARLY_FULL * limit)
