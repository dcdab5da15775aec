"""The process that follows runs for `resweep.wandb.follower`: a thread for each run.

    socket of the run -> what to follow -> its lock -> lines of its metric files -> a W&B run
    socket closed     -> the last lines, how it ended -> W&B run finished -> noted in its folder

A training that reaches its horizon measures some metrics there that its files do not have, as the
loss of test data. If it is killed before that, its last line does not count as sent: the next call
trains that step again and sends both.

wandb serves any number of runs at once from one process: the first costs about a second of CPU
time, each further one about 0.02 s.
"""

import json
import os
import select
import shutil
import socket
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

from resweep.locks import FileLock
from resweep.paths import RunFolder
from resweep.training.metrics import parse
from resweep.training.monitors import Monitors, StopRules
from resweep.wandb import process as wandb_process
from resweep.wandb import sent
from resweep.wandb.follower import DONE, End

SECONDS_BETWEEN_READS = 1.0
HEADER_BYTES = 7  # of an offline file to which W&B has not written any line


class Tail:
    """Reads the lines added to an open metric file since the last call."""

    def __init__(self, handle: int):
        self.handle = handle
        self.end = 0

    def new_lines(self) -> Iterator[dict[str, Any]]:
        """Yield each new complete line."""
        content = os.pread(self.handle, os.fstat(self.handle).st_size - self.end, self.end)
        whole = content[: content.rfind(b"\n") + 1]
        self.end += len(whole)
        yield from parse(whole).lines


class _Followed(Thread):
    """Follows one run, until the process that trains it closes its end of the socket.

    Args:
        order: Of `main`.
        channel: The run's socket.
        metrics, timing: Handles of its metric files.

    Attributes:
        failure: What went wrong, if the process that trains the run is no longer there to know.
    """

    def __init__(self, order: Mapping[str, Any], channel: int, metrics: int, timing: int):
        super().__init__()
        self._channel = socket.socket(fileno=channel)
        self._messages = self._channel.makefile("rb")
        self._handles = (metrics, timing)
        self._agent: bool = order["agent"]
        self._directory = Path(order["directory"])
        self.failure: str | None = None

    def run(self) -> None:
        """Follow the run; a failure of one does not affect the others."""
        answer = DONE
        try:
            order = self._messages.readline()
            if order.endswith(b"\n"):  # otherwise its sender was killed
                self._follow(json.loads(order))
        except Exception as error:
            traceback.print_exc()
            answer = wandb_process.line_about(error).encode()
        try:
            self._channel.sendall(answer)
        except OSError:
            self.failure = None if answer == DONE else answer.decode()
        self._messages.close()
        self._channel.close()
        for handle in self._handles:
            os.close(handle)

    def _follow(self, order: Mapping[str, Any]) -> None:
        run = RunFolder(Path(order["run"]))
        if self._agent:
            self._send(order, sent.NOTHING)
            return
        lock = FileLock(run.wandb_lock)
        # Held by the follower of an earlier training until it has finished.
        if not lock.take(None if order["wait"] else 0.0):
            return
        try:
            before = sent.sent_step(run)
            before = sent.NOTHING if before is None else before
            drop_empty(self._directory, order["init"]["id"])
            last = self._send(order, before)
            if last > before:
                sent.note(run, last)
        finally:
            lock.release()

    def _send(self, order: Mapping[str, Any], before: int) -> int:
        """Send the lines after a step; returns the step up to which they count as sent."""
        metrics, timing = map(Tail, self._handles)
        monitors = Monitors(StopRules.from_content(order["rules"]))
        speeds: dict[int, dict[str, Any]] = {}
        run, last, last_but_one, ended = None, before, before, False
        while not ended:
            ended = bool(select.select([self._channel], [], [], SECONDS_BETWEEN_READS)[0])
            lines = list(metrics.new_lines())
            # Read second: a step's timing is written before its metrics.
            speeds |= {line.pop("step"): line for line in timing.new_lines()}
            for line in lines:
                monitors.see(line)
                step = line.pop("step")
                speed = {f"timing/{name}": value for name, value in speeds.pop(step, {}).items()}
                if step <= before:
                    continue
                if run is None:
                    run = self._begin(order["init"])
                run.log(line | speed, step=step)
                last, last_but_one = step, last
        if run is None:
            return last
        stop, end = monitors.stop, self._said(order)
        if stop is not None:
            run.summary.update({"stop_rule": stop.rule, "stop_reason": stop.reason})
            run.summary.update(_in_words(order, stop.rule))
        elif end is not None:
            run.summary.update(end["metrics"] | _in_words(order, end["status"]))
        run.finish()
        concluded = stop is not None or end is not None
        return last if concluded or last != order["rules"]["horizon"] else last_but_one

    def _said(self, order: Mapping[str, Any]) -> End | None:
        """Return how the run ended, if it has: as the order says, or the training did later."""
        try:
            said = self._messages.read()
        except OSError:  # it was killed
            said = b""
        end: End | None = json.loads(said) if said.endswith(b"\n") else order["end"]
        return end

    def _begin(self, init: Mapping[str, Any]) -> Any:
        """Return a new W&B run."""
        if not self._agent:
            wait_for_new_name(self._directory, init["id"])
        return wandb_process.init(agent=self._agent, dir=str(self._directory), **init)


def _in_words(order: Mapping[str, Any], end: str) -> dict[str, str]:
    """Return how a run ended in the words of its system, if it has some.

    Args:
        order: What is followed.
        end: A monitor, or a status.
    """
    known = order["stop"]
    return {known["column"]: known["texts"][end]} if known and end in known["texts"] else {}


def drop_empty(directory: Path, run_id: str) -> None:
    """Remove the folders of a run whose W&B process was killed: `wandb sync` fails to read them."""
    for file in directory.glob(f"wandb/offline-run-*-{run_id}/*.wandb"):
        if file.stat().st_size <= HEADER_BYTES:
            shutil.rmtree(file.parent)


def wait_for_new_name(directory: Path, run_id: str) -> None:
    """Wait until W&B's name for a folder, which has the second and the run, is not taken."""
    while any(directory.glob(f"wandb/*-{time.strftime('%Y%m%d_%H%M%S')}-{run_id}")):
        time.sleep(0.1)


def main(order: dict[str, Any]) -> None:
    """Follow runs until nobody can order more: the trainings have ended, or were killed."""
    runs: list[_Followed] = []
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as orders:
        while True:
            message, handles, _, _ = socket.recv_fds(orders, 16, 3)
            if not message:
                break
            channel, metrics, timing = handles
            runs.append(_Followed(order, channel, metrics, timing))
            runs[-1].start()
    wandb_process.leave_after(order["seconds_to_finish"])
    for run in runs:
        run.join()
    failures = [run.failure for run in runs if run.failure is not None]
    if failures:
        print(failures[-1], file=sys.stderr, flush=True)
        sys.exit(1)


if __name__ == "__main__":
    wandb_process.run_child(main)
