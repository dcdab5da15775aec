"""The script that says how sure rankings are, on a study of the store."""

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.support.study import RATE, SEED, Made, make_study

SWEEP = [Made(f"s{n}", {RATE: (n + 1) / 1000}, 2 + n / 10) for n in range(4)]
RERUN = [
    Made(f"{n}{seed}", {RATE: (n + 1) / 1000, SEED: seed}, 2.2 + n / 10 + seed / 100)
    for n in range(2)
    for seed in (1, 2)
]


def analyze(results: Path, *arguments: str, code: int = 0) -> str:
    script = [sys.executable, str(ROOT / "workflow/scripts/analyze_ranks.py"), "made"]
    done = subprocess.run(
        [*script, "--results", str(results), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_each_phase_has_its_tables(tmp_path: Path) -> None:
    layout = make_study(tmp_path, sweep=SWEEP, rerun=RERUN)
    found = json.loads(analyze(layout.root, "--format", "json", "--top", "2"))
    assert found["sweep"]["ranks"] is None and found["sweep"]["early"]["trials"] == 4
    assert [one["trial"] for one in found["rerun"]["ranks"]] == ["01", "11"]
    assert found["rerun"]["ranks"][0]["best"] > 0.9
    text = analyze(layout.root)
    assert text.startswith("sweep (val/loss, minimize)") and "no configuration has several" in text


def test_a_phase_that_is_not_there_is_named(tmp_path: Path) -> None:
    layout = make_study(tmp_path, sweep=SWEEP, rerun=RERUN)
    line = analyze(layout.root, "--phase", "swep", code=1)
    assert "--phase: swep: is not a ranked phase" in line and "sweep, rerun" in line
