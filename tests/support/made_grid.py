"""A study with made-up results: a grid of learning rates, and its best with two seeds."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.paths import Layout
from resweep.ranking.selection import best_configs_text, plan_rerun
from resweep.store.recorder import REACHED
from resweep.study.load import load_study
from resweep.study.study import Phase, Study
from resweep.trials.trial import Trial
from tests.support.study import LOGGED, Made, make_data, make_trial, rank_phase
from tests.support.tiny import BASE

SIZES = BASE | LOGGED | {"training.max_steps": 40}
RATES = [1e-3, 1e-2, 1e-1]
PHASES = [
    {"name": "sweep", "kind": "sweep", "sweep": "rates"},
    {"name": "rerun", "kind": "rerun", "of": "sweep", "top": 1, "seeds": [1, 2]},
]


def load_made(root: Path, rates: list[float] = RATES, **changes: Any) -> Study:
    """Load a study: a grid, and its best configuration with two seeds."""
    content = {"name": "made", "base": {}, "set": SIZES, "phases": PHASES, **changes}
    sweep = {"method": "grid", "parameters": {"learning_rate": {"values": rates}}}
    return load_written(root, content, "rates", sweep)


def load_written(root: Path, study: dict[str, Any], name: str, sweep: dict[str, Any]) -> Study:
    for file, text in ((f"studies/{study['name']}", study), (f"sweep/{name}", sweep)):
        path = root / f"{file}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml12.dump(text))
    return load_study(root / f"studies/{study['name']}.yaml", root)


def train(layout: Layout, phase: Phase, slot: str, trial: Trial, final: float) -> None:
    """Write the results of a trial, as its training would."""
    made = Made(slot, trial.assignments, final)
    if trial.stop is not None:
        made = replace(made, steps=trial.stop, status="stopped", reason=REACHED)
    make_trial(layout, phase, made, trial)


def build_made(root: Path) -> Layout:
    """Write the results of the study: the middle one of three rates is the best."""
    study, layout = load_made(root), Layout(root / "results")
    sweep, rerun = study.phases
    (stage,) = sweep.stages
    make_data(layout, sweep.config)
    for name, final in zip(sweep.trials, (2.5, 2.1, 2.9), strict=True):
        train(layout, sweep, name, sweep.known_trial(name, stage), final)
    rank_phase(layout, sweep, [layout.record("made", "sweep", name) for name in sweep.trials])
    folder = layout.phase("made", "sweep")
    folder.best_configs(1).write_text(best_configs_text(folder.scores, 1))
    (fill,) = rerun.fills(layout)
    best = folder.best_configs(1)
    for trial in plan_rerun(best, rerun.trials, **json.loads(str(fill.plan))):
        train(layout, rerun, trial.trial, trial, 2.0)
    return layout
