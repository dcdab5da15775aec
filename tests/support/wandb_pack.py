"""A process that follows runs in the processes that it forks: python wandb_pack.py ROOT RUN...

Each child writes the lines of its run, and prints its name and process id. Those of runs whose
names begin with "waits" then wait to be killed.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from resweep.machine.launch import end_with_parent
from resweep.paths import Layout, RunFolder
from resweep.trials.trial import Trial
from resweep.wandb.follower import Follower
from tests.support.language import stop_rules

STEPS = [0, 5, 10]


def write_lines(path: Path, steps: Iterable[int]) -> None:
    """Append lines to a metric file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.writelines(json.dumps({"step": step, "x": step / 2}) + "\n" for step in steps)


def train(follower: Follower, run: RunFolder) -> None:
    """Write the lines of a run."""
    name = run.path.name
    trial = Trial("tiny", "sweep", name, config={"of": name})
    write_lines(run.metrics, STEPS[:1])
    with follower.follow(run.path, 0, run=run, trial=trial, rules=stop_rules()):
        write_lines(run.metrics, STEPS[1:])
        os.write(1, f"{name} {os.getpid()}\n".encode())  # whole, beside those of others
        if name.startswith("waits"):
            time.sleep(60)


def main(root: str, names: list[str]) -> None:
    """Fork a child for each run."""
    layout = Layout(Path(root))
    with Follower({"wandb": "offline"}, layout.study("tiny")) as follower:
        follower.start()
        children = []
        for name in names:
            assert threading.active_count() == 1
            child = os.fork()
            if child == 0:
                end_with_parent()
                train(follower, RunFolder(layout.run(name)))
                os._exit(0)
            children.append(child)
        for child in children:
            os.waitpid(child, 0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
