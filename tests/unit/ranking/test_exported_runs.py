"""Runs in W&B's CSV files of three shapes."""

from pathlib import Path

import pytest

from resweep.ranking.exported_runs import Columns, read_export, read_exports
from tests.support.problems import problem_of

LONG = """\
run_name,learning_rate,warmup,Step,Train Loss
a,0.001,0.1,1000,4.0
a,0.001,0.1,100,5.0
a,0.001,0.1,3000,NaN
b,2e-3,0.2,100,4.9
b,2e-3,0.2,1000,
b,2e-3,0.2,2000,3.8
"""
PANEL = """\
Step,a - b - train/loss,a - b - train/loss__MIN,a - b - train/loss__MAX,c - train/loss
0,5,5,5,6
10,4,3,5,
20,,,,5.5
30,3
"""
TABLE = """\
Name,State,Runtime,lr,layers,bias,val/loss,lr_now,_step
x,finished,5,0.001,4,true,2.5,1e-5,100
y,crashed,5,1e-3,8,false,,1e-5,50
x,finished,5,0.002,4,true,2.25,1e-5,100
"""


def export(tmp_path: Path, text: str, name: str = "export.csv", **wanted):
    file = tmp_path / name
    file.write_text(text)
    return read_export(file, Columns(**wanted))


def test_rows_of_steps_are_grouped_by_run(tmp_path):
    found = export(tmp_path, LONG)
    assert (found.metric, found.x) == ("Train Loss", "Step")
    a, b = found.runs
    assert a.points == ((100, 5.0), (1000, 4.0)) and b.points == ((100, 4.9), (2000, 3.8))
    assert a.settings == {"learning_rate": 0.001, "warmup": 0.1}
    assert b.settings == {"learning_rate": 0.002, "warmup": 0.2}


def test_a_panel_has_a_column_for_each_run(tmp_path):
    found = export(tmp_path, PANEL)
    assert (found.metric, found.x) == ("train/loss", "Step")
    first, second = found.runs
    assert first.name == "a - b" and first.points == ((0, 5), (10, 4), (30, 3))
    assert second.name == "c" and second.points == ((0, 6), (20, 5.5))


@pytest.mark.parametrize("x", ["Relative Time (Process)", "trainer/global_step", "my axis"])
def test_a_panel_may_have_any_x_axis(x, tmp_path):
    found = export(tmp_path, PANEL.replace("Step", x, 1))
    assert found.x == x and len(found.runs) == 2


def test_a_table_has_final_values_and_what_differs_between_runs(tmp_path):
    found = export(tmp_path, TABLE, metric="val/loss")
    assert found.x is None
    assert [run.name for run in found.runs] == ["x", "y", "x (2)"]
    assert [run.points for run in found.runs] == [((0, 2.5),), (), ((0, 2.25),)]
    assert found.runs[1].settings == {"lr": 0.001, "layers": 8, "bias": False}


def test_hyperparameters_can_be_named(tmp_path):
    found = export(tmp_path, TABLE, metric="val/loss", settings=("lr",))
    assert found.runs[0].settings == {"lr": 0.001}


def test_a_table_gives_a_panel_its_settings(tmp_path):
    (tmp_path / "panel.csv").write_text(PANEL.replace("a - b", "x").replace("c -", "y -"))
    (tmp_path / "table.csv").write_text(TABLE)
    found = read_exports([tmp_path / "panel.csv", tmp_path / "table.csv"], Columns())
    assert [run.settings.get("layers") for run in found.runs] == [4, 8]
    assert found.runs[0].points[0] == (0, 5)


@pytest.mark.parametrize(
    ("text", "wanted", "key", "hint"),
    [
        ("_step,train/loss\n1,2\n2,1\n", {}, "", "names of runs"),
        ("", {}, "", "empty"),
        (LONG, {"metric": "Train Los"}, "--metric", "Train Loss"),
        (LONG, {"x": "steps"}, "--x-axis", "Step"),
        (LONG, {"settings": ("lr",)}, "--hyperparameters", "there are"),
        (LONG.replace("Train Loss", "thing"), {}, "--metric", "thing"),
        (LONG.replace("Step", "when"), {}, "--x-axis", "column of steps"),
        ("Step,a - loss,a - acc\n1,2,3\n", {}, "--metric", "loss, acc"),
        ("Name,Name\n1,2\n", {}, "", "two columns"),
        ("Name,val/loss\nx,1,2,3\n", {}, "", "row 2"),
    ],
)
def test_what_cannot_be_compared_is_refused(text, wanted, key, hint, tmp_path):
    problem = problem_of(export, tmp_path, text, **wanted)
    assert problem.file.endswith("export.csv")
    assert problem.key == key and hint in problem.hint
