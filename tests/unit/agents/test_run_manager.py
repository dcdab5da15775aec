"""The store and its table from a training script of one's own."""

import multiprocessing
from pathlib import Path

import pytest

from resweep.agents.run_manager import RunManager
from resweep.errors import ConfigError, StoreError
from resweep.paths import Layout
from tests.support.study import make_study, run_id

CONFIG = {"model": {"name": "mine", "width": 3}, "training": {"learning_rate": 0.1}}


def add_five(runs: Path, run_id: str, writer: int) -> None:
    """Add five metrics to a run, one by one."""
    manager = RunManager(runs)
    for number in range(5):
        manager.update_metrics(run_id, {f"w{writer}_{number}": number})


@pytest.fixture
def manager(tmp_path: Path) -> RunManager:
    """A manager of an empty store, by a link to it."""
    (tmp_path / "results/runs").mkdir(parents=True)
    (tmp_path / "saved_models").symlink_to("results/runs")
    return RunManager(tmp_path / "saved_models")


def test_a_run_of_a_script_has_a_folder_a_configuration_and_a_row(manager: RunManager) -> None:
    name, folder = manager.setup_run(CONFIG, run_name="first", sweep_name="widths")
    assert folder == manager.get_run_dir(name) and len(name) == 12
    assert manager.get_run_config(name) == CONFIG
    manager.update_metrics(name, {"final_valid_loss": 2.5, "my_custom_metric": 7, "note": "x"})
    (row,) = manager.get_runs_df().to_dict("records")
    assert row["run_id"] == name and row["status"] == "begun"
    assert (row["run_name"], row["sweep_name"]) == ("first", "widths")
    assert (row["model.width"], row["training.learning_rate"]) == (3, 0.1)
    assert (row["final_valid_loss"], row["my_custom_metric"], row["note"]) == (2.5, 7, "x")


def test_steps_can_be_taken_one_by_one(manager: RunManager) -> None:
    name = manager.generate_run_id()
    folder = manager.create_run_dir(name)
    manager.register_run(name)
    assert manager.save_config(name, CONFIG) == folder / "config.yaml"
    with pytest.raises(FileExistsError):
        manager.create_run_dir(name)


def test_the_best_run_is_found(manager: RunManager) -> None:
    names = {}
    for loss, sweep in ((2.0, "a"), (1.0, "b"), (3.0, "a")):
        names[loss], _ = manager.setup_run(CONFIG, sweep_name=sweep)
        manager.update_metrics(names[loss], {"final_valid_loss": loss, "accuracy": loss / 4})
    manager.setup_run(CONFIG)  # without a value
    assert manager.get_best_run()["run_id"] == names[1.0]
    assert manager.get_best_run(sweep_name="a")["run_id"] == names[2.0]
    assert manager.get_best_run("accuracy", minimize=False)["run_id"] == names[3.0]
    with pytest.raises(ConfigError, match="accuracy"):
        manager.get_best_run("acurracy")


def test_nothing_is_the_best_of_nothing(manager: RunManager) -> None:
    manager.setup_run(CONFIG)
    with pytest.raises(StoreError, match="final_valid_loss"):
        manager.get_best_run()


def test_metrics_are_added_to_trained_runs_which_stay_as_they_are(tmp_path: Path) -> None:
    layout: Layout = make_study(tmp_path)
    manager, name = RunManager(layout.runs), run_id(layout, "sweep", "bbb")
    manager.update_metrics(name, {"probe": 0.5})
    table = manager.get_runs_df().set_index("run_id")
    assert table.loc[name, "probe"] == 0.5
    with pytest.raises(ConfigError, match="already a column"):
        manager.update_metrics(name, {"final_valid_loss": 1.0})
    with pytest.raises(StoreError, match="trained by resweep"):
        manager.save_config(name, CONFIG)


@pytest.mark.parametrize("name", ["../x", "abc", "0" * 13, ""])
def test_names_cannot_lead_elsewhere(name: str, manager: RunManager) -> None:
    with pytest.raises(ConfigError, match="12 hexadecimal"):
        manager.create_run_dir(name)


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="base_dir"):
        RunManager(tmp_path / "models")


def test_twenty_writers_at_once_lose_nothing(manager: RunManager) -> None:
    name, _ = manager.setup_run(CONFIG)
    fork = multiprocessing.get_context("fork")
    places = [(manager.layout.runs, name, number) for number in range(20)]
    writers = [fork.Process(target=add_five, args=place) for place in places]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 20
    (row,) = manager.get_runs_df().to_dict("records")
    expected = {f"w{w}_{n}": n for w in range(20) for n in range(5)}
    assert {column: row[column] for column in expected} == expected
