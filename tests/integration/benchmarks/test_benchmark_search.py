"""The benchmark of searches: tables, what is interpolated between them, and repetitions."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.search import make_table, report
from benchmarks.search.catalog import ALONE, METHODS, RESAMPLED, ROUND_SIZES, TABLE, WITH_RUNGS
from benchmarks.search.functions import FUNCTIONS
from benchmarks.search.interpolate import Interpolation, objective_from
from benchmarks.search.measure import Method, measure, read_cache, search
from benchmarks.search.methods import ENGINE_PYTHON, Random
from benchmarks.search.objective import Objective, generator
from benchmarks.search.table import read_table
from resweep.errors import ConfigError
from resweep.sweep import EarlyTerminate

BY_NAME = {function.name: function for function in FUNCTIONS}
MINIMA = {
    "Branin": {"x": math.pi, "y": 2.275},
    "Hartmann 6": dict(
        zip(
            ("x1", "x2", "x3", "x4", "x5", "x6"),
            (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573),
            strict=True,
        )
    ),
    "mixed Ackley": {"x": 1.3, "y": -0.7, "m": 3, "n": -2, "kind": "plain"},
    "log Rosenbrock": {"a": 10.0, "b": 10.0, "c": 10.0, "d": 10.0},
}
EVALUATIONS = 20


def true_curve(lr: float, size: int, kind: str) -> np.ndarray:
    """A loss that falls to where these hyperparameters let it."""
    end = 1 + 0.2 * (math.log10(lr) + 2.5) ** 2 + 0.02 * abs(size - 30) + 0.3 * (kind == "b")
    return end + np.exp(-np.arange(1, EVALUATIONS + 1) / 5)


def write_table(path: Path, rows: int = 48, noise: float = 0.01) -> Path:
    """Rows at random, every twelfth of them five times."""
    rng = generator("table")
    steps = ",".join(f"val/loss@{10 * (i + 1)}" for i in range(EVALUATIONS))
    lines = [f"lr,size,kind,fixed,{steps}"]
    for row in range(rows):
        point = (float(10 ** rng.uniform(-4, -1)), int(rng.integers(10, 60)), "ab"[row % 2])
        for _ in range(5 if row % 12 == 0 else 1):
            curve = true_curve(*point) + noise * rng.normal(size=EVALUATIONS)
            lines.append(",".join(map(str, (*point, 7, *curve.tolist()))))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("table") / "made-up.csv")


@pytest.fixture(scope="module")
def curves(table: Path) -> Objective:
    return objective_from(table, "minimize")


# Tables


def test_a_table_spans_a_space(table):
    read = read_table(table)
    kinds = {p.name: p.distribution for p in read.parameters}
    assert kinds == {"lr": "log_uniform_values", "size": "int_uniform", "kind": "categorical"}
    assert read.metric == "val/loss" and read.steps == tuple(range(10, 201, 10))
    assert read.curves.shape == (64, 20)
    assert all(
        p.low <= point[p.name] <= p.high for p in read.parameters[:2] for point in read.points
    )


def test_few_numbers_are_choices(tmp_path):
    file = tmp_path / "grid.csv"
    rows = [f"{batch},{lr / 100},{batch * lr}" for batch in (8, 16, 32) for lr in range(1, 11)]
    file.write_text("\n".join(["batch,lr,loss@5", *rows]) + "\n")
    batch, lr = read_table(file).parameters
    assert batch.values == (8, 16, 32)
    assert lr.distribution == "uniform" and (lr.low, lr.high) == (0.01, 0.1)


def test_a_diverged_training_leaves_the_rest_empty(table, tmp_path):
    header, first, *rest = table.read_text().splitlines()
    cells = first.split(",")
    cells[-3:] = ["", "", ""]
    file = tmp_path / "diverged.csv"
    file.write_text("\n".join([header, ",".join(cells), *rest[:20]]) + "\n")
    read = read_table(file)
    assert np.isnan(read.curves[0]).tolist() == [False] * 17 + [True] * 3
    ends = Interpolation(read, "minimize").curves[:, -1]
    assert np.isfinite(ends).all()


WRONG = {
    "no steps": (lambda lines: [lines[0].replace("@", "_"), *lines[1:]], "metric@step"),
    "no hyperparameter": (
        lambda lines: [",".join(line.split(",")[4:]) for line in lines],
        "columns should be hyperparameters, then metric@step",
    ),
    "two metrics": (lambda lines: [lines[0].replace("val/loss@20", "f1@20"), *lines[1:]], "f1"),
    "falling steps": (
        lambda lines: [lines[0].replace("@10,", "@999,"), *lines[1:]],
        "in rising steps",
    ),
    "hyperparameter behind": (lambda lines: [f"{line},9" for line in lines], "then metric@step"),
    "word in a curve": (lambda lines: [*lines[:-1], lines[-1] + "x"], ":65: val/loss@200 = "),
    "gap": (
        lambda lines: [*lines[:-1], ",".join([*lines[-1].split(",")[:-2], "", "1"])],
        "has a gap before later values",
    ),
    "short row": (lambda lines: [*lines[:-1], "1,2"], ":65: has 2 cells; the header has 24"),
    "empty hyperparameter": (lambda lines: [*lines[:-1], "," + lines[-1].split(",", 1)[1]], "lr"),
    "words and numbers": (
        lambda lines: [*lines[:-1], "x," + lines[-1].split(",", 1)[1]],
        "lr: mix",
    ),
    "few rows": (lambda lines: lines[:9], "has 8 rows; an interpolation needs 16"),
    "nothing": (lambda lines: [], "is empty"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_table_is_refused_in_a_line(case, table, tmp_path):
    change, message = WRONG[case]
    file = tmp_path / "wrong.csv"
    file.write_text("\n".join(change(table.read_text().splitlines())))
    with pytest.raises(ConfigError) as caught:
        read_table(file)
    assert len(caught.value.problems) == 1 and message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1 and str(file) in str(caught.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.csv: cannot be read"):
        read_table(tmp_path / "absent.csv")


# Interpolation


def test_the_interpolation_gives_back_its_rows_and_predicts_others(table, curves):
    fitted = Interpolation(read_table(table), "minimize")
    errors = fitted.curves_at(fitted.inputs) - fitted.curves
    assert np.abs(errors).max() < 0.05  # five times the noise
    accuracy = fitted.accuracy()
    assert accuracy.error < 0.3 * accuracy.spread and accuracy.rank > 0.9
    assert 0.003 < accuracy.noise < 0.03
    unseen = {"lr": 3e-3, "size": 30, "kind": "a"}
    assert np.abs(curves.curve(unseen) - true_curve(**unseen)).max() < 0.1
    assert curves.optimum == pytest.approx(true_curve(10**-2.5, 30, "a")[-1], abs=0.1)


def test_no_point_of_the_space_is_better_than_the_optimum(curves):
    draws = search(curves, METHODS["Sobol"], 3, 64)
    assert all(best.regret > -1e-3 for best in draws.incumbents)


def test_noise_is_that_of_repeats_and_reproducible(curves):
    point = {"lr": 1e-3, "size": 20, "kind": "b"}
    ends = [curves.train(point, (seed,))[-1] for seed in range(200)]
    assert np.std(ends) == pytest.approx(0.01, rel=0.7)
    assert np.mean(ends) == pytest.approx(curves.curve(point)[-1], abs=0.004)
    assert (curves.train(point, (7, "a")) == curves.train(point, (7, "a"))).all()
    assert (curves.train(point, (7, "a")) != curves.train(point, (7, "b"))).any()


def test_what_is_to_be_maximised_has_its_optimum_above(table, tmp_path):
    lines = table.read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    turned = [",".join([*row[:4], *(str(-float(cell)) for cell in row[4:])]) for row in rows]
    file = tmp_path / "turned.csv"
    file.write_text("\n".join([lines[0], *turned]) + "\n")
    objective = objective_from(file, "maximize")
    assert objective.optimum == pytest.approx(-1.02, abs=0.1)
    assert objective.regret({"lr": 2e-4, "size": 12, "kind": "b"}) > 0.5


def test_the_table_of_tiny_gpts_can_be_searched():
    read = read_table(TABLE)
    assert len(read.points) == 256 + make_table.REPEATED * make_table.REPEATS
    assert {p.name: p.distribution for p in read.parameters} == {
        p.name: p.distribution for p in make_table.SPACE
    }
    assert len(read.steps) == make_table.EVALUATIONS and np.isfinite(read.curves).all()
    points = [point for _, point in make_table.design(256)]
    assert list(read.points) == points


# Objectives, methods, repetitions


@pytest.mark.parametrize("name", MINIMA)
def test_regret_is_zero_at_the_minimum_and_nowhere_less(name):
    function = BY_NAME[name]
    assert function.regret(MINIMA[name]) == pytest.approx(0, abs=1e-5)
    draws = search(function, METHODS["random"], 0, 256)
    assert all(best.regret >= 0 for best in draws.incumbents)


@pytest.mark.parametrize("method", [method.name for method in ALONE if method.name != "W&B bayes"])
def test_the_same_seed_gives_the_same_search(method):
    function = BY_NAME["Branin"]
    first, again = (search(function, METHODS[method], 4, 11) for _ in range(2))
    assert first == again
    assert first.incumbents != search(function, METHODS[method], 5, 8).incumbents
    assert first.trials == (16 if METHODS[method].batch == 8 else 11)


@pytest.mark.long
@pytest.mark.skipif(not ENGINE_PYTHON.exists(), reason="W&B's engine: make oracle")
def test_wandbs_engine_searches_reproducibly():
    function = BY_NAME["mixed Ackley"]
    first, again = (search(function, METHODS["W&B bayes"], 4, 4) for _ in range(2))
    assert first == again and first.trials == 4
    assert all(point.point.keys() == MINIMA[function.name].keys() for point in first.incumbents)


def test_rungs_cost_what_they_train(curves):
    alone = search(curves, METHODS["random"], 0, 27)
    rule = EarlyTerminate(type="hyperband", max_iter=20, s=2, eta=3)
    halved = search(curves, Method("halved", Random, batch=27, rule=rule), 0, 1)
    assert (alone.trials, alone.stopped, alone.incumbent(10_000).spent <= 27 * 20) == (27, 0, True)
    # 27 train to 2 of 20, 10 of them to 6, 4 of those to the end.
    assert (halved.trials, halved.stopped) == (27, 23)
    assert halved.incumbents[-1].spent <= 27 * 2 + 10 * 4 + 4 * 14
    assert halved.incumbents[-1].spent > 27 * 2 + 10 * 4


def test_measured_repetitions_are_kept(tmp_path):
    cache = tmp_path / "cache.jsonl"
    function, method = BY_NAME["Branin"], METHODS["random"]

    known = search(function, method, 0, 4)
    whole = json.dumps(dataclasses.asdict(known)) + "\n"
    cache.write_text(whole + '{"key": "abc')  # the process that wrote the second was killed
    made = measure(
        [function], [method], range(2), budget=4, cache=cache, make=branin_by, processes=1
    )
    assert made == [known, search(function, method, 1, 4)]
    assert cache.read_text().startswith(whole) and list(read_cache(cache)) == made
    other = dataclasses.replace(method, version="2")
    assert other.key(function, 4) != method.key(function, 4)


def branin_by(objective: str, method: str):
    return BY_NAME[objective], METHODS[method]


def test_tables_and_pictures_show_every_method(tmp_path):
    function, methods = BY_NAME["Branin"], (METHODS["random"], METHODS["Sobol"])
    found = [search(function, method, seed, 20) for method in methods for seed in range(3)]
    text = report.regret_table(found, "Branin", 1, 20)
    rows = [line.split(" | ") for line in text.splitlines()]
    assert rows[0] == ["| Branin", "16", "trials, stopped |"]
    regrets = [one.incumbent(16).regret for one in found[:3]]
    error = np.std(regrets, ddof=1) / math.sqrt(3)
    assert 1 <= error < 10  # shown with two digits, and the mean with as many places
    assert rows[2] == ["| random", f"{np.mean(regrets):.1f} ± {error:.1f}", "20, 0 |"]
    assert [row[0] for row in rows[2:]] == ["| random", "| Sobol"]
    picture = tmp_path / "pictures/regret.svg"
    report.draw(found, [("Branin", 1)], picture, budget=20, title="trainings")
    assert all(word in picture.read_text() for word in ("<svg", "random", "Sobol", "regret"))


def test_methods_have_names_of_their_own():
    assert len(METHODS) == sum(map(len, (ALONE, ROUND_SIZES, WITH_RUNGS, RESAMPLED)))


def test_a_table_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    monkeypatch.setattr(make_table, "STEPS", 4)
    monkeypatch.setattr(make_table, "EVALUATIONS", 2)
    monkeypatch.setattr(make_table, "REPEATED", 1)
    monkeypatch.setattr(make_table, "REPEATS", 1)
    whole, file = tmp_path / "whole.csv", tmp_path / "interrupted.csv"
    make_table.make_table(whole, 2, tmp_path)
    lines = whole.read_text().splitlines(keepends=True)
    assert len(lines) == 1 + 3 and lines[1].split(",")[:7] == lines[3].split(",")[:7]
    file.write_text("".join(lines[:2]) + lines[2][:20])
    make_table.make_table(file, 2, tmp_path)
    assert file.read_text() == whole.read_text()
    file.write_text(lines[0] + lines[2])
    with pytest.raises(ConfigError, match="rows of another design"):
        make_table.make_table(file, 2, tmp_path)
