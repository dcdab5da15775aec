"""Sweep phases: rounds and rungs from the settings, what is wrong with them, what is doubtful."""

from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.errors import ConfigError
from resweep.study.files import trial_content
from resweep.study.load import load_study
from resweep.study.study import Phase, Study
from resweep.trials.trial import Trial

RATE = "learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 1e-1}"
BAYES = f"method: bayes\nrun_cap: 12\nseed: 3\nparameters: {{{RATE}}}\n"
GRID = "method: grid\nparameters: {learning_rate: {values: [1e-3, 2e-3, 3e-3, 4e-3]}}\n"
METRIC = "metric: {name: val/loss, goal: minimize}\n"
HALVING = "early_terminate: {type: hyperband, min_iter: 3, eta: 2}\n"
TRAINING = {"max_steps": 100, "eval_steps": 10, "log_steps": 5, "batch_size": 4}


def load(
    folder: Path,
    sweep: str = BAYES,
    phase: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    **study: Any,
) -> Study:
    """A study of one sweep phase, ten values of val/loss a training.

    Args:
        folder: For its files.
        sweep: The sweep file.
        phase: More keys of the phase.
        training: More values of its training.
        study: More keys of the study.
    """
    content = {
        "name": "mine",
        "base": {"model": {"n_embd": 16, "n_head": 2, "n_layer": 1, "context_length": 16}}
        | {"data": {"source": "python-docs"}, "training": TRAINING | (training or {})},
        "phases": [{"name": "sweep", "kind": "sweep", "sweep": "file", **(phase or {})}],
    }
    for name, text in (("sweep/file", sweep), ("studies/mine", yaml12.dump(content | study))):
        path = folder / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return load_study(folder / "studies/mine.yaml", folder)


def sweep_phase(*arguments: Any, **changes: Any) -> Phase:
    return load(*arguments, **changes).phase("sweep")


def problem_of(*arguments: Any, **changes: Any) -> str:
    """The one thing that is wrong, without its file; names of files are relative."""
    with pytest.raises(ConfigError) as caught:
        load(*arguments, **changes)
    (problem,) = caught.value.problems
    assert "\n" not in str(problem)
    return str(problem).replace(f"{arguments[0]}/", "")


def warnings_of(*arguments: Any, **changes: Any) -> list[str]:
    told = load(*arguments, **changes).warnings
    assert all("\n" not in line for line in told)
    return [line.replace(f"{arguments[0]}/", "") for line in told]


# What comes out


def test_a_bayesian_sweep_is_rounds_of_slots(tmp_path: Path) -> None:
    phase = sweep_phase(tmp_path, BAYES)
    assert [len(names) for names in phase.search.rounds] == [8, 4]
    assert phase.trials[0] == "r01-01" and phase.trials[-1] == "r02-04"
    assert phase.search.parameters[0].name == "training.learning_rate"
    assert (phase.search.seed, phase.search.sampler, phase.search.target) == (3, "auto", None)
    assert phase.rungs is None and not phase.is_known(phase.stages[0])
    assert [stage.name for stage in phase.stages] == ["r01", "r02"]


def test_the_phase_says_how_many_and_from_which_seed(tmp_path: Path) -> None:
    phase = sweep_phase(tmp_path, BAYES, {"trials": 7, "round_size": 3, "seed": 0})
    assert [len(names) for names in phase.search.rounds] == [3, 3, 1]
    assert phase.search.seed == 0


def test_parameters_are_in_one_order_and_constants_are_set(tmp_path: Path) -> None:
    text = f"weight_decay: {{min: 0.0, max: 0.1}}, beta2: {{value: 0.99}}, {RATE}"
    phase = sweep_phase(tmp_path, BAYES.replace(RATE, text))
    assert [parameter.name for parameter in phase.search.parameters] == [
        "training.learning_rate", "training.weight_decay",
    ]  # fmt: skip
    assert phase.config["training"]["beta2"] == 0.99
    assert phase.round_plan(phase.stages[0]).config == phase.config


def test_the_sampler_of_the_file_is_taken(tmp_path: Path) -> None:
    assert sweep_phase(tmp_path, BAYES + "sampler: tpe\n").search.sampler == "tpe"


@pytest.mark.parametrize(
    ("rule", "training", "bands"),
    [
        ("{type: hyperband, min_iter: 3, eta: 2}", {}, (3, 6)),
        ("{type: hyperband, min_iter: 3}", {}, (3, 9)),
        ("{type: hyperband, min_iter: 5, eta: 2}", {}, (5,)),
        ("{type: hyperband, max_iter: 27, s: 2}", {}, (3, 9)),
        ("{type: hyperband, max_iter: 27, s: 2}", {"max_steps": 85}, (3,)),
        ("{type: hyperband, max_iter: 27, s: 2}", {"max_steps": 91}, (3, 9)),
        ("{type: one_cut, min_iter: 4, keep: 2}", {}, (4,)),
    ],
)
def test_bands_end_before_the_training_does(
    rule: str, training: dict[str, Any], bands: tuple[int, ...], tmp_path: Path
) -> None:
    """A band at the last value would decide nothing; 85 steps log a ninth value at the end."""
    phase = sweep_phase(tmp_path, GRID + f"early_terminate: {rule}\n", training=training)
    assert phase.rungs.bands == bands
    assert phase.rung_sizes[0] == (bands[0], 4) and phase.rung_sizes[-1][0] is None


def test_bands_go_as_far_as_the_longest_training_that_is_swept(tmp_path: Path) -> None:
    steps = "max_steps: {values: [50, 400]}"
    phase = sweep_phase(tmp_path, BAYES.replace(RATE, steps) + HALVING)
    assert phase.rungs.bands == (3, 6, 12, 24)


def test_bands_count_the_values_of_the_metric(tmp_path: Path) -> None:
    metric = "metric: {name: train/loss, goal: minimize}\n"
    phase = sweep_phase(tmp_path, GRID + metric + "early_terminate: {type: hyperband, min_iter: 6}")
    assert phase.rungs.bands == (6, 18)
    first = Trial(**yaml12.parse(trial_content(phase, phase.stages[0], phase.trials[0])))
    assert first.stop == 30


def test_rungs_inside_rounds_have_their_stages(tmp_path: Path) -> None:
    phase = sweep_phase(tmp_path, BAYES + HALVING, {"round_size": 6})
    assert [(stage.name, stage.rung.band, stage.rung.slots) for stage in phase.stages] == [
        ("r01_b1", 3, 6), ("r01_b2", 6, 4), ("r01_b3", None, 3),
        ("r02_b1", 3, 6), ("r02_b2", 6, 4), ("r02_b3", None, 3),
    ]  # fmt: skip
    first, second = phase.stages[:2]
    plan = phase.rung_plan(first)
    assert (plan.band, plan.slots, plan.rung) == (6, second.names, first.rung)
    assert phase.round_plan(first).band == 3


def test_early_terminate_of_the_phase_comes_before_that_of_the_file(tmp_path: Path) -> None:
    rule = {"type": "hyperband", "min_iter": 5, "eta": 4}
    phase = sweep_phase(tmp_path, GRID + HALVING, {"early_terminate": rule})
    assert phase.rungs.bands == (5,) and phase.rungs.rule.eta == 4
    assert sweep_phase(tmp_path, GRID, {"early_terminate": rule}).rungs.bands == (5,)


def test_early_terminate_off(tmp_path: Path) -> None:
    phase = sweep_phase(tmp_path, GRID + HALVING, {"early_terminate": "off"})
    assert phase.rungs is None and phase.rung_sizes == []
    assert len(phase.stages) == 1


def test_epochs_have_bands_where_the_rule_needs_no_length(tmp_path: Path) -> None:
    epochs = {"max_steps": None, "num_epochs": 3}
    for rule, bands in (
        ("{type: hyperband, max_iter: 27, s: 2}", (3, 9)),
        ("{type: one_cut, min_iter: 4, keep: 1}", (4,)),
    ):
        phase = sweep_phase(tmp_path, GRID + f"early_terminate: {rule}\n", training=epochs)
        assert phase.rungs.bands == bands


# Targets


@pytest.mark.parametrize("score", [{}, {"metric": "val/loss"}])
def test_a_target_counts_where_its_metric_is_compared(
    score: dict[str, Any], tmp_path: Path
) -> None:
    metric = "metric: {name: val/loss, goal: minimize, target: 2.5}\n"
    study = load(tmp_path, BAYES + metric, score=score)
    assert study.phase("sweep").search.target == 2.5 and study.warnings == ()


@pytest.mark.parametrize(
    ("sweep", "score", "why"),
    [
        (BAYES, {"metric": "test/loss"}, "the study compares trials by test/loss"),
        (GRID, {}, "method: grid plans all trials at once"),
    ],
)
def test_a_target_that_stops_nothing_is_told(
    sweep: str, score: dict[str, Any], why: str, tmp_path: Path
) -> None:
    metric = "metric: {name: val/loss, goal: minimize, target: 2.5}\n"
    *_, line = warnings_of(tmp_path, sweep + metric, score=score)
    assert line == f"sweep/file.yaml: metric.target = 2.5 stops nothing: {why}"


# What trials are compared by


def test_another_metric_of_the_study_decides_and_that_is_told(tmp_path: Path) -> None:
    told = warnings_of(tmp_path, GRID + METRIC, score={"metric": "test/loss"})
    assert told == [
        "studies/mine.yaml: score.metric = test/loss decides, not metric.name = val/loss of "
        "sweep/file.yaml"
    ]
    accuracy = "metric: {name: accuracy, goal: maximize}\n"
    phase = sweep_phase(tmp_path, GRID + accuracy, score={"metric": "val/loss"})
    assert (phase.metric, phase.goal) == ("val/loss", "minimize")
    assert warnings_of(tmp_path, GRID, score={"metric": "test/loss"}) == []


@pytest.mark.parametrize("score", [{}, {"metric": "tokens"}, {"goal": "maximize"}])
def test_the_sweeps_goal_is_that_of_its_metric(score: dict[str, Any], tmp_path: Path) -> None:
    metric = "metric: {name: tokens, goal: maximize}\n"
    study = load(tmp_path, GRID + metric, score=score)
    phase = study.phase("sweep")
    assert (phase.metric, phase.goal, study.warnings) == ("tokens", "maximize", ())


@pytest.mark.parametrize("score", [{}, {"metric": "val/loss"}])
def test_opposite_goals_of_one_metric_are_an_error(score: dict[str, Any], tmp_path: Path) -> None:
    assert problem_of(tmp_path, GRID + METRIC, score=score | {"goal": "maximize"}) == (
        "studies/mine.yaml: score.goal = 'maximize': sweep/file.yaml has minimize for val/loss; "
        "write the same in both"
    )


def test_a_metric_that_no_training_logs_has_a_way_out(tmp_path: Path) -> None:
    metric = "metric: {name: accuracy, goal: maximize}\n"
    told = problem_of(tmp_path, GRID + metric)
    assert told.startswith("sweep/file.yaml: metric = 'accuracy': is not logged; there are: train/")
    assert told.endswith(
        "; to compare trials by another, write score: {metric: val/loss, goal: minimize} in the "
        "study (run_sweep.py --metric val/loss)"
    )
    told = problem_of(tmp_path, GRID, score={"metric": "accuracy"})
    assert (
        told.startswith("studies/mine.yaml: metric = 'accuracy': is not") and "score:" not in told
    )


# What nothing reads


def grid(**values: Any) -> str:
    parameters = {name: {"values": listed} for name, listed in values.items()}
    return yaml12.dump({"method": "grid", "parameters": parameters})


def test_what_is_swept_and_nothing_reads_is_told(tmp_path: Path) -> None:
    swept = grid(learning_rate=[1e-3, 2e-3], lr=[1, 2], hidden_dim=[8, 16])
    assert warnings_of(tmp_path, swept) == [
        "sweep/file.yaml: nothing in resweep reads hidden_dim, lr; they only name the run; if that "
        "is meant, say so under own: in the study (run_sweep.py --own)"
    ]
    (line,) = warnings_of(tmp_path, swept, own=["lr"])
    assert "reads hidden_dim; it only names the run" in line
    assert warnings_of(tmp_path, swept, own=["lr", "hidden_dim"]) == []


def test_a_sweep_of_nothing_that_is_read_trains_one_thing(tmp_path: Path) -> None:
    swept = grid(lr=[1, 2], **{"arch.depth": [8, 16]})
    assert problem_of(tmp_path, swept) == (
        "sweep/file.yaml: parameters: nothing in resweep reads arch.depth, lr, so all trials would "
        "be the same training; sweep names that it reads (docs/configuration.md), or, if that is "
        "meant, say so under own: in the study (run_sweep.py --own)"
    )
    (line,) = warnings_of(tmp_path, swept, own=["lr"])
    assert "reads arch.depth; it only names" in line
    assert warnings_of(tmp_path, swept, own=["lr", "arch"]) == []


def test_a_sweep_in_which_no_trial_can_be_trained_is_told(tmp_path: Path) -> None:
    assert warnings_of(tmp_path, grid(n_head=[3, 5], seed=[1, 2])) == [
        "sweep/file.yaml: none of its 4 trials can be trained: model: n_embd = 16 should be a "
        "multiple of n_head = 3"
    ]
    assert warnings_of(tmp_path, grid(n_head=[3, 4])) == []


# What is wrong


def test_bayes_asks_how_many_trials(tmp_path: Path) -> None:
    sweep = BAYES.replace("run_cap: 12\n", "")
    assert problem_of(tmp_path, sweep) == (
        "sweep/file.yaml: run_cap: is missing: say how many trials a Bayesian sweep has "
        "(run_cap: 32, or trials in the study's phase)"
    )
    assert len(sweep_phase(tmp_path, sweep, {"trials": 3}).trials) == 3


def test_bayes_asks_for_something_to_sweep(tmp_path: Path) -> None:
    sweep = BAYES.replace(RATE, "learning_rate: {value: 0.1}")
    assert problem_of(tmp_path, sweep) == ("sweep/file.yaml: parameters: should sweep something")


@pytest.mark.parametrize("key", ["round_size", "warm_start"])
def test_keys_of_bayes_are_not_for_grids(key: str, tmp_path: Path) -> None:
    value = {"round_size": 4, "warm_start": ["old.csv"]}[key]
    assert problem_of(tmp_path, GRID, {key: value}) == (
        f"studies/mine.yaml: phases.0.{key} = {value!r}: is for sweeps by method: bayes, and "
        "sweep/file.yaml has grid"
    )


@pytest.mark.parametrize("source", ["old", "sweep", "a/b/c", "old.txt", "mine/"])
def test_a_warm_start_that_is_not_known(source: str, tmp_path: Path) -> None:
    assert problem_of(tmp_path, BAYES, {"warm_start": [source]}) == (
        f"studies/mine.yaml: phases.0.warm_start = {source!r}: should be an earlier phase (none), "
        "STUDY/PHASE or a .csv file"
    )


def test_a_warm_start_from_itself(tmp_path: Path) -> None:
    assert "is this phase itself" in problem_of(tmp_path, BAYES, {"warm_start": ["mine/sweep"]})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "warm_start: is no table: [Errno 2] No such file or directory"),
        ("rate,val/loss\n", "warm_start = 'training.learning_rate': has no column for it; there"),
        (
            "learning_rate,loss\n",
            "warm_start = 'val/loss': has no column for it; there are: learni",
        ),
    ],
)
def test_a_table_that_cannot_be_read_is_told_before_any_job(
    text: str | None, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "runs.csv"
    if text is not None:
        file.write_text(text)
    told = problem_of(tmp_path, BAYES, {"warm_start": [str(file)]})
    assert told.startswith(f"runs.csv: {words}")


def test_a_warm_start_names_earlier_phases_other_studies_and_tables(tmp_path: Path) -> None:
    file = tmp_path / "runs.csv"
    file.write_text("learning_rate,val/loss\n1e-3,2\n")
    phases = [
        {"name": "first", "kind": "sweep", "sweep": "file"},
        {"name": "sweep", "kind": "sweep", "sweep": "file"}
        | {"warm_start": ["first", "other/sweep", str(file)]},
    ]
    phase = sweep_phase(tmp_path, BAYES, phases=phases)
    assert phase.search.warm_start == ("first", "other/sweep", str(file))


@pytest.mark.parametrize("where", ["sweep", "study"])
def test_rungs_need_a_metric_of_every_evaluation(where: str, tmp_path: Path) -> None:
    metric = {"metric": "test/loss"} if where == "study" else {}
    sweep = BAYES + HALVING + ("metric: {name: test/loss}\n" if where == "sweep" else "")
    file = {"sweep": "sweep/file.yaml", "study": "studies/mine.yaml"}[where]
    assert problem_of(tmp_path, sweep, score=metric) == (
        f"{file}: metric = 'test/loss': is known only at the end: rungs need a metric of every "
        "evaluation, like val/loss"
    )


@pytest.mark.parametrize("place", ["file", "phase", "swept"])
def test_min_iter_needs_a_length_in_steps(place: str, tmp_path: Path) -> None:
    epochs = {"max_steps": None, "num_epochs": 3}
    if place == "file":
        told = problem_of(tmp_path, GRID + HALVING, training=epochs)
    elif place == "phase":
        rule = {"early_terminate": {"type": "hyperband", "min_iter": 3}}
        told = problem_of(tmp_path, GRID, rule, training=epochs)
    else:
        swept = BAYES.replace(RATE, "num_epochs: {values: [1, 2]}")
        told = problem_of(tmp_path, swept + HALVING, training=epochs)
    file = "studies/mine.yaml" if place == "phase" else "sweep/file.yaml"
    assert told == (
        f"{file}: early_terminate.min_iter = 3: needs training.max_steps instead of num_epochs, "
        "or max_iter and s in its place"
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"type": "hyperband"}, "phases.0.early_terminate: needs min_iter, or max_iter and s"),
        ({"type": "median"}, "phases.0.early_terminate.type = 'median': should be one of"),
        ({}, "phases.0.early_terminate.type: should be one of"),
        ({"type": "one_cut", "min_iter": 3}, "phases.0.early_terminate.keep: is missing"),
        ({"type": "hyperband", "min_iter": 0}, "phases.0.early_terminate.min_iter = 0: should"),
        ("on", "phases.0.early_terminate"),
    ],
)
def test_a_wrong_rule_of_the_phase_is_told_with_its_place(
    rule: Any, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GRID, {"early_terminate": rule})
    lines = [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems]
    assert any(line.startswith(f"studies/mine.yaml: {words}") for line in lines), lines


@pytest.mark.parametrize("sweep", [GRID, BAYES])
def test_a_phase_has_no_more_than_a_million_trials(sweep: str, tmp_path: Path) -> None:
    assert problem_of(tmp_path, sweep, {"trials": 10**11}) == (
        "studies/mine.yaml: phases.0.trials = 100000000000: should be less than or equal to 1000000"
    )


def test_everything_wrong_with_a_phase_is_told_at_once(tmp_path: Path) -> None:
    sweep = BAYES.replace("run_cap: 12\n", "") + "metric: {name: val/los}\n"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, sweep, {"warm_start": ["old"], "top": 2})
    keys = [problem.key for problem in caught.value.problems]
    assert keys == ["phases.0.top", "metric", "phases.0.warm_start", "run_cap"]


def test_keys_of_sweeps_are_not_for_reruns(tmp_path: Path) -> None:
    rerun = {"name": "rerun", "kind": "rerun", "of": "sweep", "round_size": 4}
    rerun |= {"warm_start": ["sweep"], "early_terminate": "off"}
    phases = [{"name": "sweep", "kind": "sweep", "sweep": "file"}, rerun]
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, GRID, phases=phases)
    keys = [problem.key for problem in caught.value.problems]
    assert keys == [f"phases.1.{key}" for key in ("round_size", "warm_start", "early_terminate")]


# What is doubtful


def test_a_rung_late_enough_is_not_warned_of(tmp_path: Path) -> None:
    training = {"warmup_steps": 29}
    assert warnings_of(tmp_path, GRID + HALVING, training=training) == []
    assert warnings_of(tmp_path, GRID + HALVING.replace("3", "2")) == []  # a fifth


def test_a_first_rung_inside_the_warmup(tmp_path: Path) -> None:
    (line,) = warnings_of(tmp_path, GRID + HALVING, training={"warmup_steps": 30})
    assert line == (
        "sweep/file.yaml: the first rung is at step 30 of 100, inside a warmup of 30 steps, where "
        "those lead that warm up faster; set min_iter: 4 in early_terminate, or evaluate less often"
    )


def test_a_first_rung_before_a_fifth_of_the_training(tmp_path: Path) -> None:
    (line,) = warnings_of(tmp_path, GRID + HALVING.replace("3", "1"))
    assert line == (
        "sweep/file.yaml: the first rung is at step 10 of 100, where curves still cross; set "
        "min_iter: 3 in early_terminate, or evaluate less often"
    )


@pytest.mark.parametrize("warmup", [0.0, 0.04, 0.3, 0.35, 0.8])
@pytest.mark.parametrize("eval_steps", [3, 10])
def test_the_advice_mends_the_warning(warmup: float, eval_steps: int, tmp_path: Path) -> None:
    training = {"pct_warmup": warmup, "eval_steps": eval_steps}
    rule = "early_terminate: {type: hyperband, min_iter: 1, eta: 2}\n"
    (line,) = warnings_of(tmp_path, GRID + rule, training=training)
    advised = line.partition("min_iter: ")[2].partition(" ")[0]
    mended = rule.replace("min_iter: 1", f"min_iter: {advised}")
    assert warnings_of(tmp_path, GRID + mended, training=training) == []
    assert sweep_phase(tmp_path, GRID + mended, training=training).rungs.bands[0] == int(advised)


def test_where_no_rung_is_late_enough_the_warmup_is_too_long(tmp_path: Path) -> None:
    (line,) = warnings_of(tmp_path, GRID + HALVING, training={"pct_warmup": 1.0})
    assert line.endswith("; shorten the warmup, or evaluate more often")


def test_the_warmup_that_is_swept_counts(tmp_path: Path) -> None:
    swept = BAYES.replace(RATE, "pct_warmup: {min: 0.0, max: 0.5}")
    (line,) = warnings_of(tmp_path, swept + HALVING)
    assert "inside a warmup of 50 steps" in line and "min_iter: 6 in" in line


def test_max_iter_would_win_over_min_iter(tmp_path: Path) -> None:
    rule = "early_terminate: {type: hyperband, max_iter: 9, s: 2}\n"
    (line,) = warnings_of(tmp_path, GRID + rule)
    assert "set min_iter: 3 in place of max_iter and s in early_terminate" in line


def test_a_rule_that_stops_nothing_is_told(tmp_path: Path) -> None:
    rule = HALVING.replace("3", "10")
    study = load(tmp_path, GRID + rule)
    assert study.phase("sweep").rungs is None
    assert study.warnings[0].replace(f"{tmp_path}/", "") == (
        "sweep/file.yaml: early_terminate stops nothing: its first rung would be at or behind the "
        "10 values of val/loss that a training logs"
    )


def test_a_rule_of_the_phase_is_warned_of_in_its_file(tmp_path: Path) -> None:
    rule = {"early_terminate": {"type": "hyperband", "min_iter": 1}}
    (line,) = warnings_of(tmp_path, GRID, rule)
    assert line.startswith("studies/mine.yaml: the first rung is at step 10")


def test_what_strict_would_change_is_told(tmp_path: Path) -> None:
    rule = "early_terminate: {type: hyperband, min_iter: 3, strict: false}\n"
    assert warnings_of(tmp_path, GRID + rule) == [
        "sweep/file.yaml: early_terminate.strict = false changes nothing: rungs compare values at "
        "the band"
    ]


def test_rounds_that_learn_nothing_and_rungs_that_stop_nobody_are_told(tmp_path: Path) -> None:
    (line,) = warnings_of(tmp_path, BAYES.replace("run_cap: 12", "run_cap: 8"))
    assert "8 trials are one round of up to 8: nothing is proposed from results" in line
    rule = {"type": "hyperband", "min_iter": 3, "eta": 2}
    (line,) = warnings_of(tmp_path, BAYES, phase={"round_size": 2, "early_terminate": rule})
    assert "early_terminate stops nothing: all of a batch so small go on at every rung" in line
