"""What monitors saved so far, and what follows for the estimate."""

from pathlib import Path
from typing import Any

import pytest

from resweep.paths import Layout
from resweep.report.audit import audit
from resweep.report.stops import observed_stops
from resweep.study.study import Study
from tests.support.made_grid import SIZES, load_made
from tests.support.study import Made, make_data, make_trial

MONITORS = {"early_stopping.plateau_patience": 2, "early_stopping.plateau_min_delta": 0.01}
STOPPED = {"status": "stopped", "rule": "plateau", "reason": "no gain", "steps": 10}


def load(root: Path, **changes: Any) -> Study:
    return load_made(root, set={**SIZES, **MONITORS, **changes})


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Of three trials one was stopped at step 10 of 40."""
    study, layout = load(tmp_path), Layout(tmp_path / "results")
    phase = study.phases[0]
    make_data(layout, phase.config)
    for name, how in zip(phase.trials, (STOPPED, {}, {}), strict=True):
        trial = phase.known_trial(name, phase.stages[0])
        make_trial(layout, phase, Made(name, trial.assignments, 2.0, **how), trial)
    return layout


def test_trials_that_monitors_stopped_are_seen(layout: Layout) -> None:
    phase = load(layout.root.parent).phases[0]
    assert sorted(observed_stops(phase, layout)) == [(10, 40), (40, 40), (40, 40)]


def test_a_phase_is_estimated_by_its_trials_or_those_before(layout: Layout) -> None:
    cost = audit(load(layout.root.parent, **{"training.weight_decay": 0.5}), layout)
    for name, steps in (("sweep", 120), ("rerun", 80)):
        assert cost.share(name) == pytest.approx(90 / 120)
        assert cost.phases[name].steps == steps  # no bound of what they may train
        assert cost.estimated_steps(name) == steps * 90 / 120
    hours, seconds = cost.estimated_hours("sweep"), cost.phases["sweep"].bound.seconds
    assert seconds is not None
    assert hours == pytest.approx(0.75 * seconds / 3600)


@pytest.mark.parametrize("patience", [3, None])
def test_other_monitors_say_nothing(patience: int | None, layout: Layout) -> None:
    settings = {k: v for k, v in MONITORS.items() if patience is not None}
    settings |= {"early_stopping.plateau_patience": patience}
    study = load_made(layout.root.parent, set={**SIZES, **settings})
    cost = audit(study, layout)
    assert [cost.share(name) for name in cost.phases] == [None, None]
