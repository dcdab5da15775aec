"""Made-up sweep files for comparisons: valid ones of every kind, and the same broken at random."""

import copy
import random
from typing import Any

Spec = dict[str, Any]
PLAIN = ["adam", "sgd", 0, 1, 2.5, -3, True, False, None, 0.0, "", [1, 2], ["a"], 1e-4]
WRONG = [None, "many", [], {}, True, -1, 0, "1e-4", 2.5, [1], {"a": 1}]
KEYS = [
    "value", "values", "probabilities", "distribution", "min", "max", "mu", "sigma", "a", "b", "q",
    "vlaues", "parameters",
]  # fmt: skip
LOG_EXPONENTS = ("log_uniform", "inv_log_uniform", "q_log_uniform")
DISTRIBUTIONS = [
    "constant", "categorical", "categorical_w_probabilities", "int_uniform", "uniform",
    "q_uniform", *LOG_EXPONENTS, "log_uniform_values", "inv_log_uniform_values",
    "q_log_uniform_values", "normal", "q_normal", "log_normal", "q_log_normal", "beta", "q_beta",
]  # fmt: skip
MOST_COMBINATIONS = 2000
GRID_DISTRIBUTIONS = ["constant", "categorical", "int_uniform", "q_uniform"]


def make_spec(chance: random.Random, distribution: str) -> Spec:
    """A valid parameter; its distribution is left out at times where it can be inferred."""
    spec = _fields(chance, distribution)
    inferred = ("constant", "categorical", "categorical_w_probabilities", "int_uniform")
    floats = isinstance(spec.get("min"), float) or isinstance(spec.get("max"), float)
    can_be_left_out = distribution in inferred or (distribution == "uniform" and floats)
    if not can_be_left_out or chance.random() < 0.5:
        spec["distribution"] = distribution
    return spec


def _fields(chance: random.Random, distribution: str) -> Spec:
    if distribution == "constant":
        return {"value": chance.choice(PLAIN)}
    if distribution == "categorical":
        return {"values": chance.choices(PLAIN, k=chance.randint(1, 5))}
    if distribution == "categorical_w_probabilities":
        count = chance.randint(1, 4)
        weights = [chance.choice([0, 1, 2, 3]) for _ in range(count - 1)] + [1]
        probabilities = [weight / sum(weights) for weight in weights]
        return {"values": chance.sample(PLAIN, count), "probabilities": probabilities}
    spec: Spec = {}
    if distribution in LOG_EXPONENTS:
        low = chance.uniform(-9, -1)
        spec = {"min": low, "max": low + chance.uniform(2, 8)}
    elif distribution.endswith("_values"):
        low = 10 ** chance.uniform(-5, 1)
        spec = {"min": low, "max": low * 10 ** chance.uniform(0.5, 3)}
    elif distribution == "int_uniform" or (
        distribution.endswith("uniform") and chance.random() < 0.3
    ):
        low = chance.randint(-5, 20)
        spec = {"min": low, "max": low + chance.randint(1, 12)}
    elif distribution.endswith("uniform"):
        low = round(chance.uniform(-5, 5), chance.randint(1, 6)) + 0.0  # no -0.0
        spec = {"min": low, "max": low + chance.choice([0.5, 1.0, 3, 7.25])}
    elif "normal" in distribution and chance.random() < 0.8:
        spec = {"mu": chance.uniform(-3, 3), "sigma": chance.choice([0.25, 1, 2.0])}
    elif "beta" in distribution and chance.random() < 0.8:
        spec = {"a": chance.choice([0.5, 1, 3.0]), "b": chance.choice([0.5, 2, 5.0])}
    if distribution.startswith("q_") and chance.random() < 0.8:
        size = max(abs(spec.get("min", 1)), abs(spec.get("max", 1)))
        spec["q"] = chance.choice([0.1, 0.25]) if size < 20 else chance.choice([0.5, 1, 2])
    return spec


def make_sweep(chance: random.Random) -> Spec:
    """A valid sweep file."""
    method = chance.choice(["grid", "random", "bayes"])
    known = GRID_DISTRIBUTIONS if method == "grid" else DISTRIBUTIONS
    parameters = make_parameters(chance, known, chance.randint(1, 4))
    while method == "grid" and _combinations(parameters) > MOST_COMBINATIONS:
        parameters = make_parameters(chance, known, chance.randint(1, 4))
    sweep: Spec = {"method": method, "parameters": parameters}
    optional: Spec = {
        "name": "x",
        "description": "for people",
        "program": "train.py",
        "command": ["${env}", "python", "${program}", "${args}"],
        "project": "p",
        "entity": "e",
        "run_cap": 7,
        "kind": "sweep",
        "apiVersion": "1",
        "controller": {"type": chance.choice(["local", "cloud"])},
        "metric": {"name": "loss", **chance.choice(METRICS)},
        "early_terminate": make_hyperband(chance),
    }
    sweep |= {key: value for key, value in optional.items() if chance.random() < 0.4}
    return sweep


def _combinations(parameters: Spec) -> int:
    """Size of a grid, or a little more. W&B's engine holds all of it in memory."""
    size = 1
    for spec in parameters.values():
        if "parameters" in spec:
            size *= _combinations(spec["parameters"])
        elif "min" in spec:
            size *= int((spec["max"] - spec["min"]) / spec.get("q", 1)) + 1
        else:
            size *= len(spec.get("values", [0]))
    return size


METRICS: list[Spec] = [
    {},
    {"goal": "minimize"},
    {"goal": "maximize", "target": 0.9},
    {"impute": "latest", "impute_while_running": "best"},
    {"impute_while_running": "false", "target": 3},
]


def make_parameters(chance: random.Random, known: list[str], count: int, depth: int = 0) -> Spec:
    """Valid parameters, some nested."""
    parameters: Spec = {}
    for _ in range(count):
        name = chance.choice("abcxyz") + chance.choice(["", "1", "_x", ".y", "-z", ".0"])
        if depth < 2 and chance.random() < 0.2:
            parameters[name] = {"parameters": make_parameters(chance, known, 2, depth + 1)}
        else:
            parameters[name] = make_spec(chance, chance.choice(known))
    return parameters


def make_hyperband(chance: random.Random) -> Spec:
    """A valid rule of early termination."""
    rule: Spec = {"type": "hyperband"}
    if chance.random() < 0.5:
        rule |= {"max_iter": chance.randint(8, 90), "s": chance.randint(1, 5)}
    if "s" not in rule or chance.random() < 0.3:
        rule["min_iter"] = chance.randint(1, 9)
    if chance.random() < 0.6:
        rule["eta"] = chance.choice([1.1, 1.5, 2, 3, 4, 6.5])
    if chance.random() < 0.4:
        rule["strict"] = chance.choice([True, False])
    return rule


def break_sweep(chance: random.Random, sweep: Spec) -> Spec:
    """The sweep with one or two changes, most of which make it invalid."""
    for _ in range(chance.randint(1, 2)):
        place = chance.random()
        if place < 0.7 and isinstance(sweep.get("parameters"), dict) and sweep["parameters"]:
            name = chance.choice(sorted(sweep["parameters"], key=str))
            _break_parameter(chance, sweep["parameters"], name)
        elif place < 0.85:
            key = chance.choice(["metric", "early_terminate"])
            if isinstance(sweep.get(key), dict):
                _break_mapping(chance, sweep[key], [*sweep[key], "typo"])
        else:
            _break_mapping(chance, sweep, sorted(sweep.keys() - {"parameters"}))
    return sweep


def _break_parameter(chance: random.Random, parameters: Spec, name: str) -> None:
    spec = parameters[name]
    if not isinstance(spec, dict) or chance.random() < 0.1:
        parameters[name] = copy.deepcopy(chance.choice(WRONG))
    elif chance.random() < 0.1:
        parameters[chance.choice(["2x", "a b", "", "é", "a/b"])] = parameters.pop(name)
    elif isinstance(spec.get("parameters"), dict) and spec["parameters"] and chance.random() < 0.8:
        _break_parameter(chance, spec["parameters"], chance.choice(sorted(spec["parameters"])))
    elif "min" in spec and "max" in spec and chance.random() < 0.2:
        spec["min"], spec["max"] = spec["max"], spec["min"]
    elif isinstance(spec.get("probabilities"), list) and chance.random() < 0.5:
        spec["probabilities"] = [*spec["probabilities"], 0.1]
    else:
        _break_mapping(chance, spec, [*spec, *KEYS])


def _break_mapping(chance: random.Random, mapping: Spec, keys: list[str]) -> None:
    key = chance.choice(keys)
    if key in mapping and chance.random() < 0.4:
        del mapping[key]
    elif key == "distribution":
        mapping[key] = chance.choice([*DISTRIBUTIONS, "gaussian", 3])
    else:
        mapping[key] = copy.deepcopy(chance.choice(WRONG))
