"""The study of an experiment: found again, and its errors in the files that they come from."""

from pathlib import Path
from typing import Any
from unittest.mock import ANY

from resweep.agents.experiment_study import create_experiment
from resweep.agents.sweep_study import SweepStudy
from resweep.config.translated import Translated
from resweep.paths import Layout
from tests.conftest import ROOT
from tests.support.problems import assert_problem, problems_of

HOME = ROOT / "examples/experiment-management"
SWEEP = {
    "sweep_name": "stds",
    "strategy": "random",
    "num_runs": 2,
    "parameters": {"initialization.init_std": {"values": [0.01, 0.02, 0.03]}},
}
VALUES = {"training.num_epochs": 1, "training.seed": 3, "data.source": "python-docs"}


def create(folder: Path, sweep: Any = None, **changes: Any) -> SweepStudy:
    """The study of a configuration; `__` in a name is a dot."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    config = Translated(
        origin="my.yaml",
        values=VALUES | named,
        own=("training.note",),
        keys={"initialization.init_type": "run.init_type"},
    )
    return create_experiment(
        config,
        HOME / "config/studies/experiment.yaml",
        HOME / "config",
        Layout(folder / "results"),
        name="my test",
        sweep=sweep,
        sweep_file=None if sweep is None else Path("my_sweep.yaml"),
    )


def test_a_single_training_is_a_study_of_one_trial(tmp_path: Path) -> None:
    made = create(tmp_path, training__note="a")
    assert made.name == f"my-test-{made.id}"
    study = made.load()
    assert len(made.phase().trials) == 1
    assert made.phase().config["training"]["save_gradients"] and study.warnings == ()
    assert create(tmp_path, training__note="a").id == made.id
    assert create(tmp_path, training__note="b").id != made.id


def test_a_random_sweep_has_its_number_of_trials_without_replacement(tmp_path: Path) -> None:
    points = create(tmp_path, SWEEP).phase().assignments.values()
    assert len({point["initialization.init_std"] for point in points}) == 2


def test_errors_name_the_files_and_keys_of_the_user(tmp_path: Path) -> None:
    problems = problems_of(
        create, tmp_path, SWEEP, training__scheduler="cosin", initialization__init_type="uniform"
    )
    assert_problem(problems, "training.scheduler", "cosin", file="my.yaml")
    assert_problem(problems, "run.init_type", "uniform", file="my.yaml")
    assert not list(tmp_path.glob("results/sweeps/*/"))
    for name, value, key, words in (
        ("learning_rate", -1, "training.learning_rate", ()),
        ("initialization.init_type", "uniform", "run.init_type", ()),
        ("epochs", 7, "epochs", ("to my.yaml",)),
    ):
        swept = SWEEP | {"parameters": {name: {"values": [value, 1]}}}
        problems = problems_of(create, tmp_path, swept)
        assert_problem(problems, key, ANY, *words, file="my_sweep.yaml")


def test_weights_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    name = "saved_models/abcd1234/checkpoint_1000"
    problems = problems_of(create, tmp_path, run__checkpoint=name)
    assert_problem(problems, "run.checkpoint", name, file="my.yaml")
