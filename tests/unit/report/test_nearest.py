"""The run of the store that is most like what a trial asks for."""

from pathlib import Path

import pytest

from resweep.paths import Layout
from resweep.report.audit import audit
from resweep.report.audit_text import reason_lines
from resweep.report.nearest import StoredIdentities
from resweep.store.run import Run
from tests.support.made_grid import RATES, SIZES, build_made, load_made
from tests.support.study import run_id

RATE, DECAY = "training.learning_rate", "training.weight_decay"


@pytest.fixture
def built(tmp_path: Path) -> Layout:
    return build_made(tmp_path)


def test_the_fewest_fields_differ_from_the_nearest(built: Layout) -> None:
    sweep = load_made(built.root.parent).phases[0]
    middle = run_id(built, "sweep", sweep.trials[1])
    identity = Run(built.run(middle)).state()["identity"]
    stored = StoredIdentities(built)
    same = stored.nearest(identity)
    assert same is not None and (same.run_id, same.differs, same.step) == (middle, (), 40)
    identity["training"] |= {"weight_decay": 0.5, "beta1": 0.8}
    identity["own"] = {"flavour": "x"}
    other = stored.nearest(identity)
    assert other is not None and other.run_id == middle
    assert {path for path, _, _ in other.differs} == {DECAY, "training.beta1", "flavour"}
    assert (DECAY, 0.5, 0.1) in other.differs and ("flavour", "x", None) in other.differs


def test_an_empty_store_has_none(tmp_path: Path) -> None:
    assert StoredIdentities(Layout(tmp_path)).nearest({"training": {"seed": 1}}) is None


def test_an_audit_says_why_trials_train(built: Layout) -> None:
    study = load_made(built.root.parent, set=SIZES | {DECAY: 0.5})
    cost = audit(study, built)
    assert [reason.trial for reason in cost.reasons] == study.phases[0].trials
    for reason, trial in zip(cost.reasons, study.phases[0].trials, strict=True):
        assert reason.nearest is not None
        assert reason.nearest.differs == ((DECAY, 0.5, 0.1),)
        assert reason.nearest.run_id == run_id(built, "sweep", trial)
    lines = list(reason_lines(cost))
    assert " ".join(lines).count(DECAY) == 1  # trials that differ alike share it
    assert all(len(line) <= 100 for line in lines)


def test_only_so_many_are_explained(built: Layout) -> None:
    study = load_made(built.root.parent, [*RATES, 2.0, 3.0, 4.0])
    assert len(audit(study, built, explained=2).reasons) == 2
    assert len(audit(study, built, explained=None).reasons) == 3
    assert "1 more training;" in list(reason_lines(audit(study, built, explained=2)))[-1]


def test_a_run_that_was_begun_says_how_far_it_is(built: Layout) -> None:
    study = load_made(built.root.parent)
    run = Run(built.run(run_id(built, "sweep", study.phases[0].trials[0])))
    for record in run.records().values():
        record.unlink()
    run.update(status="begun", step=10)
    (run.path / "checkpoint_10").mkdir()
    cost = audit(study, built)
    (reason,) = cost.reasons
    assert reason.nearest is None and "step 10 of 40" in reason.text
    assert (cost.phases["sweep"].partial, cost.phases["sweep"].steps) == (1, 30)


def test_what_lost_its_checkpoint_trains_from_the_start(built: Layout) -> None:
    """It was further, but there is nothing to continue from."""
    study = load_made(built.root.parent)
    run = Run(built.run(run_id(built, "sweep", study.phases[0].trials[0])))
    for record in run.records().values():
        record.unlink()
    run.update(status="begun", step=10)
    assert audit(study, built).phases["sweep"].steps == 40
