"""What a training of PathStar takes at most, against one."""

from pathlib import Path

from resweep.files import size_of
from resweep.paths import Layout
from resweep.store.advance import advance
from resweep.store.disk_bound import find_disk_bound
from resweep.store.identity import resolve
from tests.support.asked import ask, run_of
from tests.support.pathstar import SYSTEM, configure, make_learner, prepare


def test_a_training_takes_at_most_its_bounds(tmp_path: Path) -> None:
    given = configure(data__graph_l=9, data__num_pause_tokens=2, training__max_steps=20)
    data = prepare(given, tmp_path / "data")
    asked = ask(resolve(given, data), data)
    layout = Layout(tmp_path / "results")
    advance(*asked, layout)
    run, goal = run_of(asked, layout), asked.goal
    bounds = SYSTEM.cost(given, None).bounds
    assert bounds is not None
    disk = find_disk_bound(goal.training, bounds, 0, goal.until)
    assert size_of(run.path / "checkpoint_20") <= disk.weights
    assert size_of(run.path) <= disk.weights + disk.metrics
    lines = run.folder.metrics.read_bytes().splitlines()
    assert max(map(len, lines)) < bounds.line_bytes


def test_its_learner_counts_no_more_flops(tmp_path: Path) -> None:
    learner, _ = make_learner(tmp_path)
    cost = SYSTEM.cost(configure(), None)
    assert cost.bounds is not None and learner.step_flops is not None
    assert cost.bounds.step_flops / 2 < learner.step_flops <= cost.bounds.step_flops
