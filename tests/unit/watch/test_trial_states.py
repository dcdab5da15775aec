"""What became of each trial, from records and decisions as they are written one after the other."""

from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.paths import Layout
from resweep.store.recorder import REACHED
from resweep.study.load import load_study
from resweep.study.study import Phase
from resweep.trials.decisions import write_decisions
from resweep.trials.record import Record, Status, write_record
from resweep.watch.trial_states import PhaseRecords
from tests.support.study import LOGGED
from tests.support.tiny import BASE

LAYOUT_OF = "results"


def phase_of(root: Path) -> Phase:
    """A grid of four trials with two rungs: at step 10, and the end at 40."""
    content = {
        "name": "made",
        "base": {},
        "set": BASE | LOGGED | {"training.max_steps": 40},
        "phases": [{"name": "sweep", "kind": "sweep", "sweep": "rates"}],
    }
    sweep = {
        "method": "grid",
        "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 4},
        "parameters": {"learning_rate": {"values": [1e-4, 1e-3, 1e-2, 1e-1]}},
    }
    for file, text in (("studies/made", content), ("sweep/rates", sweep)):
        path = root / f"{file}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml12.dump(text))
    return load_study(root / "studies/made.yaml", root).phases[0]


def record(status: Status, step: int, **more: Any) -> Record:
    given: dict[str, Any] = {"run_id": "0" * 12, "stop_reason": None, "max_steps": 40}
    return Record(status=status, step=step, **{**given, "metrics": {"val/loss": 2.0}, **more})


def test_a_trial_goes_from_rung_to_rung(tmp_path: Path) -> None:
    phase, layout = phase_of(tmp_path), Layout(tmp_path / LAYOUT_OF)
    a, b, c, d = phase.trials
    records = PhaseRecords(phase, layout)

    def states(*running: str) -> list[str]:
        records.look()
        found = records.states(running)
        return [found[name] for name in (a, b, c, d)]

    assert states(a) == ["running", "waiting", "waiting", "waiting"]

    first, second = phase.stages
    for name in (a, b, c):
        reached = record(Status.STOPPED, 10, stop_reason=REACHED)
        write_record(layout.record("made", "sweep", first.slot(name)), reached)
    lost = record(Status.DIVERGED, 5, stop_reason="the loss was nan", metrics={})
    write_record(layout.record("made", "sweep", first.slot(d)), lost)
    assert states() == ["waiting", "waiting", "waiting", "diverged"]  # the rung is to be decided
    assert len(records.at(first)) == 4 and not records.at(second)

    empty = {"run_id": "0" * 12, "step": 10, "rule": "", "value": 2.0, "threshold": None}
    empty |= {"compared": 4, "reason": "", "rule_digest": ""}
    decisions = {a: "promote", b: "stop", c: "promote", d: "lost"}
    write_decisions(
        layout.phase("made", "sweep").rung_decisions(first.name),
        [{"trial": name, "decision": one, **empty} for name, one in decisions.items()],
    )
    assert states(a) == ["running", "stopped", "waiting", "diverged"]
    assert records.stage_of(a) is second and records.stage_of(b) is first

    write_record(layout.record("made", "sweep", a), record(Status.FINISHED, 40))
    write_record(layout.record("made", "sweep", c), record(Status.FAILED, 20))
    assert states() == ["finished", "stopped", "failed", "diverged"]


def test_a_record_that_leads_nowhere_is_none(tmp_path: Path) -> None:
    phase, layout = phase_of(tmp_path), Layout(tmp_path / LAYOUT_OF)
    path = layout.record("made", "sweep", phase.trials[0])
    records = PhaseRecords(phase, layout)
    path.parent.mkdir(parents=True)
    path.symlink_to("../nowhere.json")
    records.look()
    assert set(records.states(()).values()) == {"waiting"}
    path.unlink()
    write_record(path, record(Status.FINISHED, 40))
    records.look()
    assert records.states(())[phase.trials[0]] == "finished"
    path.unlink()
    records.look()
    assert records.states(())[phase.trials[0]] == "waiting"
