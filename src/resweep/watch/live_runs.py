"""The runs that are being trained right now, from the leases of the store.

runs/*/lease.json  ->  those that a living process holds  ->  step, speed, values, trials

A process renews its lease every ten seconds. One of this machine lives if its process does; one of
another machine, if its lease was written within the last minute by this machine's clock.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.locks import STALE_SECONDS
from resweep.machine.identity import machine_id
from resweep.paths import Layout, RunFolder
from resweep.report.measured import UNREADABLE
from resweep.store.lock import Lease, read_lease
from resweep.systems.registry import system_of
from resweep.training.metrics import finite

TAIL_BYTES = 16384  # of a metric file: its last lines
PER_SECOND = "s_per_second"  # how the speed in timing.jsonl is called: tokens_per_second


@dataclass(frozen=True, kw_only=True)
class LiveRun:
    """A run that is being trained.

    Attributes:
        run_id: Its name.
        step: The last one that it logged.
        max_steps: Its last step; None before its state is written.
        speed: Steps a second, at its last logged step; None before.
        metrics: The last value of each metric.
        places: The trials that want it, as far as they claim its weights: study, phase, trial.
    """

    run_id: str
    step: int
    max_steps: int | None
    speed: float | None
    metrics: Mapping[str, float]
    places: tuple[tuple[str, str, str], ...]


class LiveRuns:
    """Looks for the runs that are being trained.

    Args:
        layout: Of the results folder.
    """

    def __init__(self, layout: Layout):
        self._layout = layout
        self._units: dict[str, int | None] = {}  # of a step, by run
        self._released: dict[str, int] = {}  # date of the leases that nobody holds, by run

    def look(self) -> list[LiveRun]:
        """Return the runs that are being trained now, by name."""
        found = (self._look_at(path) for path in self._layout.all_runs())
        return [run for run in found if run is not None]

    def _look_at(self, path: Path) -> LiveRun | None:
        folder = RunFolder(path)
        try:
            date = folder.lease.stat().st_mtime_ns
            if self._released.get(path.name) == date:
                return None
            lease = read_lease(path)
        except OSError:  # never trained, or forgotten meanwhile
            return None
        if not is_alive(lease, date):
            self._released[path.name] = date
            return None
        # What was pruned is trained again beside the run.
        trained = RunFolder(folder.again) if folder.again.is_dir() else folder
        lines, timing = tail(trained.metrics), tail(trained.timing)
        metrics = {name: value for line in lines for name, value in line.items() if name != "step"}
        steps = [int(line["step"]) for line in lines[-1:]] + [int(lease.get("step", 0))]
        return LiveRun(
            run_id=path.name,
            step=max(steps),
            max_steps=_max_steps(folder),
            speed=self._speed(folder, timing),
            metrics=metrics,
            places=tuple(_place(claim.name) for claim in folder.all_claims()),
        )

    def _speed(self, folder: RunFolder, timing: list[dict[str, Any]]) -> float | None:
        last = timing[-1] if timing else {}
        units = self._step_units(folder)
        for name, value in last.items():
            if name.endswith(PER_SECOND) and units:
                return float(value) / units
        return None

    def _step_units(self, folder: RunFolder) -> int | None:
        name = folder.path.name
        if name not in self._units:
            try:
                config = yaml12.load_mapping(folder.config)
                self._units[name] = system_of(config).cost(config, None).step_units
            except UNREADABLE:
                return None  # not written yet
        return self._units[name]


def is_alive(lease: Lease, date: int) -> bool:
    """Whether the holder of a lease is alive.

    Args:
        lease: The lease.
        date: When it was written, in nanoseconds since 1970.
    """
    if not lease or lease.get("released"):
        return False
    if lease.get("machine") == machine_id() and "pid" in lease:
        return _is_process(lease["pid"])
    return time.time() - date / 1e9 < STALE_SECONDS


def _is_process(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def tail(path: Path) -> list[dict[str, Any]]:
    """Return the last whole lines of a metric file; none where it is missing or damaged."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1].splitlines()
        if size > TAIL_BYTES:
            whole = whole[1:]
        lines = [finite(json.loads(line)) for line in whole]
    except (OSError, ValueError, AttributeError):
        return []
    return [line for line in lines if isinstance(line.get("step"), int)]


def _max_steps(folder: RunFolder) -> int | None:
    try:
        steps = json.loads(folder.state.read_bytes()).get("max_steps")
    except (OSError, ValueError, AttributeError):
        return None
    return steps if isinstance(steps, int) else None


def _place(claim: str) -> tuple[str, str, str]:
    study, phase, trial = claim.split(".")
    return study, phase, trial
