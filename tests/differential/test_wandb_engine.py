"""Sweep files mean here what they mean to W&B: the same files asked of both, many of them.

What differs, differs on purpose, and stands in `DIFFERENCES` with its reason.
"""

import copy
import json
import math
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from resweep import yaml12
from resweep.canonical import round_sampled
from resweep.errors import ConfigError
from resweep.replay.redecide import Choice, redecide
from resweep.sweep import EarlyTerminate, Parameter, Sweep, load_sweep
from tests.differential.made_sweeps import (
    DISTRIBUTIONS,
    LOG_EXPONENTS,
    break_sweep,
    make_hyperband,
    make_spec,
    make_sweep,
)
from tests.support.curves import EVERY, METRIC, made_curve, made_sweep

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / ".venv-oracle" / "bin" / "python"

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not ENGINE.exists(), reason="no .venv-oracle; make oracle builds it"),
]


def ask(questions: list[list[Any]]) -> list[Any]:
    """What W&B's engine answers."""
    done = subprocess.run(
        [ENGINE, ROOT / "tests" / "differential" / "wandb_engine.py"],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return list(json.loads(done.stdout))


def load(config: dict[str, Any], folder: Path) -> Sweep:
    file = folder / "sweep.yaml"
    file.write_text(yaml12.dump(config))
    return load_sweep(file)


def problem_of(config: dict[str, Any], folder: Path) -> str:
    """Everything wrong with a sweep file; "" for a valid one."""
    try:
        load(config, folder)
    except ConfigError as error:
        return str(error)
    return ""


# What is valid


class Difference(NamedTuple):
    """A file that one of the two refuses.

    Attributes:
        reason: Why we differ.
        config: An example.
        valid: Whether it is a valid file here; to W&B it is the opposite.
        covers: Whether a made-up file may differ for this reason; None: such files are not made.
    """

    reason: str
    config: dict[str, Any]
    valid: bool
    covers: Callable[[dict[str, Any]], bool] | None = None


def sweep_of(spec: Any, **keys: Any) -> dict[str, Any]:
    return {"method": "random", "parameters": {"a": spec}, **keys}


def specs_in(parameters: Any) -> list[dict[str, Any]]:
    """All parameters of a file, nested ones too."""
    found = []
    for spec in parameters.values() if isinstance(parameters, dict) else ():
        if isinstance(spec, dict):
            found += specs_in(spec["parameters"]) if "parameters" in spec else [spec]
    return found


def any_spec(check: Callable[[dict[str, Any]], bool]) -> Callable[[dict[str, Any]], bool]:
    return lambda config: any(check(spec) for spec in specs_in(config.get("parameters")))


def meant_as_values(spec: dict[str, Any]) -> bool:
    """Whether bounds that are exponents make no sense as such."""
    low, high = spec.get("min"), spec.get("max")
    numbers = all(isinstance(bound, int | float) for bound in (low, high))
    return numbers and ((low > 0 and high <= 1) or max(abs(low), abs(high)) > 50)


def is_zero(value: Any) -> bool:
    return value == 0 and not isinstance(value, bool)


def wrong_probabilities(spec: dict[str, Any]) -> bool:
    """Whether probabilities are not one for each value, or do not add up to 1."""
    given = spec.get("probabilities")
    if not isinstance(given, list):
        return False
    return len(given) != len(spec.get("values", given)) or abs(sum(given) - 1) > 1e-5


def out_of_steps(spec: dict[str, Any]) -> bool:
    """Whether no multiple of q lies between the bounds."""
    low, high, q = spec.get("min"), spec.get("max"), spec.get("q", 1.0)
    numbers = all(isinstance(number, int | float) for number in (low, high, q))
    if not numbers or not str(spec.get("distribution")).startswith("q_"):
        return False
    if spec["distribution"] == "q_log_uniform":
        low, high = math.exp(low), math.exp(high)
    return math.floor(high / q + 1e-9) < math.ceil(low / q - 1e-9)


DIFFERENCES = [
    Difference(
        "a mistyped or foreign key at the top is a warning: real files have them",
        sweep_of({"value": 1}, count=4),
        True,
    ),
    Difference("resweep's seed", sweep_of({"value": 1}, seed=1), True),
    Difference("resweep's samplers", sweep_of({"value": 1}, sampler="sobol"), True),
    Difference(
        "resweep's one cut",
        sweep_of({"value": 1}, early_terminate={"type": "one_cut", "min_iter": 2, "keep": 3}),
        True,
    ),
    Difference(
        "the short format of sweep_name, strategy and num_runs",
        {"sweep_name": "x", "strategy": "grid", "parameters": {"a": {"values": [1]}}},
        True,
    ),
    Difference(
        "a key without a value is no key",
        sweep_of({"value": 1}, metric=None),
        True,
        lambda config: None in config.values(),
    ),
    Difference(
        "YAML's false may stand for W&B's 'false'",
        sweep_of({"value": 1}, metric={"name": "x", "impute_while_running": False}),
        True,
        lambda config: (config.get("metric") or {}).get("impute_while_running") is False,
    ),
    Difference(
        "exponents of e that are certainly meant as values",
        sweep_of({"distribution": "log_uniform", "min": 1e-5, "max": 1e-1}),
        False,
        any_spec(lambda spec: spec.get("distribution") in LOG_EXPONENTS and meant_as_values(spec)),
    ),
    Difference(
        "a spread or shape of 0 draws nan",
        sweep_of({"distribution": "normal", "sigma": 0}),
        False,
        any_spec(lambda spec: any(is_zero(spec.get(key)) for key in ("sigma", "a", "b"))),
    ),
    Difference(
        "no multiple of q lies between the bounds, so W&B leaves them",
        sweep_of({"distribution": "q_uniform", "min": 1.2, "max": 1.8}),
        False,
        any_spec(out_of_steps),
    ),
    Difference(
        "probabilities are checked in nested parameters too",
        sweep_of({"parameters": {"b": {"values": [1, 2], "probabilities": [1]}}}),
        False,
        lambda config: any(
            wrong_probabilities(inner)
            for spec in config["parameters"].values()
            if isinstance(spec, dict) and "parameters" in spec
            for inner in specs_in(spec["parameters"])
        ),
    ),
    Difference(
        "e^1000 is no number",
        sweep_of({"distribution": "log_normal", "mu": 1000}),
        False,
    ),
    Difference("nan has no canonical form", sweep_of({"values": [1, math.nan]}), False),
    Difference("-0.0 has no canonical form", sweep_of({"value": -0.0}), False),
    Difference("a bound is finite", sweep_of({"min": 0.0, "max": math.inf}), False),
    Difference(
        "a part of a name is empty",
        sweep_of({"value": 1}) | {"parameters": {"a..b": {"value": 1}}},
        False,
    ),
    Difference(
        "a command has words",
        sweep_of({"value": 1}, command=[]),
        False,
        lambda config: config.get("command") == [],
    ),
    Difference(
        "a command has words, and no mappings",
        sweep_of({"value": 1}, command=["python", {"a": 1}]),
        False,
    ),
    Difference("a metric has a name", sweep_of({"value": 1}, metric={"name": ""}), False),
    Difference(
        "text that YAML 1.1 reads as a number or a boolean",
        sweep_of(
            {"min": "1_000", "max": 2000},
            run_cap="1_0",
            early_terminate={"type": "hyperband", "min_iter": 1, "strict": "yes"},
        ),
        True,
    ),
    Difference(
        "whole bounds of int_uniform may be written as floats",
        sweep_of({"distribution": "int_uniform", "min": 1.0, "max": 8.0}),
        True,
    ),
    Difference(
        "entries of a list have numbers as names",
        sweep_of({"parameters": {"0": {"value": 1}, "1": {"value": 2}}}),
        True,
    ),
]


def test_the_differences_are_as_stated(tmp_path):
    theirs = ask([["is_valid", difference.config, True] for difference in DIFFERENCES])
    for difference, problem in zip(DIFFERENCES, theirs, strict=True):
        ours = problem_of(difference.config, tmp_path)
        assert (ours == "", problem == "") == (difference.valid, not difference.valid), (
            difference.reason,
            ours,
            problem,
        )


@pytest.mark.parametrize(
    "config",
    [
        sweep_of({"value": 1}, run_cap=4.0),
        sweep_of({"value": 1}, early_terminate={"type": "hyperband", "min_iter": 3.0, "eta": 3}),
        sweep_of({"value": 1}, command=["python", True, None, 3, 0.5]),
        sweep_of({"value": [1, 2]}),
        sweep_of({"value": {"0": 0.1, "50": 0.01}}),
        sweep_of({"min": 0, "max": 0.1}),
        {
            "method": "grid",
            "parameters": {"z": {"value": "adam"}, "z.lr": {"values": [1, 2]}},
        },
    ],
)
def test_both_accept(config, tmp_path):
    (theirs,) = ask([["is_valid", config, False]])
    assert theirs == problem_of(config, tmp_path) == ""


@pytest.mark.parametrize("distribution", LOG_EXPONENTS)
def test_distributions_that_wandb_replaced_load_here(distribution, tmp_path):
    config = sweep_of({"distribution": distribution, "min": -2.5, "max": 3})
    refused, accepted = ask([["is_valid", config, False], ["is_valid", config, True]])
    assert f"Use {distribution}_values" in refused
    assert accepted == problem_of(config, tmp_path) == ""


@pytest.mark.parametrize("broken", [False, True])
def test_both_find_the_same_files_valid(broken, tmp_path):
    chance = random.Random(f"validity {broken}")
    made = [make_sweep(chance) for _ in range(500)]
    if broken:
        made = [break_sweep(chance, copy.deepcopy(config)) for config in made]
    theirs = ask([["is_valid", config, True] for config in made])
    ours = [problem_of(config, tmp_path) for config in made]
    if broken:
        assert 50 < sum(problem == "" for problem in theirs) < 450
        named = [p for p in ours if p and "parameters." in p]
        assert len(named) > 150
    for config, problem, wandb_problem in zip(made, ours, theirs, strict=True):
        if (problem == "") != (wandb_problem == ""):
            assert any(
                difference.covers(config)
                for difference in DIFFERENCES
                if difference.covers is not None and difference.valid == (problem == "")
            ), (config, problem, wandb_problem)


def test_each_invalid_parameter_is_named(tmp_path):
    """One broken parameter among valid ones: one problem, and its name in it."""
    chance = random.Random("names")
    cases = []
    for number in range(300):
        spec = make_spec(chance, chance.choice(DISTRIBUTIONS))
        config = {"method": "random", "parameters": {"good": {"values": [1, 2]}, "bad": spec}}
        cases.append(break_sweep(random.Random(number), config))
    theirs = ask([["is_valid", config, True] for config in cases])
    told = 0
    for config, wandb_problem in zip(cases, theirs, strict=True):
        intact = config["parameters"].get("good") == {"values": [1, 2]}
        if wandb_problem and intact and "bad" in config["parameters"] and "method" in config:
            try:
                load(config, tmp_path)
            except ConfigError as error:
                keys = [p.key for p in error.problems if p.key.startswith("parameters")]
                assert all(key.split(".")[1] == "bad" for key in keys)
                told += len(keys)
    assert told > 60


# Grids


def test_grids_have_the_same_points_in_the_same_order(tmp_path):
    chance = random.Random("grids")
    made = []
    while len(made) < 120:
        config = make_sweep(chance) | {"method": "grid"}
        if problem_of(config, tmp_path) == "":
            names = [parameter.name for parameter in load(config, tmp_path).parameters]
            if len(set(names)) == len(names):
                made.append(config)
    theirs = ask([["grid", config, 300] for config in made])
    assert sum(map(len, theirs)) > 1000
    for config, points in zip(made, theirs, strict=True):
        ours = list(load(config, tmp_path).points(300))
        assert [sorted(point) for point in ours] == [sorted(point) for point in points]
        for our_point, point in zip(ours, points, strict=True):
            assert all(same(our_point[name], point[name]) for name in point), (config, point)


def same(ours: Any, theirs: Any) -> bool:
    """Whether values are equal, with numbers to the 8 digits that we round to."""
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, int | float) and isinstance(theirs, int | float):
        return math.isclose(ours, theirs, rel_tol=1e-7, abs_tol=1e-12)
    return bool(ours == theirs)


# Distributions


def test_quantiles_are_the_same(tmp_path):
    chance = random.Random("quantiles")
    specs = []
    for distribution in DISTRIBUTIONS:
        specs += [valid_spec(chance, distribution, tmp_path) for _ in range(12)]
    us = [chance.random() for _ in range(60)]
    theirs = ask([["quantiles", spec, us] for spec in specs])
    for spec, values in zip(specs, theirs, strict=True):
        parameter = load(sweep_of(spec), tmp_path).parameters[0]
        for u, value in zip(us, values, strict=True):
            ours = parameter.draw(u)
            if parameter.distribution.startswith("q_"):
                value = inside(parameter, value)
                assert type(ours) is (int if isinstance(spec.get("q"), int) else float)
            assert same(ours, value), (spec, u, ours, value)


def valid_spec(chance: random.Random, distribution: str, folder: Path) -> dict[str, Any]:
    """A parameter that is valid here too."""
    while True:
        spec = make_spec(chance, distribution)
        if problem_of(sweep_of(spec), folder) == "":
            return spec


def inside(parameter: Parameter, value: float) -> float:
    """W&B's multiple of q, or the nearest inside the bounds: W&B may leave them by half a q."""
    if parameter.distribution not in ("q_uniform", "q_log_uniform", "q_log_uniform_values"):
        return value
    low, high = parameter.extremes
    assert low - parameter.q * 1.001 <= value <= high + parameter.q * 1.001
    return min(max(value, low), high)


def test_samples_come_from_the_same_distributions(tmp_path):
    from scipy.stats import ks_2samp

    chance = random.Random("samples")
    specs = {}
    for distribution in sorted({*DISTRIBUTIONS} - {"constant", *LOG_EXPONENTS}):
        for number in range(2):
            spec = valid_spec(chance, distribution, tmp_path)
            while leaves_bounds(spec):
                spec = valid_spec(chance, distribution, tmp_path)
            specs[f"{distribution}_{number}"] = spec
    count, alpha = 1500, 1e-3 / len(specs)  # Bonferroni
    config = {"method": "random", "parameters": specs}
    (theirs,) = ask([["samples", config, count, 1]])
    ours = list(load(config, tmp_path).points(count))
    for name, spec in specs.items():
        drawn = [numeric(point[name], spec) for point in ours]
        wandb = [numeric(point[name], spec) for point in theirs]
        assert ks_2samp(drawn, wandb).pvalue > alpha, (name, spec)


def leaves_bounds(spec: dict[str, Any]) -> bool:
    """Whether W&B's rounding to multiples of q can leave the bounds, ours cannot."""
    if not spec.get("distribution", "").startswith("q_") or "min" not in spec:
        return False
    q = spec.get("q", 1.0)
    return round(spec["min"] / q) * q < spec["min"] or round(spec["max"] / q) * q > spec["max"]


def numeric(value: Any, spec: dict[str, Any]) -> float:
    """A value as a number; a choice as its place among the choices."""
    if "values" not in spec:
        return round_sampled(value)
    return next(i for i, choice in enumerate(spec["values"]) if same(choice, value))


# Hyperband


def test_bands_and_thresholds_are_the_same():
    chance = random.Random("hyperband")
    cases = []
    for _ in range(150):
        longest = chance.randint(2, 120)
        histories = [
            [
                chance.gauss(0, 1)
                for _ in range(chance.choice([longest, chance.randint(1, longest)]))
            ]
            for _ in range(chance.randint(1, 40))
        ]
        metric = {"name": "loss", "goal": chance.choice(["minimize", "maximize"])}
        cases.append(({"metric": metric, "early_terminate": make_hyperband(chance)}, histories))
    theirs = ask([["hyperband", config, histories] for config, histories in cases])
    compared = 0
    for (config, histories), told in zip(cases, theirs, strict=True):
        rule = EarlyTerminate(**config["early_terminate"])
        most = max(map(len, histories)) + 1
        assert rule.bands(most) == tuple(sorted({band for band in told["bands"] if band < most}))
        thresholds = dict(zip(told["bands"], told["thresholds"], strict=True))
        sign = -1 if config["metric"]["goal"] == "maximize" else 1
        for band in rule.bands(most):
            there = [sign * history[band - 1] for history in histories if len(history) >= band]
            assert rule.threshold(there) == thresholds[band]
            compared += 1
    assert compared > 300


def test_one_after_the_other_the_same_trainings_stop():
    chance = random.Random("arrivals")
    cases = []
    while len(cases) < 60:
        longest = chance.randint(3, 30)
        rule = make_hyperband(chance)
        if not EarlyTerminate(**rule).bands(longest):
            continue
        # Rising and falling, so that the best value so far is not the last one.
        curves = [
            [chance.gauss(3 - step / longest, 0.5) for step in range(longest)]
            for _ in range(chance.randint(2, 25))
        ]
        metric = {"name": METRIC, "goal": chance.choice(["minimize", "maximize"])}
        cases.append(({"metric": metric, "early_terminate": rule}, curves))
    theirs = ask([["arrivals", config, curves] for config, curves in cases])
    stopped = 0
    for (config, curves), lengths in zip(cases, theirs, strict=True):
        rule, goal = EarlyTerminate(**config["early_terminate"]), config["metric"]["goal"]
        arriving = [made_curve(f"t{n:02}", curve) for n, curve in enumerate(curves)]
        choice = Choice("asynchronous", rule, rule.bands(len(curves[0])), goal)
        fates = redecide(made_sweep(arriving, goal=goal), choice).fates
        assert [fates[curve.trial].most // EVERY for curve in arriving] == lengths, config
        stopped += sum(length < len(curves[0]) for length in lengths)
    assert stopped > 100
