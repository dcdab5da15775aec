"""What a training of a loop transformer takes at most, against one."""

from pathlib import Path

import pytest

from resweep.files import size_of
from resweep.paths import Layout
from resweep.store.advance import advance
from resweep.store.disk_bound import find_disk_bound
from resweep.store.identity import resolve
from tests.support.asked import ask, run_of
from tests.support.loop_transformer import SYSTEM, configure, make_learner, prepare


@pytest.mark.parametrize("ema", [True, False])
def test_a_training_takes_at_most_its_bounds(ema: bool, tmp_path: Path) -> None:
    given = configure(training__max_steps=20, training__ema=ema)
    data = prepare(given, tmp_path / "data")
    asked = ask(resolve(given, data), data)
    layout = Layout(tmp_path / "results")
    advance(*asked, layout)
    run, goal = run_of(asked, layout), asked.goal
    bounds = SYSTEM.cost(given, None).bounds
    assert bounds is not None
    disk = find_disk_bound(goal.training, bounds, 0, goal.until)
    taken = size_of(run.path / "checkpoint_20")
    assert disk.weights / 2 < taken <= disk.weights
    assert size_of(run.path) <= disk.weights + disk.metrics
    lines = run.folder.metrics.read_bytes().splitlines()
    assert max(map(len, lines)) < bounds.line_bytes


def test_its_learner_counts_as_many_flops(tmp_path: Path) -> None:
    learner, _ = make_learner(tmp_path)
    cost = SYSTEM.cost(configure(), None)
    assert cost.bounds is not None
    assert learner.step_flops == cost.bounds.step_flops == cost.step_flops
