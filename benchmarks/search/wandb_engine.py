"""W&B's sweep engine behind a pipe: run by the Python of .venv-oracle (`make oracle`).

    in:  {"sweep": {...}, "seed": 1}                the first line
    in:  {"finished": [[point, value], ...]}        what ended since the last line
    out: {"point": {...}}                           the next one

Imports nothing of this project: the engine (PyPI `sweeps`) needs NumPy below 2.
"""

import json
import random
import sys
import warnings

import numpy as np

warnings.filterwarnings("ignore")  # of pydantic, when the engine is imported

from sweeps import RunState, SweepRun, next_run  # noqa: E402


def main() -> None:
    """Answer until the input ends."""
    start = json.loads(sys.stdin.readline())
    np.random.seed(start["seed"])
    random.seed(start["seed"])
    name = start["sweep"]["metric"]["name"]
    runs = []
    for line in sys.stdin:
        for point, value in json.loads(line)["finished"]:
            config = {key: {"value": inner} for key, inner in point.items()}
            metrics = {name: value}
            runs.append(
                SweepRun(
                    config=config,
                    state=RunState.finished,
                    summary_metrics=metrics,
                    history=[metrics],
                )
            )
        chosen = next_run(start["sweep"], runs)
        point = {key: inner["value"] for key, inner in chosen.config.items()}
        point = {k: v.item() if hasattr(v, "item") else v for k, v in point.items()}
        print(json.dumps({"point": point}), flush=True)


if __name__ == "__main__":
    main()
