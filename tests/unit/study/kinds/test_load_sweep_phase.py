"""Sweep phases: rounds and rungs from the settings, what is wrong with them, what is doubtful."""

from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from resweep import yaml12
from resweep.config import compose
from resweep.errors import Problem
from resweep.study.files import trial_content
from resweep.study.load import load_study
from resweep.study.study import Phase, Study
from resweep.trials.trial import Trial
from tests.support import problems
from tests.support.problems import assert_problem

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


def problem_of(*arguments: Any, **changes: Any) -> Problem:
    """The one thing that is wrong."""
    return problems.problem_of(load, *arguments, **changes)


def warnings_of(*arguments: Any, **changes: Any) -> list[str]:
    """The warnings; names of files are relative."""
    warnings = load(*arguments, **changes).warnings
    assert all("\n" not in line for line in warnings)
    return [line.replace(f"{arguments[0]}/", "") for line in warnings]


def warning_of(*arguments: Any, **changes: Any) -> str:
    """The only warning."""
    (line,) = warnings_of(*arguments, **changes)
    return line


def assert_said(line: str, file: str, *words: str) -> None:
    """A warning names its file first, and these names and numbers."""
    assert line.startswith(f"{file}: ")
    missing = [word for word in words if word not in line]
    assert not missing, line


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
        (BAYES, {"metric": "test/loss"}, "test/loss"),
        (GRID, {}, "method: grid"),
    ],
)
def test_a_target_that_stops_nothing_is_warned_of(
    sweep: str, score: dict[str, Any], why: str, tmp_path: Path
) -> None:
    metric = "metric: {name: val/loss, goal: minimize, target: 2.5}\n"
    *_, line = warnings_of(tmp_path, sweep + metric, score=score)
    assert_said(line, "sweep/file.yaml", "metric.target = 2.5", why)


# What trials are compared by


def test_another_metric_of_the_study_decides_and_that_is_warned_of(tmp_path: Path) -> None:
    line = warning_of(tmp_path, GRID + METRIC, score={"metric": "test/loss"})
    both = ("score.metric = test/loss", "metric.name = val/loss", "sweep/file.yaml")
    assert_said(line, "studies/mine.yaml", *both)
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
    problem = problem_of(tmp_path, GRID + METRIC, score=score | {"goal": "maximize"})
    words = ("sweep/file.yaml", "minimize", "val/loss")
    assert_problem(problem, "score.goal", "maximize", *words, file="studies/mine.yaml")


def test_a_metric_that_no_training_logs_has_a_way_out(tmp_path: Path) -> None:
    metric = "metric: {name: accuracy, goal: maximize}\n"
    problem = problem_of(tmp_path, GRID + metric)
    way_out = ("train/loss", "score: {metric: val/loss, goal: minimize}", "--metric val/loss")
    assert_problem(problem, "metric", "accuracy", *way_out, file="sweep/file.yaml")
    problem = problem_of(tmp_path, GRID, score={"metric": "accuracy"})
    assert_problem(problem, "metric", "accuracy", "train/loss", file="studies/mine.yaml")
    assert "score:" not in str(problem)


# What nothing reads


def grid(constants: dict[str, Any] | None = None, **values: Any) -> str:
    parameters = {name: {"values": listed} for name, listed in values.items()}
    parameters |= {name: {"value": value} for name, value in (constants or {}).items()}
    return yaml12.dump({"method": "grid", "parameters": parameters})


def test_what_is_swept_and_nothing_reads_is_warned_of(tmp_path: Path) -> None:
    swept = grid(learning_rate=[1e-3, 2e-3], tau=[1, 2], mixer=[8, 16])
    lines = warnings_of(tmp_path, swept)
    assert_said(lines[0], "sweep/file.yaml", "mixer, tau", "own: [mixer, tau]", "--own mixer tau")
    assert_said(lines[1], "sweep/file.yaml", "8 trials", "2 different", "mixer, tau")
    lines = warnings_of(tmp_path, swept, own=["tau"])
    assert_said(lines[0], "sweep/file.yaml", "reads mixer,")
    assert len(warnings_of(tmp_path, swept, own=["tau", "mixer"])) == 1


def test_a_sweep_of_nothing_that_is_read_trains_one_thing(tmp_path: Path) -> None:
    swept = grid(tau=[1, 2], **{"arch.mixer": [8, 16]})
    words = ("arch.mixer, tau", "docs/sweeps.md#names", "own:", "--own arch.mixer tau")
    assert_problem(problem_of(tmp_path, swept), "parameters", None, *words, file="sweep/file.yaml")
    line = warnings_of(tmp_path, swept, own=["tau"])[0]
    assert_said(line, "sweep/file.yaml", "arch.mixer")
    assert "reads arch.mixer, which" in line
    (alike,) = warnings_of(tmp_path, swept, own=["tau", "arch"])
    assert_said(alike, "sweep/file.yaml", "4 trials", "one training")


def test_what_other_trainers_call_a_field_is_an_error_when_swept(tmp_path: Path) -> None:
    own = {"lr": [1, 2], "grad_accum": [1, 2], "depth": [2, 4], "dim": [8, 16]}
    swept = grid(weight_decay=[0.1, 0.2], tau=[1, 2], **own)
    named = ("lr (training.learning_rate?)", "grad_accum (training.gradient_accumulation_steps?)")
    more = ("depth (model.n_layer?)", "dim (model.n_embd?)", "--own depth dim grad_accum lr)")
    problem = problem_of(tmp_path, swept)
    assert_problem(problem, "parameters", None, *named, *more, file="sweep/file.yaml")
    lines = warnings_of(tmp_path, swept, own=list(own))
    assert "reads tau, which" in lines[0]


def test_constants_that_nothing_reads_are_named_once(tmp_path: Path) -> None:
    sweep = grid({"epochs": 20, "sleep": 2}, learning_rate=[1e-3, 2e-3])
    said = {"training.correct_bias": True, "run.init_type": "x", "data.dataset_size": 3}
    study, file = warnings_of(tmp_path, sweep, set=said)
    assert_said(study, "studies/mine.yaml", *said)
    assert_said(file, "sweep/file.yaml", "epochs (training.num_epochs?)", "sleep")
    own = ["correct_bias", "run.init_type", "dataset_size", "epochs", "sleep"]
    assert warnings_of(tmp_path, sweep, set=said, own=own) == []


@pytest.mark.parametrize(
    ("swept", "said"),
    [
        ({"decay_fraction": [0.1, 0.2]}, ("training.decay_fraction", "wsd", "cosine")),
        ({"decay_fraction": [0.1, 0.2], "scheduler": ["wsd", "linear"]}, ("wsd", "linear")),
        ({"text_field": ["body", "abstract"]}, ("data.text_field", "jsonl", "python-docs")),
        ({"decay_fraction": [0.1, 0.2], "scheduler": ["wsd"]}, ()),
        ({"decay_fraction": [0.1], "weight_decay": [0.1, 0.2]}, ()),
    ],
)
@pytest.mark.parametrize("method", ["grid", "bayes"])
def test_a_swept_field_that_needs_another_value_is_told(
    method: str, swept: dict[str, Any], said: tuple[str, ...], tmp_path: Path
) -> None:
    sweep = yaml12.dump(yaml12.parse(grid(**swept)) | {"method": method, "run_cap": 20})
    lines = [line for line in warnings_of(tmp_path, sweep) if "only read" in line]
    assert len(lines) == bool(said)
    for line in lines:
        assert_said(line, "mine/sweep", *said)


# Names that are taken


@pytest.mark.parametrize("name", ["config", "source", "dataset", "checkpoint", "nodes", "split"])
def test_a_short_name_of_two_meanings_asks_for_its_path(name: str, tmp_path: Path) -> None:
    swept = grid({name: "x"}, learning_rate=[1e-3, 2e-3])
    assert_problem(problem_of(tmp_path, swept), name, "x", f".{name}", f"--own {name}")
    study = load(tmp_path, swept, own=[name])
    assert study.phase("sweep").config["own"] == {name: "x"}
    assert_said(study.warnings[0], str(tmp_path / "studies/mine.yaml"), f"own.{name}")


@pytest.mark.parametrize("name", ["model", "config", "dataset"])
def test_a_name_of_their_script_that_is_taken_is_one_error(name: str, tmp_path: Path) -> None:
    swept = grid({name: "gpt2"}, learning_rate=[1e-3, 2e-3])
    words = ("own:", f"--own {name}")
    assert_problem(problem_of(tmp_path, swept), name, "gpt2", *words, file="sweep/file.yaml")


def test_what_own_names_change_is_said_only_where_they_have_a_value(tmp_path: Path) -> None:
    swept = grid(learning_rate=[1e-3, 2e-3])
    own, said = ["model", "config"], {"config": {"a": 1}}
    assert warnings_of(tmp_path, swept, own=own, set=said) == []
    (line,) = warnings_of(tmp_path, swept, own=own, set=said | {"model": "x"})
    assert "own.model" in line and "own.config" not in line


def test_own_names_go_before_sections_and_fields(tmp_path: Path) -> None:
    names = ["model", "optimizer", "batch_size"]
    swept = grid(model=["small", "large"], optimizer=["sgd", "lion"], batch_size=["s", "l"])
    found = problems.problems_of(load, tmp_path, swept)
    assert_problem(found, "parameters", None, "--own batch_size model optimizer", "section model")
    assert_problem(found, "training.optimizer", "lion", "adamw")
    phase = sweep_phase(tmp_path, swept, own=names)
    first = next(iter(phase.assignments.values()))
    assert set(first) == {f"own.{name}" for name in names}
    trained = phase.trial_config(phase.trials[0])
    assert trained["own"]["model"] == "small" and trained["training"]["optimizer"] == "adamw"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("early_stopping", [True]),
        ("run", [1, 2]),
        ("tokens", [1000, 2000]),
        ("compile", [2, 3]),
        ("dropout", [True, False]),
        ("name", ["a", "b"]),
    ],
)
def test_a_value_that_no_field_of_the_name_takes_may_be_ones_own(
    name: str, values: list[Any], tmp_path: Path
) -> None:
    swept = grid(learning_rate=[1e-3, 2e-3], **{name: values})
    assert_problem(problems.problems_of(load, tmp_path, swept), name, None, f"--own {name}")
    phase = sweep_phase(tmp_path, swept, own=[name])
    assert {trial[f"own.{name}"] for trial in phase.assignments.values()} == set(values)


@pytest.mark.parametrize(
    ("name", "values"), [("dropout", [0, 3]), ("beta2", [0.9, 1.0]), ("loss_patience", [1, 5])]
)
def test_a_number_out_of_the_range_of_its_field_is_only_that(
    name: str, values: list[Any], tmp_path: Path
) -> None:
    swept = grid(learning_rate=[1e-3, 2e-3], **{name: values})
    problem = problem_of(tmp_path, swept)
    assert problem.key.endswith(f".{name}") and problem.value in values
    assert "--own" not in problem.hint


def test_values_of_several_fields_that_these_cannot_have_are_one_error(tmp_path: Path) -> None:
    swept = grid(batch_size=["small", "large"], compile=[2, 3])
    *_, problem = problems.problems_of(load, tmp_path, swept)
    words = ("training.batch_size", "training.compile", "--own batch_size compile")
    assert_problem(problem, "parameters", None, *words)


@pytest.mark.parametrize("name", ["early_stopping.patience", "data.paths.0"])
def test_a_name_that_cannot_be_ones_own_is_not_offered_as_such(name: str, tmp_path: Path) -> None:
    swept = grid(**{name: ["a"], "learning_rate": [1e-3, 2e-3]})
    problem = problem_of(tmp_path, swept)
    assert_problem(problem, name, "a")
    assert "--own" not in problem.hint


@pytest.mark.parametrize("declared", [[], ["optimizer", "z"]])
def test_names_that_cannot_both_have_a_value_are_kept_apart(
    declared: list[str], tmp_path: Path
) -> None:
    swept = grid(learning_rate=[0.1, 0.2], z=[1, 2], **{"z.y": [3, 4], "z.y.x": [5, 6]})
    phase = sweep_phase(tmp_path, swept, own=declared)
    trained = phase.trial_config(phase.trials[0])
    assert trained["own"] == {"z": 1, "z.y": 3} and trained["z"] == {"y": {"x": 5}}
    columns = dict(compose.leaves(trained))
    assert (columns["own.z"], columns["own.z.y"], columns["z.y.x"]) == (1, 3, 5)
    assert compose.assign({}, {"own.z.y": 1, "own.z": 2}) == {"own": {"z.y": 1, "z": 2}}


def test_trials_that_cannot_be_trained_are_warned_of(tmp_path: Path) -> None:
    line = warning_of(tmp_path, grid(n_head=[3, 5], seed=[1, 2]))
    assert_said(line, "sweep/file.yaml", "4 trials", "n_embd = 16", "n_head = 3")
    line = warning_of(tmp_path, grid(n_head=[3, 4]))
    assert_said(line, "sweep/file.yaml", "1 of 2 trials", "n_head = 3")
    assert warnings_of(tmp_path, grid(n_head=[2, 4])) == []


# What is wrong


def test_bayes_asks_how_many_trials(tmp_path: Path) -> None:
    sweep = BAYES.replace("run_cap: 12\n", "")
    problem = problem_of(tmp_path, sweep)
    assert_problem(problem, "run_cap", None, "run_cap:", "trials", file="sweep/file.yaml")
    assert len(sweep_phase(tmp_path, sweep, {"trials": 3}).trials) == 3


def test_bayes_asks_for_something_to_sweep(tmp_path: Path) -> None:
    sweep = BAYES.replace(RATE, "learning_rate: {value: 0.1}")
    assert_problem(problem_of(tmp_path, sweep), "parameters", None, file="sweep/file.yaml")


@pytest.mark.parametrize("key", ["round_size", "warm_start"])
def test_keys_of_bayes_are_not_for_grids(key: str, tmp_path: Path) -> None:
    value = {"round_size": 4, "warm_start": ["old.csv"]}[key]
    problem = problem_of(tmp_path, GRID, {key: value})
    words = ("method: bayes", "sweep/file.yaml", "grid")
    assert_problem(problem, f"phases.0.{key}", value, *words, file="studies/mine.yaml")


@pytest.mark.parametrize("source", ["old", "sweep", "a/b/c", "old.txt", "mine/"])
def test_a_warm_start_that_is_not_known(source: str, tmp_path: Path) -> None:
    problem = problem_of(tmp_path, BAYES, {"warm_start": [source]})
    words = ("none", "STUDY/PHASE", ".csv")
    assert_problem(problem, "phases.0.warm_start", source, *words, file="studies/mine.yaml")


def test_a_warm_start_from_itself(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, BAYES, {"warm_start": ["mine/sweep"]})
    assert_problem(problem, "phases.0.warm_start", "mine/sweep", "itself")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, ("warm_start", None, "No such file")),
        ("rate,val/loss\n", ("warm_start", "training.learning_rate", "rate, val/loss")),
        ("learning_rate,loss\n", ("warm_start", "val/loss", "learning_rate, loss")),
    ],
)
def test_a_table_that_cannot_be_read_is_reported_before_any_job(
    text: str | None, expected: tuple[Any, ...], tmp_path: Path
) -> None:
    file = tmp_path / "runs.csv"
    if text is not None:
        file.write_text(text)
    problem = problem_of(tmp_path, BAYES, {"warm_start": [str(file)]})
    assert_problem(problem, *expected, file="runs.csv")


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
    problem = problem_of(tmp_path, sweep, score=metric)
    assert_problem(problem, "metric", "test/loss", "val/loss", file=file)


@pytest.mark.parametrize("place", ["file", "phase", "swept"])
def test_min_iter_needs_a_length_in_steps(place: str, tmp_path: Path) -> None:
    epochs = {"max_steps": None, "num_epochs": 3}
    if place == "file":
        problem = problem_of(tmp_path, GRID + HALVING, training=epochs)
    elif place == "phase":
        rule = {"early_terminate": {"type": "hyperband", "min_iter": 3}}
        problem = problem_of(tmp_path, GRID, rule, training=epochs)
    else:
        swept = BAYES.replace(RATE, "num_epochs: {values: [1, 2]}")
        problem = problem_of(tmp_path, swept + HALVING, training=epochs)
    file = "studies/mine.yaml" if place == "phase" else "sweep/file.yaml"
    words = ("max_steps", "num_epochs", "max_iter and s")
    assert_problem(problem, "early_terminate.min_iter", 3, *words, file=file)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"type": "hyperband"}, ("", ANY, "min_iter", "max_iter and s")),
        ({"type": "median"}, (".type", "median", "hyperband")),
        ({}, (".type", None, "hyperband")),
        ({"type": "one_cut", "min_iter": 3}, (".keep", None)),
        ({"type": "hyperband", "min_iter": 0}, (".min_iter", 0)),
        ("on", ()),
    ],
)
def test_a_wrong_rule_of_the_phase_is_reported_with_its_place(
    rule: Any, expected: tuple[Any, ...], tmp_path: Path
) -> None:
    key, *more = expected or ("",)
    found = problems.problems_of(load, tmp_path, GRID, {"early_terminate": rule})
    if not expected:
        assert all(problem.key.startswith("phases.0.early_terminate") for problem in found)
        return
    assert_problem(found, f"phases.0.early_terminate{key}", *more, file="studies/mine.yaml")


@pytest.mark.parametrize("sweep", [GRID, BAYES])
def test_a_phase_has_no_more_than_a_million_trials(sweep: str, tmp_path: Path) -> None:
    problem = problem_of(tmp_path, sweep, {"trials": 10**11})
    assert_problem(problem, "phases.0.trials", 10**11, "1000000", file="studies/mine.yaml")


def test_everything_wrong_with_a_phase_is_reported_at_once(tmp_path: Path) -> None:
    sweep = BAYES.replace("run_cap: 12\n", "") + "metric: {name: val/los}\n"
    found = problems.problems_of(load, tmp_path, sweep, {"warm_start": ["old"], "top": 2})
    keys = [problem.key for problem in found]
    assert sorted(keys) == ["metric", "phases.0.top", "phases.0.warm_start", "run_cap"]


def test_keys_of_sweeps_are_not_for_reruns(tmp_path: Path) -> None:
    rerun = {"name": "rerun", "kind": "rerun", "of": "sweep", "round_size": 4}
    rerun |= {"warm_start": ["sweep"], "early_terminate": "off"}
    phases = [{"name": "sweep", "kind": "sweep", "sweep": "file"}, rerun]
    keys = [problem.key for problem in problems.problems_of(load, tmp_path, GRID, phases=phases)]
    assert keys == [f"phases.1.{key}" for key in ("round_size", "warm_start", "early_terminate")]


# What is doubtful


def test_a_rung_late_enough_is_not_warned_of(tmp_path: Path) -> None:
    training = {"warmup_steps": 29}
    assert warnings_of(tmp_path, GRID + HALVING, training=training) == []
    assert warnings_of(tmp_path, GRID + HALVING.replace("3", "2")) == []  # a fifth


def test_a_first_rung_inside_the_warmup(tmp_path: Path) -> None:
    line = warning_of(tmp_path, GRID + HALVING, training={"warmup_steps": 30})
    words = ("step 30 of 100", "warmup of 30 steps", "min_iter: 4")
    assert_said(line, "sweep/file.yaml", *words)


def test_a_first_rung_before_a_fifth_of_the_training(tmp_path: Path) -> None:
    line = warning_of(tmp_path, GRID + HALVING.replace("3", "1"))
    assert_said(line, "sweep/file.yaml", "step 10 of 100", "min_iter: 3")
    assert "warmup" not in line


@pytest.mark.parametrize("warmup", [0.0, 0.04, 0.3, 0.35, 0.8])
@pytest.mark.parametrize("eval_steps", [3, 10])
def test_the_advice_ends_the_warning(warmup: float, eval_steps: int, tmp_path: Path) -> None:
    training = {"pct_warmup": warmup, "eval_steps": eval_steps}
    rule = "early_terminate: {type: hyperband, min_iter: 1, eta: 2}\n"
    (line,) = warnings_of(tmp_path, GRID + rule, training=training)
    advised = line.partition("min_iter: ")[2].partition(" ")[0]
    changed = rule.replace("min_iter: 1", f"min_iter: {advised}")
    assert warnings_of(tmp_path, GRID + changed, training=training) == []
    assert sweep_phase(tmp_path, GRID + changed, training=training).rungs.bands[0] == int(advised)


def test_where_no_rung_is_late_enough_the_warmup_is_too_long(tmp_path: Path) -> None:
    line = warning_of(tmp_path, GRID + HALVING, training={"pct_warmup": 1.0})
    assert_said(line, "sweep/file.yaml", "warmup")
    assert "min_iter" not in line, "there is none that would do"


def test_the_warmup_that_is_swept_counts(tmp_path: Path) -> None:
    swept = BAYES.replace(RATE, "pct_warmup: {min: 0.0, max: 0.5}")
    (line,) = warnings_of(tmp_path, swept + HALVING)
    assert_said(line, "sweep/file.yaml", "warmup of 50 steps", "min_iter: 6")


def test_max_iter_would_win_over_min_iter(tmp_path: Path) -> None:
    rule = "early_terminate: {type: hyperband, max_iter: 9, s: 2}\n"
    (line,) = warnings_of(tmp_path, GRID + rule)
    assert_said(line, "sweep/file.yaml", "min_iter: 3", "max_iter and s")


def test_a_rule_that_stops_nothing_is_warned_of(tmp_path: Path) -> None:
    rule = HALVING.replace("3", "10")
    assert sweep_phase(tmp_path, GRID + rule).rungs is None
    line = warnings_of(tmp_path, GRID + rule)[0]
    assert_said(line, "sweep/file.yaml", "early_terminate", "10 values of val/loss")


def test_a_rule_of_the_phase_is_warned_of_in_its_file(tmp_path: Path) -> None:
    rule = {"early_terminate": {"type": "hyperband", "min_iter": 1}}
    assert_said(warning_of(tmp_path, GRID, rule), "studies/mine.yaml", "step 10")


def test_what_strict_would_change_is_warned_of(tmp_path: Path) -> None:
    rule = "early_terminate: {type: hyperband, min_iter: 3, strict: false}\n"
    line = warning_of(tmp_path, GRID + rule)
    assert_said(line, "sweep/file.yaml", "early_terminate.strict = false")


def test_rounds_that_learn_nothing_and_rungs_that_stop_nobody_are_warned_of(
    tmp_path: Path,
) -> None:
    line = warning_of(tmp_path, BAYES.replace("run_cap: 12", "run_cap: 8"))
    assert_said(line, "sweep/file.yaml", "8 trials", "one round of 8", "round_size")
    rule = {"type": "hyperband", "min_iter": 3, "eta": 2}
    line = warning_of(tmp_path, BAYES, phase={"round_size": 2, "early_terminate": rule})
    assert_said(line, "sweep/file.yaml", "early_terminate", "round_size", "eta")


def test_a_round_that_learns_from_a_warm_start_is_not_warned_of(tmp_path: Path) -> None:
    one_round = BAYES.replace("run_cap: 12", "run_cap: 8")
    assert warnings_of(tmp_path, one_round, {"warm_start": ["other/sweep"]}) == []


@pytest.mark.parametrize(
    ("sweep", "names", "rule"),
    [
        (GRID + HALVING, ("sweep", "sweep_b1"), "train_sweep_b1"),
        (GRID + HALVING, ("sweep", "sweep-b2"), "train_sweep_b2"),
        (BAYES, ("sweep", "sweep_r02"), "train_sweep_r02"),
        (BAYES + HALVING, ("a", "a_r01_b1"), "train_a_r01_b1"),
        (GRID, ("a-b", "a_b"), "train_a_b"),
    ],
)
def test_no_two_phases_need_one_rule(
    sweep: str, names: tuple[str, str], rule: str, tmp_path: Path
) -> None:
    (tmp_path / "plain.yaml").write_text(GRID)
    files = ("file", str(tmp_path / "plain.yaml"))
    for order in ((0, 1), (1, 0)):
        phases = [{"name": names[i], "kind": "sweep", "sweep": files[i]} for i in order]
        first, second = (names[i] for i in order)
        found = problem_of(tmp_path, sweep, phases=phases)
        assert_problem(found, "phases.1.name", second, rule, first, file="studies/mine.yaml")


def test_rounds_and_rungs_do_not_take_other_names(tmp_path: Path) -> None:
    names = ("sweep", "sweep_x", "b1", "r01")
    phases = [{"name": name, "kind": "sweep", "sweep": "file"} for name in names]
    assert len(load(tmp_path, BAYES + HALVING, phases=phases).phases) == 4


@pytest.mark.parametrize("method", ["grid", "bayes"])
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("arch.stages.7.repeat", ["arch.stages.0 to arch.stages.2"]),
        ("arch.stages.-1.repeat", ["arch.stages.0 to arch.stages.2"]),
        ("arch.stages.0.repeats", ["did you mean arch.stages.0.repeat?"]),
        ("arch.stages.0.what", ["target, sources, include_inputs, repeat"]),
    ],
)
def test_a_parameter_of_a_list_needs_an_entry_with_that_key(tmp_path, path, words, method):
    sweep = f"method: {method}\nrun_cap: 4\nparameters: {{{path}: {{values: [1, 2]}}}}\n"
    metric = "metric: {name: exact_accuracy, goal: maximize}\n"
    found = problems.problem_of(load_plain, tmp_path, "loop_transformer", sweep + metric)
    assert_problem(found, f"parameters.{path}", None, *words, file="sweep/file.yaml")


@pytest.mark.parametrize(
    ("metric", "changes"),
    [
        ("best_probe_accuracy", {"labels": False}),
        ("test_mse", {"test_fraction": 0.0}),
        ("test_probe_accuracy", {"test_fraction": 0.0}),
    ],
)
def test_a_metric_that_the_settings_leave_out_is_refused(tmp_path, metric, changes):
    of_seeds = "method: grid\nparameters: {seed: {values: [1, 2]}}\n"
    sweep = f"{of_seeds}metric: {{name: {metric}}}\n"
    assert load_plain(tmp_path, "predictive_coding", sweep).phase("sweep").score.metric == metric
    found = problems.problem_of(load_plain, tmp_path, "predictive_coding", sweep, changes)
    assert_problem(found, "metric", metric, "best_val_mse", file="sweep/file.yaml")
    assert metric not in found.hint


def load_plain(
    folder: Path, system: str, sweep: str, changes: dict[str, Any] | None = None
) -> Study:
    """Load a study of a system's defaults: one sweep."""
    phase = {"name": "sweep", "kind": "sweep", "sweep": "file"}
    content = {"name": "mine", "system": system, "base": {}, "phases": [phase]}
    content["set"] = {"max_steps": 5} | (changes or {})
    for name, text in (("sweep/file", sweep), ("studies/mine", yaml12.dump(content))):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(text)
    return load_study(folder / "studies/mine.yaml", folder)
