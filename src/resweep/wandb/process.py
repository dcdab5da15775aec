"""Child processes for everything that uses wandb, to isolate its failures.

    parent: start(module, order, log)
    child:  run_child(main), in the module's `__main__`

Only the child imports wandb. Its output, including stack traces, goes to the log, whose last line
summarizes a failure. Processes that wandb starts end with the child.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Timer
from typing import Any

from resweep.machine.signals import ignore_signals

SECONDS_TO_CONNECT = 20.0
# Silent, and nothing about this machine or what runs on it, as docs/tracking.md says.
SETTINGS = {
    "console": "off",
    "silent": True,
    "init_timeout": SECONDS_TO_CONNECT,
    "x_disable_stats": True,
    "x_disable_meta": True,  # arguments, program, Python, root, system
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    "host": "",
    "program": "resweep",  # else the path of what runs
    "disable_git": True,
    "disable_code": True,
    "save_code": False,
    "disable_job_creation": True,
}
AGENT_VARIABLES = ("WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH")


def start(
    module: str, order: Mapping[str, Any], output: Path, stdin: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a module as a child that reads its order from the command line.

    Its standard input closes when this process ends, and wandb cannot prompt for a key.

    Args:
        module: Ends with `run_child(main)`.
        order: Argument of `main`; no secrets, since command lines are public.
        output: The log; appended to.
        stdin: Handle of its standard input, instead of a pipe that nothing is written to. Such a
            child outlives this process, even if all of its group are killed, as long as it needs.

    Raises:
        OSError: The log cannot be opened, or the process cannot be started.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(order)],
            stdin=subprocess.PIPE if stdin is None else stdin,
            stdout=log,
            stderr=log,
            start_new_session=stdin is not None,
        )


def last_line(output: Path, start: int = 0) -> str:
    """Return the last line of a log that is not blank.

    Args:
        output: The log.
        start: Size that it had before what is of interest.
    """
    content = output.read_bytes()[start:] if output.exists() else b""
    lines = content.decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


def run_child(main: Callable[[dict[str, Any]], None]) -> None:
    """Run `main` with the order from the command line; failures end with one line and exit code 1.

    Signals that ask a job to exit are ignored: the parent decides when the child exits.
    """
    ignore_signals()
    try:
        main(json.loads(sys.argv[1]))
    except Exception as error:
        traceback.print_exc()
        print(line_about(error), file=sys.stderr, flush=True)
        sys.exit(1)


def line_about(error: Exception) -> str:
    """Return one line about an error."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def init(agent: bool = False, **arguments: Any) -> Any:
    """Call `wandb.init` silently and with a timeout; returns the W&B run.

    Args:
        agent: Whether this is the run that a sweep agent opened and named in the environment. Other
            runs must not take their ids from there, as W&B would do.
        arguments: Of `wandb.init`.
    """
    if not agent:
        for name in AGENT_VARIABLES:
            os.environ.pop(name, None)
    os.environ["WANDB_ERROR_REPORTING"] = "false"  # crash reports have paths, and leave offline too
    import wandb

    return wandb.init(settings=wandb.Settings(**SETTINGS), **arguments)


def leave_after(seconds: float) -> None:
    """Exit this child after `seconds`, whatever wandb waits for: its parent may be dead."""

    def exit_now() -> None:
        print(f"did not finish within {seconds:.0f} s", file=sys.stderr, flush=True)
        os._exit(1)

    timer = Timer(seconds, exit_now)
    timer.daemon = True
    timer.start()
