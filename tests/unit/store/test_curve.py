"""Long curves: a copy with thousands of lines after it is restored in a moment."""

import hashlib
import json
from pathlib import Path

from resweep.json_files import write_json
from resweep.paths import METRICS, RunFolder
from resweep.store.checkpoints import DIGESTS, WEIGHTS, folder_name
from resweep.store.curve import read_curve
from resweep.training.metrics import Intervals, parse

LINES = 8000
SAVED = 2000
INTERVALS = Intervals(log=1, evaluation=100, horizon=LINES)


def test_lines_after_a_copy_stay(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "0123456789ab")
    lines = [json.dumps({"step": step, "lr": 0.1}).encode() + b"\n" for step in range(LINES + 1)]
    place = run.path / folder_name(SAVED)
    place.mkdir(parents=True)
    (place / WEIGHTS).write_bytes(b"numbers")
    (place / METRICS).write_bytes(parse(b"".join(lines)).content_up_to(SAVED))
    names = (WEIGHTS, METRICS)
    digests = {name: hashlib.sha256((place / name).read_bytes()).hexdigest() for name in names}
    write_json(place / DIGESTS, digests)
    run.metrics.write_bytes(b"".join([b"garbage\n", *lines[1:]]))
    read = read_curve(run, LINES, INTERVALS)
    assert [line["step"] for line in read] == list(range(LINES + 1))
