"""The best configurations of several phases together."""

from pathlib import Path
from typing import Any

from resweep.paths import Layout
from resweep.ranking.best_of_phases import choose_best
from tests.support.study import RATE, SEED, Made, make_study


def chosen(layout: Layout, top: int, **more: Any) -> list[tuple[str, str]]:
    """Phases and trials of the best of the sweep and the rerun."""
    tables = [layout.phase("made", phase).scores for phase in ("sweep", "rerun")]
    tables = [table for table in tables if table.exists()]
    return [(one.folder.path.name, one.row.trial) for one in choose_best(tables, top, **more)]


def test_each_configuration_is_its_best_seed(tmp_path: Path) -> None:
    sweep = [
        Made("a", {RATE: 0.1, SEED: 1}, 1.5),
        Made("b", {RATE: 0.1, SEED: 2}, 1.0),
        Made("c", {RATE: 0.2, SEED: 1}, 2.0),
        Made("d", {RATE: 0.3, SEED: 1}, None, status="diverged"),
    ]
    layout = make_study(tmp_path, sweep=sweep, rerun=[])
    assert chosen(layout, 5) == [("sweep", "b"), ("sweep", "c")]
    assert chosen(layout, 1) == [("sweep", "b")]


def test_equal_configurations_of_phases_count_once_also_beside_one_with_more_columns(
    tmp_path: Path,
) -> None:
    sweep = [Made("a", {RATE: 1}, 2.0), Made("b", {RATE: 0.2}, 3.0)]
    rerun = [
        Made("01", {RATE: 1, SEED: 1}, 1.0),
        Made("02", {RATE: 0.5, SEED: 1, "model.n_layer": 3}, 4.0),
    ]
    layout = make_study(tmp_path, sweep=sweep, rerun=rerun)
    assert chosen(layout, 9) == [("rerun", "01"), ("sweep", "b"), ("rerun", "02")]


def test_what_is_taken_depends_on_what_was(tmp_path: Path) -> None:
    sweep = [Made(name, {RATE: rate}, rate) for name, rate in zip("abc", (1, 2, 4), strict=True)]
    layout = make_study(tmp_path, sweep=sweep, rerun=[])
    apart = chosen(layout, 9, takes=lambda own, taken: all(own[RATE] >= 3 * t[RATE] for t in taken))
    assert apart == [("sweep", "a"), ("sweep", "c")]
