"""A search of 32 trials: replayed bit for bit, and killed at random moments until it is done."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Checkout, tiny_study
from tests.workflow.search_files import (
    audited,
    metrics,
    proposals,
    records,
    states,
    statuses,
    steps_trained,
)
from tests.workflow.test_rebuild import planned

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.xdist_group("search-long"),  # they share the search that nothing disturbed
]

PHASE = "results/tiny/search"
KILLS = 10


def new_search(path: Path) -> Checkout:
    """Four rounds of eight, of which three and then two go on: 8 * 10 + 3 * 20 + 2 * 30 steps."""
    checkout = Checkout.new(path)
    sweep = {
        "method": "bayes",
        "metric": {"name": "val/loss", "goal": "minimize"},
        "seed": 1,
        "run_cap": 32,
        "parameters": {
            "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1},
            "beta2": {"distribution": "uniform", "min": 0.9, "max": 0.999},
            "n_head": {"values": [1, 2, 3]},
        },
        "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 3},
    }
    checkout.write("config/sweep/search.yaml", sweep)
    length = {"training.max_steps": 60, "training.log_steps": 1, "training.save_steps": 5}
    changes = tiny_study("tiny")["set"] | length
    checkout.write_study(
        set=changes, phases=[{"name": "search", "kind": "sweep", "sweep": "search"}]
    )
    return checkout


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The search, built by one call; not to be changed."""
    checkout = new_search(tmp_path_factory.mktemp("search") / "checkout")
    steps = audited(checkout, "tiny")["search"]["steps"]
    checkout.snakemake("--cores", "2")
    assert steps_trained(checkout) == steps == 4 * (8 * 10 + 3 * 20 + 2 * 30)
    return checkout


def determined(checkout: Checkout) -> dict[str, Any]:
    """What a search comes to, without what its trainings cost in seconds, and digests of that."""
    costs = ("seconds", "gpu_seconds", "checksum")
    return {
        "proposals": proposals(checkout, "tiny", "search"),
        "scores": (checkout.path / PHASE / "scores.csv").read_bytes(),
        "metrics": metrics(checkout),
        "records": {
            trial: {name: value for name, value in record.items() if name not in costs}
            for trial, record in records(checkout, "tiny", "search").items()
        },
    }


def test_it_replays_bit_for_bit_from_its_runs(undisturbed: Checkout, tmp_path: Path) -> None:
    """Trials, records, rounds and decisions are gone; the run store is there."""
    again = undisturbed.copy(tmp_path / "checkout")
    shutil.rmtree(again.path / PHASE)
    again.snakemake("--cores", "2")
    assert determined(again) == determined(undisturbed)
    assert states(again) == states(undisturbed)
    assert statuses(again, "tiny", "search") == ["finished"] * 8 + ["stopped"] * 24


class Call:
    """The documented call, in a process group of its own."""

    def __init__(self, checkout: Checkout, number: int):
        self.checkout = checkout
        self.output = checkout.path / f"call_{number}.txt"
        self.before = self.trained()
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                ["snakemake", "--cores", "2"],
                cwd=checkout.path,
                env=checkout.env,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def trained(self) -> int:
        """Lines of metrics in the store."""
        return sum(content.count(b"\n") for content in metrics(self.checkout).values())

    def said(self) -> int:
        """Lines of output."""
        return self.output.read_text().count("\n")

    def kill_at(self, *, lines: int = 0, metric_lines: int = 0) -> bool:
        """Kill the whole group once it has said or trained so much; False if it ended before."""
        while self.said() < lines or self.trained() - self.before < metric_lines:
            if self.process.poll() is not None:
                return False
            time.sleep(0.005)
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return True


def test_killed_at_random_moments_it_comes_to_the_same(
    undisturbed: Checkout, tmp_path: Path
) -> None:
    checkout = new_search(tmp_path / "checkout")
    chance = random.Random(0)
    saved: list[tuple[str, int, int]] = []
    for number in range(KILLS):
        call = Call(checkout, number)
        # While jobs begin and end, and in the middle of trainings.
        moment = {"metric_lines": chance.randrange(1, 90)}
        if number % 2:
            moment = {"lines": chance.randrange(20, 120)}
        assert call.kill_at(**moment), "it ended before it was killed"
        for run, state in states(checkout).items():
            saved.append((run, state["step"], len(state.get("attempts", []))))
        checkout.snakemake("--unlock")
    checkout.snakemake("--cores", "2")
    assert determined(checkout) == determined(undisturbed)
    assert planned(checkout) == {}

    ended = states(checkout)
    ends = [attempt["end"] for state in ended.values() for attempt in state["attempts"]]
    assert ends.count("killed") >= KILLS // 4
    assert set(ends) == {"completed", "killed"}
    for run, step, attempts in saved:
        later = ended[run]["attempts"][attempts:]
        assert all(attempt["from_step"] >= step for attempt in later), f"{run}: {later}"
