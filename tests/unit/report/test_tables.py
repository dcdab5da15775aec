"""The tables of runs are complete, the same each time, and lose nothing to concurrent writers."""

import csv
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from resweep.csv_files import read_columns
from resweep.errors import StoreError
from resweep.paths import Layout
from resweep.report.tables import tabulate_study, update_metrics, write_runs_table
from resweep.store.run import Run
from resweep.systems.language.model_section import Model
from resweep.trials.trial import read_trial, write_trial
from tests.conftest import ROOT
from tests.support.problems import assert_problem, problem_of
from tests.support.study import RATE, SWEEP, Made, make_run, make_study, run_id, write_config

GPT = ("n_layer", "n_head", "n_embd")
ORPHAN, BEGUN, SHARED = "0123456789ab", "ba9876543210", "abcdef012345"


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"run_id": str, "trial": str})


def row(table: pd.DataFrame, trial: str) -> pd.Series:
    found = table[table["trial"] == trial]
    assert len(found) == 1
    return found.iloc[0]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return make_study(tmp_path)


def test_study_table_has_a_row_for_each_trial(layout: Layout) -> None:
    table = read(layout.study("made").table)
    assert list(table["trial"]) == ["aaa", "bbb", "ccc", "ddd", "01", "02", "03", "04", "05"]
    best = row(table, "02")
    assert best["run_id"] == run_id(layout, "rerun", "02")
    assert best["run_name"] == "rerun/02"
    assert best["sweep_name"] == "made/rerun"
    assert best["status"] == "finished"
    assert best[RATE] == 1e-3
    assert best["training.seed"] == 2
    assert best["optimizer_name"] == "adam"
    assert best["final_valid_loss"] == best["val/loss"] == 1.48
    assert best["test_loss"] == best["test/loss"] == pytest.approx(1.68)
    assert best["total_steps"] == 40
    assert best["model_size_M"] == 1.25
    assert best["seconds"] == best["gpu_seconds"] == 3.5


def test_text_that_a_spreadsheet_would_compute_is_text(tmp_path: Path) -> None:
    made = [
        Made("aaa", {RATE: 1e-4, "optimizer_name": "=1+1", "+own": -0.5}, 2.9),
        Made("bbb", {RATE: 1e-3, "optimizer_name": "adam", "+own": "-0.5"}, 2.1),
    ]
    layout = make_study(tmp_path, made, [])
    for file in (layout.study("made").table, layout.runs_table):
        with file.open(newline="") as text:
            rows = {row["trial"]: row for row in csv.DictReader(text)}
        assert [rows[name]["optimizer_name"] for name in ("aaa", "bbb")] == ["'=1+1", "adam"], file
        assert [rows[name]["'+own"] for name in ("aaa", "bbb")] == ["-0.5", "'-0.5"], file
        same = read_columns(file, "", text=["trial"])
        assert same["optimizer_name"][same["trial"].index("aaa")] == "=1+1" and "+own" in same


def test_trials_without_a_result_are_rows_too(layout: Layout) -> None:
    table = read(layout.study("made").table)
    diverged, empty = row(table, "ddd"), row(table, "05")
    assert diverged["status"] == "diverged"
    assert pd.isna(diverged["final_valid_loss"])
    assert diverged[RATE] == 1.0
    assert empty["status"] == "empty"
    assert pd.isna(empty["run_id"])
    assert pd.isna(empty["timestamp"])


def test_store_table_has_runs_that_no_trial_leads_to(layout: Layout) -> None:
    make_run(Run(layout.run(ORPHAN)), {"run": {"name": "by hand"}}, Made("x", {}, 3.0))
    layout.run(BEGUN).mkdir()
    table = read(write_runs_table(layout)).set_index("run_id")
    assert len(table) == 4 + 4 + 2
    assert table.loc[ORPHAN, "run_name"] == "by hand"
    assert pd.isna(table.loc[ORPHAN, "study"])
    assert table.loc[ORPHAN, "final_valid_loss"] == 3.0
    assert table.loc[run_id(layout, "sweep", "aaa"), "trial"] == "aaa"
    assert pd.isna(table.loc[BEGUN, "status"])


def test_store_table_has_runs_of_a_system_that_was_removed(layout: Layout) -> None:
    config = {"system": "gone", "arch": {"size": 3}}
    make_run(Run(layout.run(ORPHAN)), config, Made("x", {}, 3.0))
    table = read(write_runs_table(layout)).set_index("run_id")
    assert table.loc[ORPHAN, "val/loss"] == 3.0
    assert table.loc[ORPHAN, "arch.size"] == 3


def test_a_shared_run_belongs_to_the_first_trial(layout: Layout, tmp_path: Path) -> None:
    make_study(tmp_path, rerun=[], name="another")
    table = read(layout.runs_table).set_index("run_id")
    assert len(table) == 8
    assert table.loc[run_id(layout, "sweep", "aaa"), "study"] == "another"
    assert table.loc[run_id(layout, "rerun", "01"), "study"] == "made"


def test_the_timestamp_is_that_of_the_configuration(layout: Layout) -> None:
    os.utime(
        layout.run(run_id(layout, "rerun", "02")) / "config.yaml",
        (1_700_000_000.9, 1_700_000_000.9),
    )
    table = read(write_runs_table(layout)).set_index("run_id")
    assert table.loc[run_id(layout, "rerun", "02"), "timestamp"] == "2023-11-14T22:13:20Z"


def test_rebuilding_gives_equal_bytes(layout: Layout) -> None:
    before = layout.runs_table.read_bytes()
    layout.runs_table.unlink()
    assert write_runs_table(layout).read_bytes() == before


def test_order_of_records_does_not_matter_within_a_phase(layout: Layout) -> None:
    records = sorted(layout.study("made").path.glob("sweep/records/*.json"))
    assert tabulate_study(records[::-1], layout) == tabulate_study(records, layout)


def test_added_metrics_become_columns_of_both_tables(layout: Layout) -> None:
    update_metrics(
        run_id(layout, "rerun", "02"), {"curvature": 31.5, "note": "straight, at last"}, layout
    )
    update_metrics(run_id(layout, "rerun", "02"), {"curvature": 30.25}, layout)
    table = read(write_runs_table(layout)).set_index("run_id")
    assert table.loc[run_id(layout, "rerun", "02"), "curvature"] == 30.25
    assert table.loc[run_id(layout, "rerun", "02"), "note"] == "straight, at last"
    assert pd.isna(table.loc[run_id(layout, "rerun", "01"), "curvature"])
    records = layout.study("made").path.glob("rerun/records/*.json")
    assert ",curvature,note\n" in tabulate_study(records, layout)


@pytest.mark.parametrize("name", ["status", "val/loss", RATE, "seconds"])
def test_an_added_metric_may_not_hide_a_column(layout: Layout, name: str) -> None:
    problem = problem_of(
        update_metrics, run_id(layout, "rerun", "02"), {name: 1.0, "fine": 2.0}, layout
    )
    assert_problem(problem, name, 1.0)
    assert not (layout.run(run_id(layout, "rerun", "02")) / "added_metrics.json").exists()


def test_metrics_of_an_unknown_run_are_refused(layout: Layout) -> None:
    with pytest.raises(StoreError, match=r"\bnobody\b"):
        update_metrics("nobody", {"a": 1.0}, layout)
    assert not layout.run("nobody").exists()


def test_a_hyperparameter_called_like_a_column_keeps_its_value(tmp_path: Path) -> None:
    odd = [Made("aaa", {"trial": "third"}, 2.0), Made("bbb", {"trial": "fourth"}, 3.0)]
    table = read(make_study(tmp_path, sweep=odd, rerun=[]).runs_table).sort_values("trial")
    assert list(table["trial"]) == ["aaa", "bbb"]
    assert list(table["config.trial"]) == ["third", "fourth"]


def test_fields_of_another_kind_of_model_have_no_values(tmp_path: Path) -> None:
    own_fields = {f"model.{name}": Model.model_fields[name].default for name in GPT}
    llama = own_fields | {"model.kind": "hf", "model.config": {"model_type": "llama"}}
    only = make_study(tmp_path / "only", sweep=[Made("lll", llama, 2.0)], rerun=[])
    for file in (only.runs_table, only.study("made").table):
        table = read(file)
        assert not {"model.n_embd", "model.n_head", "model.n_layer", "model.bias"} & set(table)
        assert row(table, "lll")["model.config.model_type"] == "llama"
    both = make_study(tmp_path / "both", sweep=[*SWEEP, Made("lll", llama, 2.0)], rerun=[])
    table = read(both.study("made").table)
    assert pd.isna(row(table, "lll")["model.n_embd"])
    assert row(table, "aaa")["model.n_embd"] == 16
    assert pd.isna(row(table, "aaa")["model.config.model_type"])
    assert pd.isna(row(table, "aaa")["model.lora_alpha"])
    assert row(table, "lll")["model.lora_alpha"] == 16


def _add_and_tabulate(root: Path, number: int) -> None:
    layout = Layout(root)
    made = Made(str(number), {}, 2.0)
    for part in range(4):
        make_run(Run(layout.run(f"{number}{part}{0:010}")), {"model": {"n_layer": number}}, made)
        update_metrics(SHARED, {f"metric{number}-{part}": part}, layout)
        write_runs_table(layout)


def test_concurrent_writers_lose_nothing(tmp_path: Path) -> None:
    make_run(Run(Layout(tmp_path).run(SHARED)), {}, SWEEP[0])
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_add_and_tabulate, args=(tmp_path, n)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert all(writer.exitcode == 0 for writer in writers)
    table = read(tmp_path / "runs.csv").set_index("run_id")
    assert len(table) == 1 + 4 * 4
    assert all(table.loc[SHARED, f"metric{n}-{p}"] == p for n in range(4) for p in range(4))


def test_command_writes_both_tables(layout: Layout) -> None:
    records = sorted(map(str, layout.study("made").path.glob("*/records/*.json")))
    own = layout.study("made").table
    own.unlink()
    layout.runs_table.unlink()
    command = [sys.executable, ROOT / "workflow/scripts/tabulate_runs.py", "--study", "made"]
    subprocess.run(
        [*command, "--records", "-", "--results", layout.root],
        input="\n".join(records), text=True, check=True, env={"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert len(read(own)) == 9
    assert len(read(layout.runs_table)) == 8


def test_what_resolving_fills_in_and_what_it_replaced_are_both_there(layout: Layout) -> None:
    trial = layout.trial("made", "sweep", "bbb")
    asked = read_trial(trial)
    asked.config["training"] |= {"warmup_steps": None, "pct_warmup": 0.25}
    write_trial(trial, asked)
    resolved = {"training": {"warmup_steps": 10, "pct_warmup": None}, "mine": {"extra": 1}}
    write_config(Run(layout.run(run_id(layout, "sweep", "bbb"))), resolved)
    records = layout.study("made").path.glob("sweep/records/*.json")
    own = layout.study("made").table
    own.write_text(tabulate_study(records, layout))
    for table in (own, write_runs_table(layout)):
        found = row(read(table), "bbb")
        assert found["training.pct_warmup"] == 0.25, table
        assert found["training.warmup_steps"] == 10, table
        assert found["mine.extra"] == 1, table


def test_a_section_that_resolving_fills_has_its_fields(tmp_path: Path) -> None:
    llama = {f"model.{name}": Model.model_fields[name].default for name in GPT}
    llama |= {"model.kind": "hf", "model.config": {"model_type": "llama", "rope": {}}}
    layout = make_study(tmp_path, sweep=[Made("lll", llama, 2.0)], rerun=[])
    run = Run(layout.run(run_id(layout, "sweep", "lll")))
    write_config(run, {"model": {"kind": "hf", "config": {"rope": {"theta": 5}}}})
    found = row(read(write_runs_table(layout)), "lll")
    assert found["model.config.rope.theta"] == 5 and "model.config.rope" not in found


@pytest.mark.parametrize("text", ["", "{", "[]", '{"status": 5}'])
def test_a_run_with_a_damaged_state_is_left_out_and_named(
    text: str, layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(layout.run(run_id(layout, "sweep", "bbb")))
    run.folder.state.write_text(text)
    table = read(write_runs_table(layout))
    assert len(table) == 7 and run.run_id not in set(table["run_id"])
    assert str(run.folder.state) in caplog.text


def test_other_damage_leaves_cells_empty(layout: Layout, caplog: pytest.LogCaptureFixture) -> None:
    run = Run(layout.run(run_id(layout, "sweep", "bbb")))
    update_metrics(run.run_id, {"curvature": 31.5}, layout)
    (record,) = run.records().values()
    for file in (run.folder.config, run.folder.added_metrics, record):
        file.write_text("[")
    table = read(write_runs_table(layout)).set_index("run_id")
    assert table.loc[run.run_id, "val/loss"] == 2.1 and len(table) == 8
    assert pd.isna(table.loc[run.run_id, RATE])
    assert "curvature" not in table
    for file in (run.folder.config, run.folder.added_metrics, record):
        assert str(file) in caplog.text


def test_metrics_are_not_added_to_a_damaged_file(layout: Layout) -> None:
    """Nothing else has what was added before: it is neither replaced nor moved."""
    run = Run(layout.run(run_id(layout, "sweep", "bbb")))
    run.folder.added_metrics.write_text("[")
    with pytest.raises(StoreError, match="added_metrics"):
        update_metrics(run.run_id, {"more": 1.0}, layout)
    assert run.folder.added_metrics.read_text() == "["


def test_the_table_of_a_study_names_all_its_damaged_files(layout: Layout) -> None:
    files = [layout.trial("made", "sweep", name) for name in ("aaa", "bbb")]
    for file in files:
        file.write_text("")
    records = sorted(layout.study("made").path.glob("*/records/*.json"))
    with pytest.raises(StoreError) as caught:
        tabulate_study(records, layout)
    assert [line.partition(": ")[0] for line in str(caught.value).splitlines()] == [
        *map(str, files)
    ]


def test_a_table_has_what_was_trained_not_what_a_changed_file_asks_for(layout: Layout) -> None:
    file = layout.trial("made", "sweep", "bbb")
    trial = read_trial(file)
    trial.config["training"]["learning_rate"] = trial.assignments[RATE] = 0.5
    write_trial(file, trial)
    table = read(write_runs_table(layout)).set_index("run_id")
    assert table.loc[run_id(layout, "sweep", "bbb"), RATE] == 1e-3


def test_stray_files_are_no_runs(layout: Layout) -> None:
    before = write_runs_table(layout).read_text()
    (layout.runs / "notes.txt").write_text("x")
    (layout.runs / "0123456789ab").write_text("a file")
    (layout.runs / "backup of 0123456789ab").mkdir()
    (layout.phase("made", "sweep").records / "bbb (copy).json").write_text("{")
    assert write_runs_table(layout).read_text() == before


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_added_metric_is_finite(value: float, layout: Layout) -> None:
    run = run_id(layout, "rerun", "02")
    assert_problem(problem_of(update_metrics, run, {"curvature": value}, layout), "curvature")
