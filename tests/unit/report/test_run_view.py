"""The table of runs as people look at it."""

import csv
import io
import json
import os

import pytest

from resweep.paths import Layout
from resweep.report.run_filters import read_condition
from resweep.report.run_view import (
    RunTable,
    as_csv,
    as_json,
    as_markdown,
    as_text,
    column_lines,
    default_columns,
    owner_of,
    read_table,
    statistics_lines,
)
from resweep.report.tables import update_metrics
from tests.support.problems import problem_of
from tests.support.study import make_study, run_id

TABLE = RunTable(
    {
        "run_id": ["a", "b", "c"],
        "run_name": ["one", "two", "three"],
        "sweep_name": ["s/sweep", "s/rerun", "t/sweep"],
        "study": ["s", "s", "t"],
        "model.n_layer": [2, 2, 2],
        "model.other.n_layer": [None, None, None],
        "training.learning_rate": [0.1, 0.3, 0.2],
        "model.mine": ["x", "x", "y"],
        "data.graph_d": [None, 5, None],
        "final_valid_loss": [1.5, None, 1.25],
        "val/loss": [1.5, None, 1.25],
    }
)


def ids(table: RunTable) -> list[str]:
    return list(table.columns["run_id"])


def test_rows_are_filtered_sorted_and_cut():
    assert ids(TABLE.where([read_condition("learning_rate>=0.2")])) == ["b", "c"]
    both = [read_condition("n_layer=2"), read_condition("final_valid_loss<1.4")]
    assert ids(
        RunTable(dict(TABLE.columns) | {"model.other.n_layer": [1] * 3}).where(both[1:])
    ) == ["c"]
    assert ids(TABLE.sorted_by("final_valid_loss")) == ["c", "a", "b"]
    assert ids(TABLE.sorted_by("final_valid_loss", descending=True)) == ["a", "c", "b"]
    assert ids(TABLE.sorted_by("run_name")) == ["a", "c", "b"]
    assert ids(TABLE.first(2)) == ["a", "b"]
    assert ids(TABLE.of_sweep("s")) == ["a", "b"] == ids(TABLE.first(2))
    assert ids(TABLE.of_sweep("t/sweep")) == ["c"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("learnig_rate", "training.learning_rate"),
        ("training.learnig_rate", "training.learning_rate"),
        ("n_layer", "model.n_layer or model.other.n_layer"),
        ("loss", "val/loss"),
        ("nothing", "--list_columns"),
    ],
)
def test_a_wrong_column_names_close_ones(name, hint):
    problem = problem_of(TABLE.column, name, "--sort_by")
    assert (problem.file, problem.key) == ("--sort_by", name) and hint in problem.hint


def test_a_wrong_sweep_names_close_ones():
    assert "did you mean s/sweep?" in problem_of(TABLE.of_sweep, "s/sweeep").hint
    assert "s/sweep, s/rerun, t/sweep" in problem_of(TABLE.of_sweep, "nothing").hint


def test_columns_that_say_nothing_are_left_out():
    names = default_columns(TABLE)
    assert names == [
        *("run_id", "run_name", "sweep_name", "training.learning_rate", "model.mine"),
        *("data.graph_d", "final_valid_loss"),
    ]
    assert "model.n_layer" in default_columns(TABLE.first(1))
    assert "model.other.n_layer" not in TABLE.filled


def test_who_fills_a_column_is_visible():
    owners = {name: owner_of(name) for name in TABLE.names}
    assert owners["run_id"] == "run"
    assert owners["training.learning_rate"] == "all systems"
    assert owners["data.graph_d"] == "pathstar"
    assert owners["model.mine"] == "own"
    assert (
        owners["final_valid_loss"] == owners["val/loss"] == owner_of("val/loss/token_3") == "metric"
    )
    assert owner_of("total_steps") == "training"
    lines = list(column_lines(TABLE))
    assert any(line.split()[:3] == ["model.mine", "own", "2"] for line in lines)
    assert any(line.startswith("model.other.n_layer") and line.endswith("empty") for line in lines)
    text = "\n".join(as_text(TABLE.only(default_columns(TABLE)), TABLE))
    assert "model.mine (own)" in text


def test_the_text_fits_its_lines_and_says_what_is_the_same():
    wide = RunTable(
        {"run_id": ["a", "b"], **{f"training.field_{n}": [n, n + 1] for n in range(30)}}
        | {"model.n_layer": [2, 2]}
    )
    shown = wide.only(default_columns(wide))
    lines = list(as_text(shown, wide))
    assert max(map(len, lines)) <= 100
    assert sum(line.startswith("run_id") for line in lines) > 1  # each block names the runs
    assert lines[-1].startswith("the same in all 2 runs: 1 column")
    assert list(as_text(wide.where([read_condition("run_id=z")]), wide)) == ["no run fulfils this"]


def test_statistics_are_those_of_the_rows():
    lines = dict(line.strip().split(": ", 1) for line in list(statistics_lines(TABLE))[1:])
    assert lines["model.n_layer"] == "2"
    assert lines["final_valid_loss"] == "1.25, 1.5"
    many = RunTable({"run_id": list("abcd"), "val/loss": [1.0, 2.0, 4.0, 5.0]})
    count, values = statistics_lines(many)
    assert count == "4 runs" and values == "  val/loss: 1 to 5, mean 3 (4 values)"


def test_other_formats_have_the_same_values():
    table = TABLE.only(["run_id", "final_valid_loss", "data.graph_d"])
    rows = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert [row["final_valid_loss"] for row in rows] == ["1.5", "", "1.25"]
    assert json.loads(as_json(table))[1] == {
        "run_id": "b",
        "final_valid_loss": None,
        "data.graph_d": 5,
    }
    markdown = as_markdown(RunTable({"run_id": ["a|b"]})).splitlines()
    assert markdown == ["| run_id |", "| --- |", "| a\\|b |"]


def test_the_table_is_written_again_when_a_run_changed(tmp_path):
    layout: Layout = make_study(tmp_path)
    first = read_table(layout)
    assert len(first) > 3 and "model.n_layer" in first.names
    before = layout.runs_table.stat().st_ino
    read_table(layout)
    assert layout.runs_table.stat().st_ino == before
    name = run_id(layout, "sweep", "bbb")
    update_metrics(name, {"probe": 0.5}, layout)
    added = layout.run(name) / "added_metrics.json"
    later = layout.runs_table.stat().st_mtime_ns + 1_000_000
    os.utime(added, ns=(later, later))
    again = read_table(layout)
    assert again.where([read_condition("probe=0.5")]).columns["run_id"] == [name]
