"""The cost of a study before it is spent: what would train, and what cannot."""

from dataclasses import replace

from resweep.config.compose import assign
from resweep.paths import Layout
from resweep.report.audit import audit, audit_table
from resweep.search.rungs import rule_text, step_of
from resweep.study.load import load_study
from resweep.systems.registry import metric_of
from resweep.trials.decisions import COLUMNS, write_decisions
from resweep.trials.trial import Trial, write_trial

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
    costs = audit(study, Layout(tmp_path / "results"))
    sweep, rerun = costs["sweep"], costs["rerun"]
    assert (sweep.trials, sweep.to_train, sweep.infeasible, sweep.steps) == (10, 6, 4, 60)
    assert (rerun.trials, rerun.open_slots, rerun.infeasible) == (4, 4, 0)
    header, line = (row.split() for row in audit_table(study, costs).splitlines()[1:3])
    assert [header[0], header[1], header[-4]] == ["phase", "trials", "infeasible"]
    assert line[1:6] == ["10", "0", "0", "6", "4"]


def test_a_trial_that_goes_through_rungs_is_one_trial_and_one_run(tmp_path):
    """Slots of the first round filled, its runs lost: no step is counted twice."""
    phase = (study := load(tmp_path, ADAPTIVE)).phases[0]
    layout = Layout(tmp_path / "results")
    for stage in phase.stages_of_round(phase.stages[0]):
        metric = metric_of(phase.config, phase.metric)
        stop = step_of(stage.rung.band, metric, phase.config["training"])
        for number, slot in enumerate(stage.slots):
            rate = {"training.learning_rate": 1e-3 * (number + 1)}
            config = assign(phase.config, rate)
            path = layout.trial(study.name, phase.name, slot)
            write_trial(
                path,
                Trial(
                    study.name,
                    phase.name,
                    f"r01-0{number}",
                    config=config,
                    assignments=rate,
                    stop=stop,
                ),
            )
    cost = audit(study, layout)["sweep"]
    assert (cost.trials, cost.to_train, cost.open_slots) == (8, 4, 4 + 3 + 2)
    assert cost.steps == 2 * (4 * 12 + 3 * 12 + 2 * 16)


def test_what_other_settings_decided_is_open_again(tmp_path):
    phase = (study := load(tmp_path, ADAPTIVE)).phases[0]
    layout = Layout(tmp_path / "results")
    first, second = phase.stages_of_round(phase.stages[0])[:2]
    for slot in (*first.slots, *second.slots):
        trial = Trial(study.name, phase.name, "r01-01", config=phase.config)
        write_trial(layout.trial(study.name, phase.name, slot), trial)
    decided = layout.phase(study.name, phase.name).rung_decisions(first.name)
    decided.parent.mkdir(parents=True)
    known = audit(study, layout)["sweep"].open_slots
    plan = phase.rung_plan(first)
    text = rule_text(plan.rule, plan.rung)
    for row, more in (
        ({"rule": "in other words", "rule_digest": plan.rule_digest}, 0),
        ({"rule": text, "rule_digest": replace(plan, goal="maximize").rule_digest}, 3),
        ({"rule": text}, 0),  # of a version without digests
        ({"rule": "another"}, 3),
    ):
        write_decisions(decided, [dict.fromkeys(COLUMNS, "") | {"step": 1, "compared": 1} | row])
        assert audit(study, layout)["sweep"].open_slots == known + more


def test_rounds_and_rungs_cost_no_more_than_their_slots(tmp_path):
    study = load(tmp_path, ADAPTIVE)
    layout = Layout(tmp_path / "results")
    cost = audit(study, layout)["sweep"]
    # In each round four train to step 12, three from there to 24, two from there to the end.
    assert (cost.trials, cost.open_slots, cost.to_train) == (8, 2 * (4 + 3 + 2), 0)
    assert cost.steps == 2 * (4 * 12 + 3 * 12 + 2 * 16)
    assert cost.units == cost.steps * 4 * study.phases[0].config["model"]["context_length"]
