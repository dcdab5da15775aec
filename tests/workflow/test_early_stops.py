"""A study whose trials monitors stop: swept, ranked, kept, made from files, and continued."""

import csv
import json
from pathlib import Path

from tests.conftest import Checkout, tiny_study
from tests.workflow.search_files import audited

MONITORS = {
    "early_stopping.loss_relative_flat_tolerance": 0.9,  # all is flat: as early as may be
    "early_stopping.loss_min_steps_before_check": 0,
}


def scores(checkout: Checkout, study: str) -> list[dict[str, str]]:
    with (checkout.path / f"results/{study}/sweep/scores.csv").open() as file:
        return list(csv.DictReader(file))


def run_folder(checkout: Checkout) -> Path:
    (folder,) = (checkout.path / "results/runs").iterdir()
    return folder


def steps_trained(checkout: Checkout) -> int:
    state = json.loads((run_folder(checkout) / "record.json").read_text())
    return sum(part["to_step"] - part["from_step"] for part in state["segments"])


def test_monitors_stop_trials_of_one_run_which_later_goes_on(checkout: Checkout) -> None:
    sweep = [{"name": "sweep", "kind": "sweep", "sweep": "rates"}]
    # With these checkpoints the weights of every stop are there, whoever was trained first.
    base = tiny_study("tiny")["set"] | {"training.save_steps": 5}
    checkout.write_sweep(**{"early_stopping.loss_patience": [2, 3]})
    checkout.write_study(set=base | MONITORS, phases=sweep, keep="all")
    checkout.snakemake()

    rows = scores(checkout, "tiny")
    assert [(row["status"], row["rule"], row["rank"]) for row in rows] == [
        ("stopped", "loss-flat", "1"),
        ("stopped", "loss-flat", "2"),
    ]
    assert {row["early_stopping.loss_patience"]: row["step"] for row in rows} == {
        "2": "10",
        "3": "15",
    }
    assert all("train/loss" in row["stop_reason"] for row in rows)
    assert steps_trained(checkout) == 15, "one run, no step twice"
    for row in rows:
        model = checkout.path / "results/tiny/sweep/models" / row["trial"]
        assert model.resolve() == run_folder(checkout) / f"checkpoint_{row['step']}"
    assert "2 stopped early" in (checkout.path / "results/tiny/report.html").read_text()

    # Another study, without monitors: the same run, to its end.
    checkout.write_sweep("whole", learning_rate=[6e-3])
    whole = [{"name": "sweep", "kind": "sweep", "sweep": "whole"}]
    checkout.write_study("plain", set=base, phases=whole)
    checkout.snakemake("results/plain/sweep/scores.csv")
    (row,) = scores(checkout, "plain")
    assert (row["status"], row["rule"], row["step"]) == ("finished", "", "20")
    assert steps_trained(checkout) == 20

    # A later check: where it would have stopped is in the file.
    later = {**MONITORS, "early_stopping.loss_min_steps_before_check": 15}
    checkout.write_study(set=base | later, phases=sweep)
    counted = audited(checkout, "tiny")["sweep"]
    assert (counted["trials"], counted["in store"], counted["to train"]) == (2, 2, 0)
    checkout.snakemake("results/tiny/sweep/scores.csv")
    assert [row["step"] for row in scores(checkout, "tiny")] == ["15", "15"]
    assert steps_trained(checkout) == 20
