"""What a study spent: steps, attempts, time, and what was not trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from resweep.paths import Layout
from resweep.report.after import spent_lines
from resweep.report.spent import Spent, find_spent
from resweep.store.recorder import REACHED
from resweep.store.run import Run
from resweep.study.study import Study
from resweep.trials.record import Status, link_record, read_record, write_record
from tests.support.study import Made, make_trial, run_id
from tests.unit.report.test_audit import load_made

RUNG = {"status": "stopped", "reason": REACHED}


def spend(tmp_path: Path, *finals: Made) -> tuple[Study, Layout]:
    """A sweep of three rates with these results."""
    study, layout = load_made(tmp_path), Layout(tmp_path / "results")
    phase = study.phases[0]
    for name, made in zip(phase.trials, finals, strict=False):
        own = Made(
            name,
            dict(phase.assigned(name)),
            made.final,
            status=made.status,
            reason=made.reason,
            rule=made.rule,
            steps=made.steps,
        )
        make_trial(layout, phase, own)
        record = layout.record("made", "sweep", name).resolve()
        write_record(record, replace(read_record(record), max_steps=40))
    return study, layout


def attempt(begin: int, end: int, how: str | None, **more: Any) -> dict[str, Any]:
    return {"device": "cpu (made)", "from_step": begin, "to_step": end, "end": how, **more}


def part(begin: int, end: int, device: str = "cpu (made)", processes: int = 1) -> dict[str, Any]:
    return {
        "from_step": begin,
        "to_step": end,
        "device": device,
        "processes": processes,
        "seconds": 10.0,
        "versions": {},
        "code": "0",
    }


def invariant(spent: Spent) -> bool:
    untrained = (spent.by_rungs, spent.by_monitors, spent.diverged)
    return spent.planned == spent.steps + sum(one.steps for one in untrained)


def test_what_stops_a_training_says_where_its_steps_count(tmp_path: Path) -> None:
    study, layout = spend(
        tmp_path,
        Made("", {}, 2.0, **RUNG, steps=10),
        Made("", {}, 2.0, status="stopped", reason="no gain", rule="plateau", steps=20),
        Made("", {}, None, status="diverged", reason="nan", steps=30),
    )
    spent = find_spent(study, layout)["sweep"]
    assert (spent.trials, spent.done, spent.runs, spent.planned, spent.steps) == (3, 3, 3, 120, 60)
    kinds = (spent.by_rungs, spent.by_monitors, spent.diverged)
    assert [(one.runs, one.steps) for one in kinds] == [(1, 30), (1, 20), (1, 10)]
    assert invariant(spent)


def test_interrupted_and_killed_attempts_count_with_what_they_trained_twice(tmp_path: Path) -> None:
    study, layout = spend(tmp_path, Made("", {}, 2.0))
    run = Run(layout.run(run_id(layout, "sweep", study.phases[0].trials[0])))
    run.update(
        attempts=[
            attempt(0, 20, "interrupted", seconds=10.0),
            attempt(20, 35, "killed"),
            attempt(20, 25, "error: no", seconds=10.0),
            attempt(20, 40, "completed", seconds=10.0),
        ],
        segments=[part(0, 20, "A100", 2), part(20, 25, "A100", 2), part(20, 40)],
    )
    spent = find_spent(study, layout)["sweep"]
    assert (spent.steps, spent.attempts, spent.interrupted, spent.broken) == (40, 4, 1, 2)
    assert spent.repeated == 5 + 15
    assert (spent.untimed, spent.gpu_seconds, spent.training_seconds) == (1, 40.0, 10.0)
    _, titles, first, *_ = spent_lines(study, layout)
    assert titles.endswith("broken  training time    GPU time")
    assert first.endswith("10 s        40 s")


def test_a_run_of_two_phases_counts_once(tmp_path: Path) -> None:
    study, layout = spend(tmp_path, Made("", {}, 2.0, **RUNG, steps=10))
    first, rerun = study.phases
    (name, *_) = first.trials
    run = Run(layout.run(run_id(layout, "sweep", name)))
    run.update(
        attempts=[attempt(0, 10, "completed"), attempt(10, 40, "completed")],
        segments=[part(0, 10), part(10, 40)],
    )
    record = run.read_record(next(iter(run.records().values())))
    further = run.write_record(replace(record, step=40, status=Status.FINISHED, stop_reason=None))
    link_record(layout.record("made", rerun.name, "01"), further)
    spent = find_spent(study, layout)
    assert [spent[name].steps for name in ("sweep", "rerun")] == [10, 30]
    assert [spent[name].planned for name in ("sweep", "rerun")] == [40, 0]
    assert [spent[name].training_seconds for name in ("sweep", "rerun")] == [10.0, 10.0]
    assert all(one.by_rungs.steps == 0 for one in spent.values())  # it was trained to its end


def test_a_study_without_results_spent_nothing(tmp_path: Path) -> None:
    spent = find_spent(load_made(tmp_path), Layout(tmp_path / "results"))
    assert {name: (one.done, one.steps) for name, one in spent.items()} == {
        "sweep": (0, 0),
        "rerun": (0, 0),
    }
