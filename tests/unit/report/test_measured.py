"""How long trainings take by the store's runs."""

import json
from pathlib import Path
from typing import Any

import pytest

from resweep.paths import TIMING, Layout
from resweep.report.measured import Measured
from resweep.store.run import Run
from resweep.systems.registry import system_of
from tests.support.made_grid import load_made
from tests.support.study import Made, make_data, make_trial, write_config

DEVICE = "NVIDIA H100"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "results")


def measure(
    layout: Layout, seconds: float, evaluation: float = 0.0, device: str = DEVICE, **model: int
) -> None:
    """Write a run of 40 steps and 4 evaluations, and two at its ends."""
    phase = load_made(layout.root.parent).phases[0]
    name = f"{len(layout.all_runs()):02d}"
    changes = {f"model.{key}": value for key, value in model.items()}
    make_data(layout, phase.config)
    record = make_trial(layout, phase, Made(name, {"training.seed": int(name), **changes}, 2.0))
    run = Run(record.resolve().parent.parent)
    part = {"from_step": 0, "to_step": 40, "device": device, "processes": 1, "engine": "none"}
    whole = 40 * seconds + 6 * evaluation
    run.update(segments=[part | {"seconds": whole, "versions": {}, "code": ""}])
    units = step_cost(run.config()).step_units
    lines = [{"step": step, "tokens_per_second": units / seconds} for step in (10, 20, 30, 40)]
    (run.path / TIMING).write_text("".join(json.dumps(line) + "\n" for line in lines))


def step_cost(config: dict[str, Any]) -> Any:
    return system_of(config).cost(config, None)


def predicted(layout: Layout, steps: int = 100, **changes: Any) -> float | None:
    config = load_made(layout.root.parent).phases[0].config
    for path, value in changes.items():
        section, _, name = path.partition("__")
        config = config | {section: config[section] | {name: value}}
    return Measured(layout).seconds(config, step_cost(config).step_flops, steps)


def test_nothing_measured_is_unknown(layout: Layout) -> None:
    assert predicted(layout) is None


def test_a_size_that_was_measured_takes_as_long(layout: Layout) -> None:
    for seconds in (0.1, 0.2, 0.4):
        measure(layout, seconds)
    assert predicted(layout) == pytest.approx(100 * 0.2)


def test_evaluations_count_as_often_as_they_are(layout: Layout) -> None:
    measure(layout, 0.1, evaluation=5.0)
    assert predicted(layout, 100) == pytest.approx(100 * 0.1 + 12 * 5.0)
    assert predicted(layout, 100, training__eval_steps=50) == pytest.approx(100 * 0.1 + 4 * 5.0)


def test_other_sizes_lie_between_those_that_were_measured(layout: Layout) -> None:
    measure(layout, 0.1, n_embd=16)
    measure(layout, 0.4, n_embd=64)
    small, middle, large, larger = (
        predicted(layout, model__n_embd=width) for width in (16, 32, 64, 128)
    )
    assert None not in (small, middle, large, larger)
    assert small == pytest.approx(10) and large == pytest.approx(40)
    assert small < middle < large  # type: ignore[operator]
    assert larger > 2 * large  # type: ignore[operator]


@pytest.mark.parametrize(
    "changes",
    [
        {"training__precision": "bf16"},
        {"training__compile": True},
        {"training__distributed": "ddp", "training__processes": 2},
    ],
)
def test_other_kinds_of_training_are_unknown(changes: dict[str, Any], layout: Layout) -> None:
    measure(layout, 0.1)
    assert predicted(layout, **changes) is None


def test_only_the_newest_device_counts(layout: Layout) -> None:
    measure(layout, 5.0, device="cpu (x86_64)")
    measure(layout, 0.1)
    measured, config = Measured(layout), load_made(layout.root.parent).phases[0].config
    assert measured.device_of(config) == DEVICE
    assert measured.seconds(config, step_cost(config).step_flops, 10) == pytest.approx(1.0)
    assert measured.used == {DEVICE: 1}


def test_the_start_of_jobs_is_what_runs_noted(layout: Layout) -> None:
    measure(layout, 0.1)
    assert Measured(layout).start_seconds is None
    (path,) = layout.all_runs()
    Run(path).update(attempts=[{"startup_seconds": 2.5}])
    assert Measured(layout).start_seconds == 2.5


@pytest.mark.parametrize("damage", ["{", "[]", '{"identity": 1}', '{"segments": [{}]}'])
def test_damaged_states_are_passed_over(damage: str, layout: Layout) -> None:
    measure(layout, 0.1)
    measure(layout, 0.1)
    Run(layout.all_runs()[0]).folder.state.write_text(damage)
    assert predicted(layout) == pytest.approx(10)


def test_without_its_configuration_a_size_is_not_known(layout: Layout) -> None:
    measure(layout, 0.1)
    run = Run(layout.all_runs()[0])
    write_config(run, {})
    assert predicted(layout) is None
