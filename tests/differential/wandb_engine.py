"""W&B's own sweep engine, asked about sweep files: `sweeps` 0.3.0 needs numpy < 2.

Runs in an environment of its own (`make oracle`), so it imports nothing of resweep:

    .venv-oracle/bin/python tests/differential/wandb_engine.py < QUESTIONS > ANSWERS

Questions are a JSON list of `[kind, argument ...]`, answers the list of what the function of that
name returns.
"""

import json
import random
import sys
from typing import Any

import numpy as np
from sweeps import SweepRun
from sweeps.config import SweepConfig
from sweeps.grid_search import grid_search_next_runs
from sweeps.hyperband_stopping import hyperband_stop_runs
from sweeps.params import PARAM_DEPRECATION_MAP, HyperParameter, HyperParameterSet
from sweeps.random_search import random_search_next_runs
from sweeps.run import RunState

DEPRECATED = dict(PARAM_DEPRECATION_MAP)
METRIC = {"name": "loss"}


def is_valid(config: dict[str, Any], deprecated: bool) -> str:
    """Why a sweep cannot be made, or not started; "" if it can.

    Args:
        config: A sweep file.
        deprecated: Whether distributions that W&B has replaced by others pass.
    """
    PARAM_DEPRECATION_MAP.clear()
    PARAM_DEPRECATION_MAP.update({} if deprecated else DEPRECATED)
    try:
        SweepConfig(config)
        parameters = HyperParameterSet.from_config(config["parameters"])
        if config["method"] == "grid":
            grid_search_next_runs([], config, n=1)
        elif config["method"] == "random":
            random_search_next_runs(config, n=1)
        else:
            parameters.to_config()
        if "early_terminate" in config:
            hyperband_stop_runs([], {**config, "metric": config.get("metric", METRIC)})
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return ""


def grid(config: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    """The first points of a grid, nested names joined with dots."""
    runs = grid_search_next_runs([], config, n=limit)
    return [_flat(run.config) for run in runs if run is not None]


def quantiles(spec: dict[str, Any], us: list[float]) -> list[Any]:
    """The values of a parameter at some quantiles."""
    parameter = HyperParameter("p", spec)
    return [_plain(parameter.ppf(u)) for u in us]


def samples(config: dict[str, Any], count: int, seed: int) -> list[dict[str, Any]]:
    """Points of a random search."""
    random.seed(seed)
    return [_flat(run.config) for run in random_search_next_runs(config, n=count)]


def hyperband(config: dict[str, Any], histories: list[list[float]]) -> dict[str, Any]:
    """Bands and thresholds, given what trainings that still run have logged."""
    runs = [
        SweepRun(
            name=str(number),
            state=RunState.running,
            history=[{config["metric"]["name"]: value} for value in history],
        )
        for number, history in enumerate(histories)
    ]
    hyperband_stop_runs(runs, config)
    told = runs[0].early_terminate_info
    return {"bands": told["bands"], "thresholds": [float(value) for value in told["thresholds"]]}


def arrivals(config: dict[str, Any], curves: list[list[float]]) -> list[int]:
    """How many values each training logs, one after the other, with the rule asked at each."""

    def run(name: str, state: RunState, values: list[float]) -> SweepRun:
        history = [{config["metric"]["name"]: value} for value in values]
        return SweepRun(name=name, state=state, history=history)

    before: list[SweepRun] = []
    for curve in curves:
        length = next(
            (
                count
                for count in range(1, len(curve) + 1)
                if hyperband_stop_runs([*before, run("", RunState.running, curve[:count])], config)
            ),
            len(curve),
        )
        before.append(run(str(len(before)), RunState.finished, curve[:length]))
    return [len(one.history) for one in before]


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    delimiter = HyperParameterSet.NESTING_DELIMITER
    for name, holder in config.items():
        _flatten(name, holder["value"], flat)
    return {name.replace(delimiter, "."): value for name, value in flat.items()}


def _flatten(name: str, value: Any, flat: dict[str, Any]) -> None:
    # What is nested holds single values in these tests, so that a mapping is no choice.
    if isinstance(value, dict):
        for key, inner in value.items():
            _flatten(f"{name}.{key}", inner, flat)
    else:
        flat[name] = _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return value.tolist() if isinstance(value, np.ndarray) else value


KINDS = {
    "is_valid": is_valid,
    "grid": grid,
    "quantiles": quantiles,
    "samples": samples,
    "hyperband": hyperband,
    "arrivals": arrivals,
}

if __name__ == "__main__":
    answers = [KINDS[kind](*arguments) for kind, *arguments in json.load(sys.stdin)]
    json.dump(answers, sys.stdout)
