"""Searches by the real workflow: built by one call, as planned, and replayed from their files."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from tests.conftest import Checkout
from tests.support.rankings import read_frame
from tests.workflow.search_files import (
    audited,
    proposals,
    read_json,
    records,
    rung_decisions,
    states,
    statuses,
    steps_trained,
)
from tests.workflow.test_rebuild import jobs, planned, trained_by

pytestmark = pytest.mark.xdist_group("search")  # they share what they build

METRIC = {"name": "val/loss", "goal": "minimize"}
FRACTIONS = [0.1, 0.2]
RATES = {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1}
PHASES = ("grid", "sobol", "bayes", "warm", "rerun")
SEARCH = "results/tiny/search"


def bayes(parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"method": "bayes", "metric": METRIC, "seed": 1, "parameters": parameters} | more


@dataclass(frozen=True)
class Built:
    """A study that was built by one call, and what was known before."""

    checkout: Checkout
    audit: dict[str, dict[str, int]]
    plan: dict[str, int]
    output: str


def build(checkout: Checkout, study: str) -> Built:
    audit, plan = audited(checkout, study), jobs(checkout.snakemake("--dry-run").stdout)
    return Built(checkout, audit, plan, checkout.snakemake().stdout)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Two rounds of four with a rung; half of the space cannot be trained; data is swept too."""
    checkout = Checkout.new(tmp_path_factory.mktemp("search") / "checkout")
    space = {
        "learning_rate": RATES,
        "model.n_head": {"values": [2, 3]},  # n_embd is 16
        "data.val_fraction": {"values": FRACTIONS},
    }
    rule = {"type": "hyperband", "min_iter": 1, "eta": 5}
    checkout.write("config/sweep/search.yaml", bayes(space, run_cap=8, early_terminate=rule))
    phase = {"name": "search", "kind": "sweep", "sweep": "search", "round_size": 4}
    checkout.write_study(phases=[phase])
    return build(checkout, "tiny")


def test_steps_and_jobs_are_those_planned_and_no_step_is_trained_twice(searched: Built) -> None:
    assert steps_trained(searched.checkout) == searched.audit["search"]["steps"] == 8 * 10 + 2 * 10
    assert jobs(searched.output) == searched.plan
    assert searched.plan["train_search_r02_b1"] == searched.plan["train_search_r02_b2"] == 1
    done = audited(searched.checkout, "tiny")["search"]
    assert done["steps"] == done["open"] == done["to train"] == 0
    assert done["in store"] == done["trials"] == 8


def test_a_second_call_has_nothing_to_do(searched: Built) -> None:
    assert planned(searched.checkout) == {}


@pytest.mark.parametrize("name", ["r01", "r02"])
def test_decisions_hold_what_the_records_hold(name: str, searched: Built) -> None:
    checkout = searched.checkout
    rows = rung_decisions(checkout, "tiny", "search", f"{name}_b1")
    at_rung = records(checkout, "tiny", "search", f"{name}/b1")
    got = records(checkout, "tiny", "search")
    assert {row["trial"] for row in rows} == at_rung.keys() and len(rows) == 4
    values = [row["value"] for row in rows]
    assert values == sorted(values)
    for row in rows:
        record, end = at_rung[row["trial"]], got[row["trial"]]
        assert row["run_id"] == record["run_id"] == end["run_id"]
        assert row["value"] == record["metrics"]["val/loss"]
        assert (row["step"], row["threshold"], row["compared"]) == (10, values[0], 4)
        assert "eta 5" in row["rule"]
        kept = row["value"] <= row["threshold"]
        assert row["decision"] == ("promote" if kept else "stop")
        assert (end["status"], end["step"]) == (("finished", 20) if kept else ("stopped", 10))
        assert kept or all(row[key] in end["stop_reason"] for key in ("rule", "reason"))
    whole = (checkout.path / SEARCH / "decisions.csv").read_text()
    assert all(f"{row['trial']},{row['run_id']},10,{row['decision']}," in whole for row in rows)


def test_what_cannot_be_trained_is_passed_over_and_counted(searched: Built) -> None:
    folder = searched.checkout.path / SEARCH
    rounds = [read_json(folder / f"rounds/r0{number}.json") for number in (1, 2)]
    assert [told["sampler"] for told in rounds] == ["sobol", "gp"]
    assert all(told["infeasible"] > 0 and len(told["points"]) == 4 for told in rounds)
    assert len(rounds[1]["observations"]) == 4
    for told in rounds:
        assert {point["model.n_head"] for point in told["points"]} == {2}
        log = searched.checkout.path / f"logs/tiny/search/suggest/r0{told['round']}.log"
        assert f"{told['infeasible']} infeasible" in log.read_text()
    assert statuses(searched.checkout, "tiny", "search") == ["finished"] * 2 + ["stopped"] * 6


def test_data_that_is_swept_is_prepared_once_each(searched: Built) -> None:
    folder = searched.checkout.path / "results/data"
    stores = {
        read_json(path)["settings"]["val_fraction"]: path.stat().st_mtime
        for path in folder.glob("*/data.json")
    }
    assert sorted(stores) == FRACTIONS and len(list(folder.glob("*/"))) == len(FRACTIONS)
    # All stores are older than the first training: they were prepared before, and never again.
    begun = min(
        path.stat().st_mtime for path in searched.checkout.path.glob("results/runs/*/config.yaml")
    )
    assert max(stores.values()) < begun
    configs = map(yaml12.load, searched.checkout.path.glob("results/runs/*/config.yaml"))
    assert {config["data"]["val_fraction"] for config in configs} == set(FRACTIONS)


@pytest.mark.long
def test_a_lost_run_is_trained_again_and_what_follows_proposed_again(
    searched: Built, tmp_path: Path
) -> None:
    """All that follows is stale: only the lost run is trained, and the next round is the same."""
    again = searched.checkout.copy(tmp_path / "checkout")
    stopped = rung_decisions(again, "tiny", "search", "r01_b1")[-1]
    run = again.path / "results/runs" / stopped["run_id"]
    before = (run / "metrics.jsonl").read_bytes()
    shutil.rmtree(run)
    shutil.rmtree(again.path / SEARCH / "rounds")
    cost = audited(again, "tiny")["search"]  # what follows from the lost run may be others
    assert cost["steps"] >= 10 and cost["open"] > 0
    assert trained_by(again) == {stopped["run_id"]}
    assert (run / "metrics.jsonl").read_bytes() == before
    expected = proposals(searched.checkout, "tiny", "search")
    del expected["rounds/r01.json"]  # nothing that it was proposed from has changed
    assert proposals(again, "tiny", "search") == expected
    assert "points by gp" in (again.path / "logs/tiny/search/suggest/r02.log").read_text()


# Other sweeps


@pytest.fixture(scope="module")
def varied(searched: Built) -> Built:
    """Phases that share their runs: one rate diverges, three heads do not divide the width.

    The last sweep starts from all that there is, and has reached its target at once.
    """
    checkout = searched.checkout
    listed = {"learning_rate": {"values": [1e-3, 1e-2, 1e12]}, "n_head": {"values": [2, 3]}}
    grid = {"method": "grid", "metric": METRIC, "parameters": listed}
    checkout.write("config/sweep/grid.yaml", grid)
    sobol = grid | {"method": "random", "sampler": "sobol", "run_cap": 4, "seed": 1}
    checkout.write("config/sweep/sobol.yaml", sobol)
    checkout.write("config/sweep/bayes.yaml", bayes(listed, run_cap=4, sampler="tpe"))
    space = {"learning_rate": RATES, "n_head": {"values": [2, 3]}}
    reached = bayes(space, run_cap=2, sampler="tpe", metric=METRIC | {"target": 100.0})
    checkout.write("config/sweep/warm.yaml", reached)
    (checkout.path / "export.csv").write_text(
        '"ID","Name","State","learning_rate","n_head","val/loss"\n'
        '"a1","calm-sun-1","finished","0.02","2","2.5"\n'
        '"b2","dry-sea-2","crashed","0.01","2","4.5"\n'
        '"c3","far-sky-3","finished","0.5","2","5.5"\n'
    )
    cut = {"type": "one_cut", "min_iter": 1, "keep": 1}
    sources = ["bayes", "tiny/search", "export.csv"]
    phases = [
        {"name": "grid", "sweep": "grid", "early_terminate": cut},
        {"name": "sobol", "sweep": "sobol", "early_terminate": cut},
        {"name": "bayes", "sweep": "bayes", "round_size": 2},
        {"name": "warm", "sweep": "warm", "round_size": 1, "warm_start": sources},
    ]
    rerun = {"name": "rerun", "kind": "rerun", "of": "warm", "top": 2}
    checkout.write_study("varied", phases=[{"kind": "sweep"} | phase for phase in phases] + [rerun])
    return build(checkout, "varied")


def scores(built: Built, phase: str) -> list[dict[str, Any]]:
    path = built.checkout.path / "results/varied" / phase / "scores.csv"
    return list(read_frame(path).to_dict("records"))


@pytest.mark.long
def test_points_that_do_not_fit_are_counted_and_reported(varied: Built) -> None:
    assert [varied.audit[phase]["infeasible"] for phase in ("grid", "sobol")] == [3, 2]
    for phase, count in (("grid", 3), ("sobol", 2)):
        lost = [row for row in scores(varied, phase) if row["status"] == "infeasible"]
        assert len(lost) == count and {row["model.n_head"] for row in lost} == {3}
        assert all("n_head = 3" in row["stop_reason"] for row in lost)
        assert scores(varied, phase)[0]["rank"] == 1
    report = (varied.checkout.path / "results/varied/report.html").read_text()
    assert "n_head = 3" in report


def test_one_cut_compares_what_can_be_trained_and_finishes_the_best(varied: Built) -> None:
    best, second, spike = scores(varied, "grid")[:3]
    assert [row["status"] for row in (best, second, spike)] == ["finished", "stopped", "diverged"]
    assert [row["step"] for row in (best, second)] == [20, 10] and spike["step"] < 10
    rows = {row["trial"]: row for row in rung_decisions(varied.checkout, "varied", "grid", "b1")}
    outcomes = [rows[row["trial"]]["decision"] for row in scores(varied, "grid")]
    assert outcomes == ["promote", "stop", *["lost"] * 4]
    assert {row["compared"] for row in rows.values()} == {3}
    assert rows[best["trial"]]["rule"] == "one_cut rung 1: 1 value, keep 1"


def test_of_equal_trials_the_one_that_went_on_is_the_best(varied: Built) -> None:
    """Sobol draws one point twice: the same run, of which the rung lets one trial go on."""
    first, twin = scores(varied, "sobol")[:2]
    assert twin["trial"] == f"{first['trial']}-2" and twin["run_id"] == first["run_id"]
    assert (first["status"], twin["status"]) == ("finished", "stopped")
    models = varied.checkout.path / "results/varied/sobol/models"
    assert [link.name for link in models.glob("[!.]*")] == [first["trial"]]


def test_a_diverged_trial_is_learned_from_and_the_search_goes_on(varied: Built) -> None:
    folder = varied.checkout.path / "results/varied/bayes"
    told = read_json(folder / "rounds/r02.json")
    assert [seen["status"] for seen in told["observations"]] == ["finished", "diverged"]
    assert told["infeasible"] > 0
    got = records(varied.checkout, "varied", "bayes")
    assert [record["status"] for record in got.values()] == [
        *("finished", "diverged", "finished", "empty"),
    ]
    assert "no further point" in got["r02-02"]["stop_reason"]


def test_phases_share_their_runs(varied: Built) -> None:
    """What bayes asks for is in the grid too.

    Which of them comes first is not said: if the grid's rung has let the weights go by then, the
    run begins anew.
    """
    begun = {phase: {row["run_id"] for row in scores(varied, phase)} for phase in PHASES}
    listed = {run for run in begun["grid"] if isinstance(run, str)}
    assert len(listed) == 3
    assert listed == {run for run in begun["bayes"] if isinstance(run, str)}
    assert begun["rerun"] == begun["warm"], "the same seed: the rerun of the best is the best"
    ends = {run: states(varied.checkout)[run]["segments"][-1]["to_step"] for run in listed}
    assert sorted(ends.values())[1:] == [20, 20]


def test_a_warm_start_reads_phases_of_other_studies_and_exports(varied: Built) -> None:
    folder = varied.checkout.path / "results/varied/warm"
    told = read_json(folder / "rounds/r01.json")
    seen: dict[str, set[tuple[float, float]]] = {}
    for observed in told["observations"]:
        pair = observed["point"]["training.learning_rate"], observed["value"]
        seen.setdefault(observed["status"], set()).add(pair)
    own = [(row["training.learning_rate"], row["final"]) for row in scores(varied, "bayes")]
    ends = [
        (row["training.learning_rate"], row["final"])
        for row in read_frame(varied.checkout.path / SEARCH / "scores.csv").to_dict("records")
        if row["status"] == "finished"
    ]
    # Without what crashed or lies outside of this space.
    assert seen["finished"] == {*own[:2], *ends, (0.02, 2.5)}
    # What a rung stopped enters with an estimate of its end.
    table = read_frame(varied.checkout.path / SEARCH / "scores.csv").to_dict("records")
    rates = {row["training.learning_rate"] for row in table if row["status"] == "stopped"}
    assert {rate for rate, _ in seen["stopped"]} == rates
    assert told["sampler"] == "tpe"


def test_once_the_target_is_reached_slots_are_empty_and_say_so(varied: Built) -> None:
    got = records(varied.checkout, "varied", "warm")
    assert [record["status"] for record in got.values()] == ["finished", "empty"]
    reason = "the target val/loss = 100 was reached by r01-01"
    assert got["r02-01"]["stop_reason"].startswith(reason)
    assert [row["rank"] for row in scores(varied, "warm")] == [1, 2]
    # A rerun of two has one to rerun.
    assert statuses(varied.checkout, "varied", "rerun") == ["empty", "finished"]
    report = (varied.checkout.path / "results/varied/report.html").read_text()
    assert reason in report
