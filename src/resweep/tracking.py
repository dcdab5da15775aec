"""Weights & Biases beside a training, in a process of its own.

    trainer -> metrics.jsonl, timing.jsonl -> follower process -> wandb (offline, online)

The trainer never imports wandb: a follower reads the run's metric files as they grow and sends
their lines. Whatever happens to W&B, the training and its files stay as they are.
"""

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import Any

from resweep.config.compose import leaves
from resweep.paths import Layout
from resweep.training.metrics import METRICS, TIMING, read_metrics
from resweep.trial import Trial

SECONDS_BETWEEN_READS = 1.0
SECONDS_TO_FINISH = {"offline": 20.0, "online": 60.0}

log = logging.getLogger(__name__)


@contextmanager
def follow(
    folder: Path,
    from_step: int,
    run_id: str,
    trial: Trial,
    tracking: Mapping[str, Any],
    layout: Layout,
) -> Iterator[None]:
    """Send a run's metrics to W&B while the body runs, and a little longer for the last ones.

    Args:
        folder: Where the run's metric files grow.
        from_step: Lines up to this step were sent before.
        run_id: Name of the run, in W&B too: a resumed run goes on there.
        trial: The trial that has it trained, for names and groups.
        tracking: wandb (offline, online or disabled), project, entity.
        layout: W&B's files go to `results/{study}/wandb`.
    """
    mode = tracking.get("wandb", "disabled")
    if mode == "disabled":
        yield
        return
    directory = layout.study(trial.study)
    directory.mkdir(parents=True, exist_ok=True)
    order = {
        "folder": str(folder),
        "from_step": from_step,
        "init": {
            "id": run_id,
            "mode": mode,
            "dir": str(directory),
            "project": tracking.get("project") or "resweep",
            "entity": tracking.get("entity"),
            "group": f"{trial.study}/{trial.phase}",
            "job_type": trial.phase,
            "name": f"{trial.phase}/{trial.trial}",
            "config": dict(leaves(trial.config)),
            "resume": "allow",
        },
    }
    with (folder / "wandb.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "resweep.tracking", json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        _wait(process, SECONDS_TO_FINISH[mode], folder / "wandb.log")


def _wait(process: subprocess.Popen[bytes], seconds: float, output: Path) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        code = process.wait(seconds)
        problem = f"ended with code {code}" if code else None
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        problem = f"did not finish within {seconds:.0f} s"
    if problem:
        log.warning("W&B tracking %s; the run's own files are complete. See %s", problem, output)


def main() -> None:
    """Follow one run until standard input closes: the trainer is done, or dead."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # meant for the trainer; we end when it does
    order = json.loads(sys.argv[1])

    import wandb

    settings = wandb.Settings(console="off", silent=True, init_timeout=30, x_disable_stats=True)
    run = wandb.init(settings=settings, **order["init"])
    folder, sent = Path(order["folder"]), order["from_step"]
    ended = False
    while not ended:
        ended = bool(select([sys.stdin], [], [], SECONDS_BETWEEN_READS)[0])
        sent = _send(run, folder, sent)
    run.finish()


def _send(run: Any, folder: Path, sent: int) -> int:
    """Send lines after step `sent`; returns the last step sent."""
    timing = {line["step"]: line for line in read_metrics(folder / TIMING)}
    for line in read_metrics(folder / METRICS):
        step = line["step"]
        if step > sent or (step == sent == 0):
            speed = {f"timing/{k}": v for k, v in timing.get(step, {}).items() if k != "step"}
            values = {name: value for name, value in line.items() if name != "step"}
            run.log(values | speed, step=step)
            sent = max(step, 1) if step == 0 else step
    return sent


if __name__ == "__main__":
    main()
