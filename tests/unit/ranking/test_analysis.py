"""Rankings by hand: slopes, composite scores, best configurations."""

import math
import statistics
from pathlib import Path

import pytest

from resweep import yaml12
from resweep.ranking.analysis import Analysis, analyse, configs_text, leaders, with_fields
from resweep.ranking.exported_runs import Columns, ExportedRun, read_export
from resweep.systems.registry import find_system
from tests.conftest import ROOT
from tests.support.problems import problem_of

SCHEMA = find_system().schema
EXPORTS = ROOT.parent / "shared/data/wandb_csv"
RUNS = [
    ExportedRun(name="slow", points=((100, 5.0), (200, 4.9), (900, 3.0)), settings={"lr": 1e-3}),
    ExportedRun(name="fast", points=((100, 5.0), (200, 4.0), (900, 3.5)), settings={"lr": 2e-3}),
    ExportedRun(name="late", points=((500, 3.2),), settings={"lr": 3e-3}),
    ExportedRun(name="none", points=(), settings={"lr": 4e-3}),
]
HOW = Analysis(metric="loss", early_steps=200)


def test_the_final_value_ranks_and_the_slope_stands_beside_it():
    rows = analyse(RUNS, HOW)
    assert [(row.rank, row.name) for row in rows] == [(1, "slow"), (2, "late"), (3, "fast")]
    assert [row.early_slope for row in rows] == [
        pytest.approx(-0.001),
        None,
        pytest.approx(-0.01),
    ]
    assert [row.best for row in rows] == [3.0, 3.2, 3.5]


def test_the_composite_scores_are_the_formulas():
    how = Analysis(metric="loss", early_steps=200, slope_weight=30.0, final_weight=2.0)
    rows = {row.name: row for row in analyse(RUNS[:2], how)}
    assert rows["slow"].raw == pytest.approx(30 * 0.001 - 2 * 3.0)
    assert rows["fast"].raw == pytest.approx(30 * 0.01 - 2 * 3.5)
    # Of two values, one is one deviation below the mean and the other one above.
    assert rows["slow"].zscore == pytest.approx(-30 + 2)
    assert rows["fast"].zscore == pytest.approx(30 - 2)


def test_another_first_by_another_rule_is_said():
    how = Analysis(metric="loss", early_steps=200, slope_weight=2.0)
    (line,) = leaders(analyse(RUNS[:2], how), how)
    assert "fast" in line and "rank 2" in line


def test_seeds_are_one_configuration():
    runs = [
        ExportedRun(
            name=f"{lr} {seed}", points=((1, lr + seed / 10),), settings={"lr": lr, "seed": seed}
        )
        for lr in (1, 2)
        for seed in (1, 2, 3)
    ]
    named, lines = with_fields(runs, SCHEMA)
    assert lines == ["lr is read as training.learning_rate"]
    rows = analyse(named, HOW)
    assert [row.rank for row in rows] == [1, 1, 1, 2, 2, 2]
    assert {row.seeds for row in rows} == {3} and rows[0].final_mean == pytest.approx(1.2)
    assert yaml12.parse(configs_text(rows, 5, HOW, SCHEMA)) == [
        {"learning_rate": 1},
        {"learning_rate": 2},
    ]


@pytest.mark.parametrize(
    ("values", "path"),
    [((0.1, 0.2), "training.pct_warmup"), ((100, 200), "training.warmup_steps")],
)
def test_a_warmup_is_steps_or_a_fraction_by_its_values(values, path):
    runs = [ExportedRun(name=f"{v}", points=((1, 1.0),), settings={"warmup": v}) for v in values]
    named, _ = with_fields(runs, SCHEMA)
    assert [list(run.settings) for run in named] == [[path], [path]]


def test_runs_without_hyperparameters_make_no_configurations():
    rows = analyse([ExportedRun(name="a", points=((1, 1.0),))], HOW)
    problem = problem_of(configs_text, rows, 1, HOW, SCHEMA)
    assert "table of runs" in problem.hint


def skip_without(name: str) -> Path:
    file = EXPORTS / name
    if not file.is_file():
        pytest.skip(f"no shared/data/wandb_csv/{name} beside the project")
    return file


def test_a_real_panel_by_hand():
    """Slope and final of each run, computed here from the file's text alone."""
    file = skip_without("panel_wide_8runs.csv")
    header, *rows = [line.split(",") for line in file.read_text().replace('"', "").splitlines()]
    expected = {}
    for column, name in enumerate(header):
        if name.endswith(" - train/loss"):
            points = [(float(row[0]), float(row[column])) for row in rows if row[column]]
            early = [(x, y) for x, y in points if x <= 100]
            mean_x, mean_y = (statistics.fmean(values) for values in zip(*early, strict=True))
            above = sum((x - mean_x) * (y - mean_y) for x, y in early)
            slope = above / sum((x - mean_x) ** 2 for x, _ in early)
            expected[name.removesuffix(" - train/loss")] = (slope, points[-1][1])
    exported = read_export(file, Columns())
    rows_found = analyse(exported.runs, Analysis(metric="train/loss", early_steps=100))
    assert len(rows_found) == len(expected) == 8
    for row in rows_found:
        slope, final = expected[row.name]
        assert row.early_slope == pytest.approx(slope) and row.final == final
    finals = [row.final for row in rows_found]
    assert finals == sorted(finals) and math.isclose(finals[0], 3.2849, abs_tol=1e-3)


def test_a_real_table_by_hand():
    """Sixteen configurations of four seeds each."""
    exported = read_export(skip_without("runs_table_64runs.csv"), Columns(metric="val/loss"))
    runs, _ = with_fields(exported.runs, SCHEMA)
    rows = analyse(runs, Analysis(metric="val/loss"))
    assert len(rows) == 64 and {row.seeds for row in rows} == {4}
    assert len({row.rank for row in rows}) == 16
    groups: dict[str, list[float]] = {}
    for run in exported.runs:
        groups.setdefault(run.name.partition(" (")[0], []).append(run.points[0][1])
    best = min(groups, key=lambda name: statistics.fmean(groups[name]))
    assert rows[0].name.startswith(best) and rows[0].final_mean == statistics.fmean(groups[best])


def test_a_dump_of_one_history_is_refused():
    file = skip_without("history_dump_no_run_column.csv")
    assert "names of runs" in problem_of(read_export, file, Columns()).hint
