"""W&B tracking of trainings, in a separate process that follows any number of them.

    trainings -> metrics.jsonl, timing.jsonl -> follower process -> wandb (offline, online)

A training never imports wandb: the follower (`resweep.wandb.follow`) reads the metric files as they
grow and logs their lines. Failures of W&B never affect a training or its files; what W&B did not
get is sent by the next call that meets the run (`resweep.wandb.sent`).

    one socket         this process and those that it forks -> follower: the sockets of new runs
    a socket each run  what to follow, at its end how it ended ->, <- whether all was sent

Each run has its socket from the process that trains it. The kernel closes it however that process
ends, and then the follower reads the last lines and finishes the W&B run. When nobody has the first
socket any more, it finishes all runs and exits.
"""

import contextlib
import json
import logging
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Any, BinaryIO, Self

from typing_extensions import TypedDict

from resweep.config.compose import leaves
from resweep.local_paths import without_folders
from resweep.paths import RunFolder, StudyFolder, follower_log
from resweep.systems.registry import system_of
from resweep.training.metrics import parse
from resweep.training.monitors import RULES, StopRules
from resweep.trials.record import Status
from resweep.trials.trial import Trial
from resweep.wandb import process as wandb_process
from resweep.wandb import sent

# Online, a short run may still be connecting (wandb_process.SECONDS_TO_CONNECT) at its end.
SECONDS_TO_FINISH = {"offline": 15.0, "online": 30.0}
SECONDS_TO_TAKE = 10.0  # for an order that is larger than the socket's buffer
DONE = b"done"  # the follower's answer where a run is finished; otherwise the error


class End(TypedDict):
    """How a run ended that finished or diverged.

    Attributes:
        status: Of its record.
        metrics: Those that are only logged at the end, as the loss of test data: no line of its
            files has them.
    """

    status: str
    metrics: dict[str, float]


log = logging.getLogger(__name__)


class Follower:
    """Sends the metrics of runs to W&B; a context that ends when the last of them are written.

    The process starts when it is first needed. A process that forks others, which follow runs,
    calls `start` before; it never has a thread of ours, and only it leaves the context.

    Args:
        tracking: wandb (offline, online or disabled), project, entity; or agent_run, the W&B run
            that a sweep agent opened: it gets everything from the first step on, under the agent's
            name and project.
        study: W&B's files, and what it says, go to its folder.
    """

    def __init__(self, tracking: Mapping[str, Any], study: StudyFolder):
        self._tracking = tracking
        self._mode = tracking.get("wandb", "disabled")
        self._agent = "agent_run" in tracking
        self._directory = study.path.absolute()
        self._log = follower_log(self._directory)
        self._log_start = 0
        self._started = False
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._watchers: list[Thread] = []
        self._leaving = Event()
        self._warned = False

    @property
    def enabled(self) -> bool:
        """Whether anything is sent."""
        return self._mode != "disabled"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the process, unless it was started or tracking is disabled."""
        if self._started or not self.enabled:
            return
        self._started = True
        order = {
            "agent": self._agent,
            "directory": str(self._directory),
            "seconds_to_finish": SECONDS_TO_FINISH[self._mode],
        }
        try:
            with ExitStack() as opened:
                ours, its = map(opened.enter_context, socket.socketpair(type=socket.SOCK_SEQPACKET))
                ours.setblocking(False)  # a process that hangs must not make trainings hang
                self._directory.mkdir(parents=True, exist_ok=True)
                self._log_start = self._log.stat().st_size if self._log.exists() else 0
                self._process = wandb_process.start(
                    "resweep.wandb.follow", order, self._log, its.fileno()
                )
                self._socket = ours.dup()
        except OSError as error:
            self._warn(f"could not start: {error}; training continues without it")

    @contextmanager
    def follow(
        self, folder: Path, from_step: int, *, run: RunFolder, trial: Trial, rules: StopRules
    ) -> Iterator[Callable[[Status, Mapping[str, float]], None]]:
        """Send a run's metrics to W&B while the body trains it; yields what takes how it ended.

        A body that finishes or diverges calls it with the status, and the metrics that are only
        logged at the end.

        Args:
            folder: With the metric files, which hold nothing beyond `from_step` yet: the run's, or
                that of a retraining beside it.
            from_step: Where the training continues.
            run: The run; its name is also its id in W&B, so that a resumed run continues there.
            trial: The trial being trained, for names and groups.
            rules: The monitors of the trial.
        """
        channel = None
        if self.enabled:
            try:
                if not self._agent:
                    sent.begin(run, _sent_before(folder, from_step, run))
                channel = self._order(RunFolder(folder), run, trial, rules, None, wait=True)
            except ConnectionError:
                self._warn_of_failure()
            except OSError as error:
                self._warn(f"could not start: {error}; training continues without it")
        if channel is None:
            yield lambda status, metrics: None
            return
        watcher = Thread(target=self._watch, args=(channel,), daemon=True)
        watcher.start()
        self._watchers.append(watcher)

        def say_end(status: Status, metrics: Mapping[str, float]) -> None:
            end = End(status=status.value, metrics=dict(metrics))
            with contextlib.suppress(OSError):  # closed, if the follower failed
                channel.sendall(json.dumps(end).encode() + b"\n")

        try:
            yield say_end
        finally:
            with contextlib.suppress(OSError):
                channel.shutdown(socket.SHUT_WR)

    def send_rest(
        self, run: RunFolder, step: int, end: End | None, *, trial: Trial, rules: StopRules
    ) -> None:
        """Send the lines that W&B lacks of a run that is not trained now; usually there are none.

        Args:
            run: The run; nothing is sent while another process follows it.
            step: How far it was trained.
            end: How it ended, if it has.
            trial: For names and groups.
            rules: The monitors of the trial.
        """
        if not self.enabled:
            return
        try:
            if not self._agent and not sent.is_behind(run, step):
                return
            channel = self._order(run, run, trial, rules, end, wait=False)
        except ConnectionError:
            self._warn_of_failure()
            return
        except OSError as error:
            self._warn(f"could not start: {error}")
            return
        if channel is not None:
            channel.close()

    def close(self) -> None:
        """Wait briefly for what is left to be written, and end the process."""
        if self._process is None or self._socket is None:
            return
        self._socket.close()
        self._socket = None
        try:
            # It exits by itself before that.
            code = self._process.wait(SECONDS_TO_FINISH[self._mode] + 2.0)
        except subprocess.TimeoutExpired:
            self._leaving.set()
            self._process.kill()
            self._process.wait()
            self._warn("hung and was stopped; the runs' own files are complete")
            return
        for watcher in self._watchers:
            watcher.join()
        if code and not self._warned:
            self._warn_of_failure()

    def _order(
        self,
        files: RunFolder,
        run: RunFolder,
        trial: Trial,
        rules: StopRules,
        end: End | None,
        *,
        wait: bool,
    ) -> socket.socket | None:
        """Have a run followed from now on; returns its socket, None if there is no follower.

        Args:
            files: Where the metric files are. They are handed over open, since a retraining's are
                moved when it ends.
            run: The run.
            trial: For names and groups.
            rules: The monitors of the trial.
            end: How the run ended, if that is known.
            wait: Whether to wait for another process that sends the run's lines.

        Raises:
            OSError: It cannot be reached.
        """
        self.start()
        if self._socket is None:
            return None
        order = {
            "run": str(run.path.absolute()),
            "wait": wait,
            "rules": rules.content(),
            "stop": _stop_words(trial),
            "end": end,
            "init": self._init(run, trial),
        }
        with ExitStack() as opened:
            metrics, timing = (
                opened.enter_context(_open(path)) for path in (files.metrics, files.timing)
            )
            ours, its = socket.socketpair()
            opened.enter_context(its)
            try:
                handles = [its.fileno(), metrics.fileno(), timing.fileno()]
                socket.send_fds(self._socket, [b"run"], handles)
                ours.settimeout(SECONDS_TO_TAKE)
                ours.sendall(json.dumps(order).encode() + b"\n")
                ours.settimeout(None)
            except BaseException:
                ours.close()
                raise
        return ours

    def _init(self, run: RunFolder, trial: Trial) -> dict[str, Any]:
        """Return the arguments of `wandb.init`."""
        init = {
            "mode": self._mode,
            "config": without_folders(dict(leaves(trial.config))),
            "resume": "allow",
            "reinit": "create_new",
        }
        if self._agent:
            return init
        return init | {
            "id": run.path.name,
            "project": self._tracking.get("project") or "resweep",
            "entity": self._tracking.get("entity"),
            "group": f"{trial.study}/{trial.phase}",
            "job_type": trial.phase,
            "name": f"{trial.phase}/{trial.trial}",
        }

    def _watch(self, channel: socket.socket) -> None:
        """Warn as soon as a run's tracking fails, not at the end of a long training."""
        with channel, channel.makefile("rb") as answers:
            try:
                answer = answers.read()
            except OSError:
                answer = b""
        if answer == DONE or self._leaving.is_set():
            return
        self._warn_of_failure(answer.decode())

    def _warn_of_failure(self, reason: str = "") -> None:
        if not reason:
            said = wandb_process.last_line(self._log, self._log_start)
            reason = f"its process ended: {said}"
        self._warn(f"failed ({reason}); the training is not affected; details: {self._log}")

    def _warn(self, text: str) -> None:
        self._warned = True
        log.warning("W&B tracking %s", text)


def _stop_words(trial: Trial) -> dict[str, Any]:
    """Return what the trial's system calls the ends of a training, for the summary in W&B.

    Returns:
        Its `column`; and `texts` of each monitor, of a run that finished and of one that diverged.
        Empty for a system without words of its own.
    """
    system = system_of(trial.config)
    if system.stop_column is None:
        return {}
    ends = (Status.FINISHED, Status.DIVERGED)
    texts = {rule: system.stop_text(Status.STOPPED, rule, trial.config) for rule in RULES}
    texts |= {status: system.stop_text(status, None, trial.config) for status in ends}
    return {"column": system.stop_column, "texts": texts}


def _open(path: Path) -> BinaryIO:
    """Open a metric file; an empty one if there is none."""
    return (path if path.exists() else Path(os.devnull)).open("rb")


def _sent_before(folder: Path, from_step: int, run: RunFolder) -> int:
    """Return the step up to which lines were sent before, as far as the metric files say.

    Older versions did not note it. Retraining pruned weights in a separate folder repeats lines of
    the run's own file.
    """
    beside = folder != run.path and run.metrics.exists()
    last = parse(run.metrics.read_bytes()).last if beside else sent.NOTHING
    if last != sent.NOTHING:
        return last
    return from_step if from_step > 0 else sent.NOTHING
