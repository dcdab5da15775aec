"""Seeded damages to each kind of file that the store writes: healed, or named, no wrong number.

Two finished trainings and a half-finished one; one file is damaged; then everything is asked for
again, ranked and tabulated, as the jobs of a workflow do it.
"""

import csv
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.errors import Interrupted, ResweepError
from resweep.jobs.options import JobOptions
from resweep.jobs.train_trial import train_trial
from resweep.paths import Layout
from resweep.ranking.scores import rank_trials
from resweep.ranking.trial_result import read_result
from resweep.report.tables import update_metrics, write_runs_table
from resweep.store import lock as lock_module
from resweep.store.outcome import OutcomeReader
from resweep.study.metric import PhaseScore
from resweep.trials.trial import Trial, write_trial
from tests.support.tiny import BASE, LANGUAGE

DAMAGES = 60
HALF = 8  # step at which the last trial is interrupted
RATES = {"a": 1e-2, "b": 3e-3, "half": 1e-3}
SCORE = PhaseScore(
    metric="val/loss",
    goal="minimize",
    early_metric="train/loss",
    early_goal="minimize",
    early_steps=12,
)
# What may differ between equal trainings.
TIMES = ("timestamp", "seconds", "gpu_seconds")


def trial_of(name: str, text: Path) -> Trial:
    flat: dict[str, Any] = BASE | {
        "training.save_steps": 4,
        "data.source": "text",
        "data.paths": [str(text)],
        "data.documents": "blank_line",
    }
    assigned = {"training.learning_rate": RATES[name]}
    full, problems = compose.validate(Composed(nest(flat | assigned), {}), "?", LANGUAGE)
    assert not problems
    return Trial("s", "p", name, config=full, assignments=assigned)


def advance_all(root: Path, text: Path, until: int | None = None) -> None:
    """Train each trial as its job does; the last one only to a step, if one is given."""
    layout = Layout(root)
    for name in RATES:
        trial = trial_of(name, text)
        lines: list[Path] = []

        def interrupted(name: str = name, lines: list[Path] = lines) -> bool:
            files = [folder / "metrics.jsonl" for folder in lines]
            here = name == "half" and until is not None
            return here and any(f.exists() and f'"step": {until}' in f.read_text() for f in files)

        options = JobOptions(results=root, device="cpu", keep="best")
        file = layout.trial("s", "p", name)
        if not file.exists():
            write_trial(file, trial)
        try:
            train_trial(
                trial,
                layout.record("s", "p", name),
                options,
                interrupted=interrupted,
                on_run=lines.append,
            )
        except Interrupted:
            assert until is not None


def conclude(root: Path) -> dict[str, Any]:
    """Rank and tabulate; returns all numbers that a user gets, and the files that have them."""
    layout = Layout(root)
    outcomes = OutcomeReader(layout).read_all(layout.record("s", "p", n) for n in RATES)
    results = [read_result(outcome, SCORE, layout) for outcome in outcomes]
    ranked = rank_trials(results, SCORE)
    with write_runs_table(layout).open(newline="") as file:
        rows = [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]
    runs = [layout.run(str(result.record.run_id)) for result in results]
    return {
        "ranking": [replace(row, run_id=None) for row in ranked],
        "table": sorted(map(str, rows)),
        "metrics": [(run / "metrics.jsonl").read_bytes() for run in runs],
        "records": [(r.record.metrics, r.record.weights, r.record.step) for r in results],
    }


Kind = Callable[[bytes, int, int, random.Random], bytes]
KINDS: dict[str, Kind] = {
    "noise": lambda b, i, n, r: b[:i] + r.randbytes(len(b[i : i + n])) + b[i + n :],
    "digits": lambda b, i, n, r: re.sub(
        rb"\d", lambda _: b"%d" % r.randrange(10), b[i:], count=n
    ).join([b[:i], b""]),
    "zeros": lambda b, i, n, r: b[:i] + bytes(len(b[i : i + n])) + b[i + n :],
    "cut out": lambda b, i, n, r: b[:i] + b[i + n :],
    "twice": lambda b, i, n, r: b[: i + n] + b[i : i + n] + b[i + n :],
    "cut off": lambda b, i, n, r: b[:i],
    "longer": lambda b, i, n, r: b + r.randbytes(n),
    "empty": lambda b, i, n, r: b"",
}


def kinds_of_files(root: Path) -> dict[str, list[Path]]:
    """All files of the store by kind: their place without numbers, ids and names of trials."""
    found: dict[str, list[Path]] = {}
    for folder in ("runs", "data", "weights", "s"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not path.is_symlink():
                place = re.sub(r"[0-9a-f]{12}|\d+", "N", str(path.relative_to(root)))
                found.setdefault(place, []).append(path.relative_to(root))
    return found


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(f"Sentence {n} is about the number {n * n}." for n in range(200)))
    return path


@pytest.fixture(scope="module")
def half(text, tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("half") / "results"
    advance_all(root, text, until=HALF)
    for run in sorted((root / "runs").iterdir()):
        update_metrics(run.name, {"curvature": 31.5}, Layout(root))
    return root


@pytest.fixture(scope="module")
def expected(half, text) -> dict[str, Any]:
    root = half.with_name("whole")
    shutil.copytree(half, root, symlinks=True)
    advance_all(root, text)
    return conclude(root)


@pytest.mark.parametrize("seed", range(DAMAGES))
def test_a_damage_is_healed_or_named(seed, half, expected, text, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(lock_module, "STALE_SECONDS", 0.2)
    chance = random.Random(seed)
    files = kinds_of_files(half)
    place = sorted(files)[seed % len(files)]
    file = chance.choice(files[place])
    kind = chance.choice(sorted(KINDS))
    root = tmp_path / "results"
    shutil.copytree(half, root, symlinks=True)
    content = (root / file).read_bytes()
    offset = chance.randrange(max(1, len(content)))
    length = chance.choice([1, 3, 40, 4000])
    (root / file).write_bytes(KINDS[kind](content, offset, length, chance))
    told = None
    for _ in range(2):  # what is set aside by the first call is made again by the second
        try:
            advance_all(root, text)
            got = conclude(root)
        except (ResweepError, OSError) as error:
            told = str(error)
            assert len(told.splitlines()) == 1, told
            assert str(root / file) in told, (told, file, kind)
            continue
        different = [name for name, value in expected.items() if got[name] != value]
        # A table may lack the values of a damaged file, if it says so.
        said = different == ["table"] and str(root / file) in caplog.text
        assert not different or said, (different, str(file), kind, offset, length)
        return
