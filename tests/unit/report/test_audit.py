"""The cost of a study before it is spent: what would train, and what cannot."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from resweep.paths import Layout
from resweep.report.audit import PhaseCost, audit
from resweep.report.audit_text import audit_table, job_lines
from resweep.search.promote import promote, rung_plan_from
from resweep.search.rounds import plan_from, propose_round
from resweep.study.load import load_study
from resweep.study.study import Study
from resweep.trials.decisions import write_decisions
from resweep.trials.trial import read_outcome
from tests.support.made_grid import (
    PHASES,
    RATES,
    SIZES,
    build_made,
    load_made,
    load_written,
    train,
)
from tests.support.study import make_data, run_id

FILES = {
    "studies/heads.yaml": """
name: heads
base: {model: {n_embd: 96}, data: {source: python-docs}, training: {max_steps: 10, batch_size: 4}}
phases:
  - {name: sweep, kind: sweep, sweep: heads}
  - {name: rerun, kind: rerun, of: sweep, top: 2, seeds: [1, 2]}
""",
    "sweep/heads.yaml": """
method: grid
parameters: {n_head: {values: [2, 4, 5, 6, 7]}, learning_rate: {values: [1e-3, 2e-3]}}
""",
}

ADAPTIVE = {
    "studies/heads.yaml": """
name: heads
base: {data: {source: python-docs}, training: {max_steps: 40, eval_steps: 4, batch_size: 4}}
phases:
  - {name: sweep, kind: sweep, sweep: rates, round_size: 4}
""",
    "sweep/rates.yaml": """
method: bayes
run_cap: 8
metric: {name: val/loss, goal: minimize}
parameters: {learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 1e-2}}
early_terminate: {type: hyperband, min_iter: 3, eta: 2}
""",
}


def load(folder, files=FILES):
    for name, text in files.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
    return load_study(folder / "studies/heads.yaml", folder)


def test_trials_that_cannot_be_trained_are_counted_and_cost_nothing(tmp_path):
    study = load(tmp_path)
    cost = audit(study, Layout(tmp_path / "results"))
    sweep, rerun = cost.phases["sweep"], cost.phases["rerun"]
    assert (sweep.trials, sweep.to_train, sweep.infeasible, sweep.steps) == (10, 6, 4, 60)
    assert (rerun.trials, rerun.open_slots, rerun.infeasible) == (4, 4, 0)
    rows = audit_table(cost).splitlines()[1:4]
    assert rows[0].split()[:5] == ["phase", "trials", "to", "train", "infeasible"]
    assert rows[1].split()[:4] == ["sweep", "10", "6", "4"]


def jobs(costs: dict[str, PhaseCost]) -> dict[str, tuple[int, tuple[str, ...], int]]:
    """Jobs, trials that train, and open slots of each training rule."""
    rules = [rule for cost in costs.values() for rule in cost.rules]
    return {rule.rule: (rule.jobs, rule.trains, rule.open_slots) for rule in rules}


def test_each_pack_names_what_it_trains(tmp_path):
    packed = FILES["studies/heads.yaml"] + "resources: {pack: 4}\n"
    study = load(tmp_path, FILES | {"studies/heads.yaml": packed})
    costs = audit(study, Layout(tmp_path / "results")).phases
    names = study.phases[0].trials
    found = jobs(costs)
    assert list(found) == ["train_sweep_p1", "train_sweep_p2", "train_sweep_p3", "train_rerun"]
    trains = [name for _, names, _ in found.values() for name in names]
    assert [name for name in names if name in trains] == trains and len(trains) == 6
    assert found["train_rerun"] == (1, (), 4)
    assert all(count == (1 if trained or later else 0) for count, trained, later in found.values())
    short, whole = list(job_lines(costs)), list(job_lines(costs, shorten=False))
    assert short == whole and short[0].startswith("at most ")
    assert [line.split()[0] for line in short[1:]] == [rule for rule in found if found[rule][0]]


def test_trials_with_a_job_each_are_as_many_jobs(tmp_path):
    alone = FILES["studies/heads.yaml"] + "resources: {pack: 1}\n"
    study = load(tmp_path, FILES | {"studies/heads.yaml": alone})
    costs = audit(study, Layout(tmp_path / "results")).phases
    assert {rule: count for rule, (count, *_) in jobs(costs).items()} == {
        "train_sweep": 6,
        "train_rerun": 4,
    }
    (_, line, _) = job_lines(costs)
    assert line.split()[1:4] == ["6", "of", "10"] and line.endswith("and 2 more")
    (_, line, _) = job_lines(costs, shorten=False)
    assert all(name in line for name in jobs(costs)["train_sweep"][1])


def test_rounds_and_rungs_cost_no_more_than_their_slots(tmp_path):
    study = load(tmp_path, ADAPTIVE)
    layout = Layout(tmp_path / "results")
    cost = audit(study, layout).phases["sweep"]
    # In each round four train to step 12, three from there to 24, two from there to the end.
    assert (cost.trials, cost.open_slots, cost.to_train) == (8, 2 * (4 + 3 + 2), 0)
    assert cost.steps == 2 * (4 * 12 + 3 * 12 + 2 * 16)
    assert cost.units == cost.steps * 4 * study.phases[0].config["model"]["context_length"]


# A study with results


@pytest.fixture
def built(tmp_path: Path) -> Layout:
    return build_made(tmp_path)


def counts(cost: PhaseCost) -> tuple[int, int, int, int]:
    return cost.stored, cost.to_train, cost.open_slots, cost.steps


def test_a_whole_study_is_in_the_store(built: Layout) -> None:
    study = load_made(built.root.parent)
    costs = audit(study, built).phases
    assert (counts(costs["sweep"]), counts(costs["rerun"])) == ((3, 0, 0, 0), (2, 0, 0, 0))
    rows = audit_table(audit(study, built)).splitlines()[1:]
    assert rows[0].split() == ["phase", "trials", "in", "store", "to", "train"]
    assert rows[-1].split() == ["total", "5", "5", "0"]


def test_hours_on_cpus_are_not_called_cpu_hours(built: Layout) -> None:
    study = load_made(built.root.parent, rates=[*RATES, 1.0])
    table = audit_table(audit(study, built))
    assert "  ~hours\n" in table and "\n~hours: " in table
    assert "CPU" not in table


ABOVE = {
    "a new trial": ({"rates": [*RATES, 1.0]}, (3, 1, 0, 40)),
    "a lost trial": ({"rates": RATES[:2]}, (2, 0, 0, 0)),
    "other settings": ({"set": SIZES | {"training.weight_decay": 0.5}}, (0, 3, 0, 120)),
    "another winner": ({"score": {"final_weight": -1.0, "slope_weight": 0.0}}, (3, 0, 0, 0)),
}


@pytest.mark.parametrize("change", ABOVE)
def test_slots_below_what_changes_are_open(change: str, built: Layout) -> None:
    changes, expected = ABOVE[change]
    costs = audit(load_made(built.root.parent, **changes), built).phases
    assert counts(costs["sweep"]) == expected
    if change == "a lost trial":  # the ranking is another, its best is the same
        assert counts(costs["rerun"]) == (2, 0, 0, 0)
    else:
        assert counts(costs["rerun"]) == (0, 0, 2, 80)


def test_so_are_those_below_overrides(built: Layout) -> None:
    file = built.root.parent / "studies/made.yaml"
    study = load_study(file, built.root.parent, {"training.weight_decay": 0.5})
    cost = audit(study, built)
    costs = cost.phases
    assert (counts(costs["sweep"]), counts(costs["rerun"])) == ((0, 3, 0, 120), (0, 0, 2, 80))
    assert "\nopen: " in audit_table(cost)


def test_so_are_those_below_lost_results(built: Layout) -> None:
    study = load_made(built.root.parent)
    loser = study.phase("sweep").trials[2]
    gone = built.run(run_id(built, "sweep", loser))
    aside = shutil.move(gone, gone.with_name("aside"))
    costs = audit(study, built).phases
    assert (costs["sweep"].to_train, costs["rerun"].open_slots) == (1, 2)
    shutil.move(aside, gone)
    built.record("made", "sweep", loser).unlink()  # it is linked again, and may be ranked again
    costs = audit(study, built).phases
    assert (costs["sweep"].to_train, costs["rerun"].open_slots) == (0, 2)


def test_what_is_not_ranked_yet_is_open(built: Layout) -> None:
    built.phase("made", "sweep").best_configs(1).unlink()
    assert counts(audit(load_made(built.root.parent), built).phases["rerun"]) == (0, 0, 2, 80)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"seeds": [1, 4]}, (1, 1, 0, 40)),
        ({"seeds": [1, 2, 4]}, (2, 1, 0, 40)),
        ({"seeds": [3]}, (1, 0, 0, 0)),
        ({"set": {"training.max_steps": 80}}, (0, 2, 0, 160)),
        ({"top": 2}, (0, 0, 4, 160)),
    ],
)
def test_slots_of_a_known_ranking_are_planned_again(
    changes: dict[str, Any], expected: tuple[int, ...], built: Layout
) -> None:
    """Their files are those of the last build."""
    phases = [PHASES[0], PHASES[1] | changes]
    costs = audit(load_made(built.root.parent, phases=phases), built).phases
    assert counts(costs["sweep"]) == (3, 0, 0, 0)
    assert counts(costs["rerun"]) == expected


def test_an_open_slot_may_get_the_longest_training(tmp_path: Path) -> None:
    phases = [PHASES[0], PHASES[1] | {"set": {"training.batch_size": 12}}]
    sweep = {"method": "grid", "parameters": {"max_steps": {"values": [20, 60]}}}
    content = {"name": "made", "base": {}, "set": SIZES, "phases": phases}
    study = load_written(tmp_path, content, "rates", sweep)
    costs = audit(study, Layout(tmp_path / "results")).phases
    assert counts(costs["sweep"]) == (0, 2, 0, 80)
    assert counts(costs["rerun"]) == (0, 0, 2, 2 * 60)
    assert costs["rerun"].units == 2 * 60 * 12 * SIZES["model.context_length"]


# Rounds and rungs with results

SEARCH = {
    "method": "bayes",
    "run_cap": 4,
    "metric": {"name": "val/loss", "goal": "minimize"},
    "parameters": {"learning_rate": {"min": 1e-4, "max": 1e-2}},
    "early_terminate": {"type": "hyperband", "min_iter": 2, "eta": 2},
}


def load_search(root: Path, eta: int = 2, most: float = 1e-2) -> Study:
    phases = [{"name": "search", "kind": "sweep", "sweep": "search", "round_size": 4}]
    content = {"name": "made", "base": {}, "set": SIZES, "phases": phases}
    sweep = SEARCH | {
        "parameters": {"learning_rate": {"min": 1e-4, "max": most}},
        "early_terminate": {"type": "hyperband", "min_iter": 2, "eta": eta},
    }
    return load_written(root, content, "search", sweep)


@pytest.fixture(scope="module")
def searched_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of one round with one rung, trained to its end; not to be changed."""
    folder = tmp_path_factory.mktemp("searched")
    (phase,), layout = load_search(folder).phases, Layout(folder / "results")
    make_data(layout, phase.config)
    first, last = phase.stages
    propose, decide, _ = phase.fills(layout)
    trials = propose_round(plan_from(json.loads(str(propose.plan))), [], [], layout)
    for number, trial in enumerate(trials):
        train(layout, phase, first.slots[number], trial, 3.0 - number / 10)
    outcomes = list(map(read_outcome, decide.records))
    trials, decisions = promote(rung_plan_from(json.loads(str(decide.plan))), outcomes)
    write_decisions(decide.outputs["decisions"][0], decisions)
    for slot, trial in zip(last.slots, trials, strict=True):
        train(layout, phase, slot, trial, 1.5)
    return folder


@pytest.fixture
def searched(searched_once: Path, tmp_path: Path) -> Layout:
    """A copy of the search, to be changed."""
    shutil.copytree(searched_once, tmp_path / "searched", symlinks=True)
    return Layout(tmp_path / "searched/results")


def test_a_whole_search_is_in_the_store(searched: Layout) -> None:
    assert counts(audit(load_search(searched.root.parent), searched).phases["search"]) == (
        4,
        0,
        0,
        0,
    )


def test_what_another_rule_promotes_is_known(searched: Layout) -> None:
    """Three continue instead of two."""
    cost = audit(load_search(searched.root.parent, eta=4), searched).phases["search"]
    assert (cost.open_slots, cost.to_train) == (0, 0) and cost.trials == 4


def test_another_space_is_searched_from_the_first_round(searched: Layout) -> None:
    cost = audit(load_search(searched.root.parent, most=1e-3), searched).phases["search"]
    assert (cost.stored, cost.to_train, cost.open_slots) == (0, 4, 3)


def test_a_rung_below_a_lost_run_is_open(searched: Layout) -> None:
    study = load_search(searched.root.parent)
    first, last = study.phases[0].stages
    shutil.rmtree(searched.run(run_id(searched, "search", first.slots[0])))
    cost = audit(study, searched).phases["search"]
    assert (cost.to_train, cost.open_slots) == (1, len(last.slots))


# A rerun that continues runs


@pytest.mark.parametrize(("monitors", "steps"), [({}, 40), ({"plateau_patience": 3}, 80)])
def test_what_continues_trains_the_rest(
    monitors: dict[str, Any], steps: int, tmp_path: Path
) -> None:
    """Monitors may have stopped the earlier run at any step."""
    more = {f"early_stopping.{name}": value for name, value in monitors.items()}
    rerun = {"name": "rerun", "kind": "rerun", "of": "sweep", "resume": True}
    phases = [PHASES[0], rerun | {"set": {"training.max_steps": 80}}]
    study = load_made(tmp_path, phases=phases, set=SIZES | more)
    assert audit(study, Layout(tmp_path / "results")).phases["rerun"].steps == steps
