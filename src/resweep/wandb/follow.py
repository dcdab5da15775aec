"""W&B tracking of a training, in a separate process.

    trainer -> metrics.jsonl, timing.jsonl -> follower process -> wandb (offline, online)

The trainer never imports wandb: a follower process reads the run's metric files as they grow and
logs their lines. Failures of W&B never affect the training or its files.
"""

import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from select import select
from threading import Event, Thread
from typing import Any

from resweep.config.compose import leaves
from resweep.paths import Layout, RunFolder, follower_log
from resweep.training.metrics import parse
from resweep.training.monitors import Monitors, StopRules
from resweep.trials.trial import Trial
from resweep.wandb import process as wandb_process

SECONDS_BETWEEN_READS = 1.0
# Online, a short run may still be connecting (wandb_process.SECONDS_TO_CONNECT) at its end.
SECONDS_TO_FINISH = {"offline": 15.0, "online": 30.0}

log = logging.getLogger(__name__)


@contextmanager
def follow(
    folder: Path,
    from_step: int,
    *,
    run_id: str,
    trial: Trial,
    tracking: Mapping[str, Any],
    layout: Layout,
    rules: StopRules,
) -> Iterator[None]:
    """Send a run's metrics to W&B while the body runs, then wait briefly for the last ones.

    Args:
        folder: With the run's metric files, which hold nothing beyond `from_step` yet.
        from_step: Lines up to this step were sent before.
        run_id: Also its id in W&B, so that a resumed run continues there.
        trial: The trial being trained, for names and groups.
        tracking: wandb (offline, online or disabled), project, entity; or agent_run, the W&B run
            that a sweep agent opened: it gets everything from the first step on, under the agent's
            name and project.
        layout: W&B's files go to `results/{study}/wandb`.
        rules: The monitors of the trial.
    """
    mode = tracking.get("wandb", "disabled")
    if mode == "disabled":
        yield
        return
    directory = layout.study(trial.study).path.absolute()
    agent = "agent_run" in tracking
    own = {
        "id": run_id,
        "project": tracking.get("project") or "resweep",
        "entity": tracking.get("entity"),
        "group": f"{trial.study}/{trial.phase}",
        "job_type": trial.phase,
        "name": f"{trial.phase}/{trial.trial}",
    }
    order = {
        "folder": str(folder),
        "after_step": -1 if agent else _last_sent(folder, from_step, layout.run(run_id)),
        "seconds_to_finish": SECONDS_TO_FINISH[mode],
        "rules": rules.content(),
        "init": {
            "agent": agent,
            "mode": mode,
            "dir": str(directory),
            "config": wandb_process.without_folders(dict(leaves(trial.config))),
            "resume": "allow",
            **({} if agent else own),
        },
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        process = wandb_process.start("resweep.wandb.follow", order, follower_log(folder))
    except OSError as error:
        log.warning("W&B tracking could not start: %s; training continues without it", error)
        yield
        return
    stopped = Event()
    watcher = Thread(target=_watch, args=(process, follower_log(folder), stopped), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        watcher.join(SECONDS_TO_FINISH[mode] + 2.0)  # it exits by itself before that
        if watcher.is_alive():
            stopped.set()
            process.kill()
            log.warning("W&B tracking hung and was stopped; the run's own files are complete")


def _last_sent(folder: Path, from_step: int, run_folder: Path) -> int:
    """Return the step up to which lines were sent before; -1 for none.

    Retraining pruned weights in a separate folder repeats lines of the run's own file.
    """
    file = RunFolder(run_folder).metrics
    known = parse(file.read_bytes()).lines if folder != run_folder and file.exists() else []
    if known:
        return int(known[-1]["step"])
    return from_step if from_step > 0 else -1


def _watch(process: subprocess.Popen[bytes], output: Path, stopped: Event) -> None:
    """Warn as soon as the follower fails, not at the end of a long training."""
    code = process.wait()
    if code and not stopped.is_set():
        log.warning(
            "W&B tracking failed with exit code %d (%s); the training is not affected; details: %s",
            code,
            wandb_process.last_line(output),
            output,
        )


class _Tail:
    """Reads the lines added to a metric file since the last call."""

    def __init__(self, path: Path):
        self.path = path
        self.end = 0

    def new_lines(self) -> Iterator[dict[str, Any]]:
        """Yield each new complete line."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.end)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self.end += len(whole)
        yield from parse(whole).lines


def main(order: dict[str, Any]) -> None:
    """Follow one run until standard input closes: the trainer has finished or died."""
    folder, sent = Path(order["folder"]), order["after_step"]
    run = wandb_process.init(**order["init"])
    files = RunFolder(folder)
    metrics, timing = _Tail(files.metrics), _Tail(files.timing)
    monitors = Monitors(StopRules.from_content(order["rules"]))
    speeds: dict[int, dict[str, Any]] = {}
    ended = False
    while not ended:
        ended = bool(select([sys.stdin], [], [], SECONDS_BETWEEN_READS)[0])
        if ended:
            wandb_process.leave_after(order["seconds_to_finish"])
        lines = list(metrics.new_lines())
        # Read second: a step's timing is written before its metrics.
        speeds |= {line.pop("step"): line for line in timing.new_lines()}
        for line in lines:
            monitors.see(line)
            step = line.pop("step")
            speed = {f"timing/{name}": value for name, value in speeds.pop(step, {}).items()}
            if step > sent:
                run.log(line | speed, step=step)
    if monitors.stop is not None:
        run.summary.update({"stop_rule": monitors.stop.rule, "stop_reason": monitors.stop.reason})
    run.finish()


if __name__ == "__main__":
    wandb_process.run_child(main)
