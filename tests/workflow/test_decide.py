"""decide.py on a sweep that was really trained: its own rule, others, and nothing is changed."""

import csv
import re
from pathlib import Path

from tests.conftest import Checkout, tiny_study

RULE = {"type": "hyperband", "min_iter": 3, "eta": 2}

NEEDED = ("study.yaml", "sweep/decisions.csv")


def rows(path: Path) -> list[list[str]]:
    """The rows without the digest of the rule, which a re-decision does not have."""
    with path.open(newline="") as file:
        return [row[:-1] for row in csv.reader(file)][1:]


def files(checkout: Checkout) -> dict[Path, tuple[int, int]]:
    """Everything below results/ and config/, with sizes and dates."""
    found = [p for name in ("results", "config") for p in (checkout.path / name).rglob("*")]
    return {path: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in found}


def decide(checkout: Checkout, *arguments: str, check: bool = True) -> str:
    return checkout.run("python", "workflow/scripts/decide.py", *arguments, check=check).stdout


def test_a_sweep_is_decided_again_from_its_curves(checkout: Checkout, tmp_path: Path) -> None:
    """First with rungs, where stopped curves end; then the same trials in full."""
    settings = tiny_study("tiny")["set"] | {"training.eval_steps": 4}  # five values
    phase = {"name": "sweep", "kind": "sweep", "sweep": "rates", "early_terminate": RULE}
    checkout.write_sweep(learning_rate=[1e-5, 1e-3, 1e-2])
    checkout.write_study(set=settings, phases=[phase])
    checkout.snakemake(*[f"results/tiny/{name}" for name in NEEDED])
    before = files(checkout)

    own, other = tmp_path / "own.csv", tmp_path / "other.csv"
    text = decide(checkout, "tiny", "sweep", "--csv", str(own))
    results = checkout.path / "results"
    recorded = [row for row in rows(results / "tiny/sweep/decisions.csv") if "rung" in row[4]]
    assert rows(own) == recorded and len(recorded) == 3
    # Three trials to step 12, two to 20.
    assert re.search(r"cost: 52 steps, 87% .*\b60\b[^:]*\b52\b", text)
    assert "unknown" not in text.splitlines()[-1]

    later = decide(checkout, "tiny", "sweep", "--min-iter", "4", "--csv", str(other))
    assert {row[3] for row in rows(other) if int(row[2]) < 16} == {"unknown"}
    assert "unknown: " in later
    assert "asynchronous at value 3" in decide(checkout, "tiny", "sweep", "--rule", "asynchronous")
    wrong = decide(checkout, "tiny", "sweep", "--metric", "test/loss", check=False)
    assert wrong.startswith("error: ") and wrong.count("\n") == 1
    assert files(checkout) == before, "nothing is written but --csv"

    del phase["early_terminate"]
    checkout.write_study("whole", set=settings, phases=[phase])
    checkout.snakemake(*[f"results/whole/{name}" for name in NEEDED])
    text = decide(checkout, "whole", "sweep", "--min-iter", "3", "--eta", "2", "--csv", str(other))
    assert rows(other) == recorded, "what the sweep with rungs decided"
    assert re.search(r"cost: 52 steps, 87% .*\b60\b[^:]*\b60\b", text)
    assert re.search(r"^ +1 .* \(3 trials\)$", text, re.M)
    # The store has the whole curves now, so that the first study is decided from them too.
    assert "unknown: " not in decide(checkout, "tiny", "sweep", "--min-iter", "4")
