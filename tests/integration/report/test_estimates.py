"""How long trainings take, against what the runs before them say: ratios on one machine."""

import statistics
from pathlib import Path
from typing import Any

import pytest

from resweep.paths import Layout
from resweep.report.measured import Measured
from resweep.store.advance import advance
from resweep.systems.registry import find_system
from tests.support.asked import ask, run_of
from tests.support.tiny import configure, prepare

LONG = {"training__max_steps": 300, "training__eval_steps": 100, "training__log_steps": 20}
MEASURED = [{"model__n_embd": width} for width in (32, 128)]
ASKED: list[dict[str, Any]] = [
    {"model__n_embd": 128, "training__max_steps": 900},
    {"model__n_embd": 128, "training__eval_steps": 10, "training__eval_sequences": 8},
    {"model__n_embd": 64},
    {"model__n_embd": 192},
]


@pytest.mark.long
def test_estimates_are_within_a_factor_of_two(tmp_path: Path) -> None:
    """Each training is measured three times: other work on the machine slows single ones."""
    data, layout = prepare(tmp_path / "data"), Layout(tmp_path / "results")

    def train(changes: dict[str, Any], seed: int) -> float:
        asked = ask(configure(data, **{**LONG, **changes, "training__seed": seed}), data)
        advance(*asked, layout)
        (segment,) = run_of(asked, layout).state()["segments"]
        return float(segment["seconds"])

    for changes in MEASURED:
        for seed in (1, 2, 3):
            train(changes, seed)
    measured = Measured(layout)
    for changes in ASKED:
        config = configure(data, **{**LONG, **changes})
        flops = find_system("language").cost(config, data).step_flops
        expected = measured.seconds(config, flops, config["training"]["max_steps"])
        assert expected is not None
        took = statistics.median(train(changes, seed) for seed in (11, 12, 13))
        assert 0.5 < expected / took < 2, (changes, expected, took)
