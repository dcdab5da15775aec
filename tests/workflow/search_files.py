"""What a search leaves on file, read for tests: its trials, decisions and runs."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from resweep.trials.decisions import read_decisions, typed
from tests.conftest import Checkout


def proposals(checkout: Checkout, study: str, phase: str) -> dict[str, bytes]:
    """Return the trial files and decisions of all rounds and rungs, by their paths."""
    folder = checkout.path / "results" / study / phase
    files = [*folder.glob("trials/**/*.yaml"), *folder.glob("decisions/*.csv")]
    files += [folder / "decisions.csv", *folder.glob("rounds/*.json")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(files)}


def records(checkout: Checkout, study: str, phase: str, place: str = "") -> dict[str, Any]:
    """Return the records of a phase, or of one of its rungs, by trial or slot."""
    folder = checkout.path / "results" / study / phase / "records" / place
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def statuses(checkout: Checkout, study: str, phase: str) -> list[str]:
    """Return the statuses of a phase's records, sorted."""
    return sorted(str(record["status"]) for record in records(checkout, study, phase).values())


def rung_decisions(checkout: Checkout, study: str, phase: str, rung: str) -> list[dict[str, Any]]:
    """Return what was decided at a rung, as it was before it was written."""
    path = checkout.path / "results" / study / phase / "decisions" / f"{rung}.csv"
    return [typed(row) for row in read_decisions([path])]


def states(checkout: Checkout) -> dict[str, dict[str, Any]]:
    """Return the state of every run of the store."""
    paths = checkout.path.glob("results/runs/*/record.json")
    return {path.parent.name: json.loads(path.read_text()) for path in sorted(paths)}


def metrics(checkout: Checkout) -> dict[str, bytes]:
    """Return what every run of the store logged of what is determined."""
    paths = checkout.path.glob("results/runs/*/metrics.jsonl")
    return {path.parent.name: path.read_bytes() for path in sorted(paths)}


def steps_trained(checkout: Checkout) -> int:
    """Return the steps of all trainings; fails where one began before the end of the last."""
    total = 0
    for run, state in states(checkout).items():
        segments = state["segments"]
        assert segments[0]["from_step"] == 0, run
        for before, after in pairwise(segments):
            assert after["from_step"] == before["to_step"], f"{run}: {segments}"
        total += sum(segment["to_step"] - segment["from_step"] for segment in segments)
    return total


def audited(checkout: Checkout, study: str) -> dict[str, dict[str, int]]:
    """Return the counts of `audit.py --json` by phase and title."""
    output = checkout.run("python", "workflow/scripts/audit.py", study, "--json").stdout
    titles = ["trials", "in_store", "started", "to_train", "infeasible", "open"]
    (line,) = (line for line in output.splitlines() if line.startswith("{"))
    return {
        name: {title.replace("_", " "): counts[title] for title in titles}
        | {"steps": counts["most"]["steps"], "tokens": counts["most"]["units"]}
        for name, counts in json.loads(line)["phases"].items()
    }


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file."""
    return dict(json.loads(path.read_text()))
