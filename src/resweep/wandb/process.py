"""Processes of their own for all that speaks to W&B: what happens to it stays there.

    parent: start(module, order, log)
    child:  run_child(main), in the module's `__main__`

wandb is imported in the child alone. Its output, stack traces included, goes to the log; the last
line of the log says in short what went wrong. What wandb starts ends with the child.
"""

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Timer
from typing import Any

SECONDS_TO_CONNECT = 20.0
AGENT_VARIABLES = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH")


def start(module: str, order: Mapping[str, Any], output: Path) -> subprocess.Popen[bytes]:
    """Start a module as a child that reads its order from the command line.

    Its standard input is a pipe that nothing is written to: it ends when this process does, and
    wandb cannot ask for a key there.

    Args:
        module: Ends with `run_child(main)`.
        order: What to do, for `main`; no secrets, since everyone can see command lines.
        output: The log; appended to.

    Raises:
        OSError: The log cannot be opened, or there is no process to be had.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )


def last_line(output: Path) -> str:
    """Return the last line of a log that says anything."""
    lines = output.read_text(errors="replace").split("\n") if output.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def run_child(main: Callable[[dict[str, Any]], None]) -> None:
    """Carry out the order on the command line; a failure ends with a line of its own, and code 1.

    Signals that ask a job to leave are ignored: the parent tells us when to.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    try:
        main(json.loads(sys.argv[1]))
    except Exception as error:
        traceback.print_exc()
        reason = str(error).partition("\n")[0]
        print(f"{type(error).__name__}: {reason}", file=sys.stderr, flush=True)
        sys.exit(1)


def init(agent: bool = False, **arguments: Any) -> Any:
    """Call `wandb.init`, silent and bounded in time; returns the W&B run.

    Args:
        agent: Whether the run is the one that a sweep's agent opened and named in the environment.
            Other runs must not end up there, though W&B would take their ids from it.
        arguments: Of `wandb.init`.
    """
    if not agent:
        for name in AGENT_VARIABLES:
            os.environ.pop(name, None)
    import wandb

    settings = wandb.Settings(
        console="off", silent=True, x_disable_stats=True, init_timeout=SECONDS_TO_CONNECT
    )
    return wandb.init(settings=settings, **arguments)


def leave_after(seconds: float) -> None:
    """End this child after so many seconds, whatever wandb waits for: its parent may be dead."""

    def leave() -> None:
        print(f"did not finish within {seconds:.0f} s", file=sys.stderr, flush=True)
        os._exit(1)

    timer = Timer(seconds, leave)
    timer.daemon = True
    timer.start()
