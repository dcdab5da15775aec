"""What trials ask a scheduler for, and how long an answer is kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from resweep.jobs import resources
from resweep.jobs.resources import (
    CACHED_SECONDS,
    GROWTH,
    LINK,
    Estimate,
    JobNeeds,
    Needs,
    combine,
    estimate,
    scheduler_resources,
)
from resweep.paths import Layout
from resweep.search.stages import Stage
from resweep.study.data_sets import data_sets
from resweep.study.load import load_study
from resweep.study.schema import Resources
from resweep.study.study import Phase, Study
from resweep.trials.trial import Trial, write_trial

ROOT = Path(__file__).resolve().parents[3]
CONFIG = load_study(ROOT / "config/studies/quickstart.yaml", ROOT / "config").phases[0].config


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study(ROOT / "config/studies/quickstart.yaml", ROOT / "config")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """Trials that the store was asked about; each gets another answer."""
    seen: list[dict] = []

    usual = estimate(CONFIG, None, Resources())

    def answer(trial: Trial, *more: object) -> Estimate:
        seen.append({"config": trial.config, "stop": trial.stop, "empty": trial.empty})
        return replace(usual, seconds=len(seen) * 3600)

    monkeypatch.setattr(resources, "ask", answer)
    return seen


def first(phase: Phase) -> tuple[Phase, Stage, tuple[str, ...]]:
    stage = phase.stages[0]
    return phase, stage, stage.names[:1]


def test_an_answer_is_kept_for_a_second(study: Study, asked: list, tmp_path: Path) -> None:
    clock = Clock()
    needs = JobNeeds(Layout(tmp_path), clock=clock)
    sweep = first(study.phase("sweep"))
    (kept,) = {needs.of(*sweep, 1).runtime for _ in range(9)}
    clock.now += CACHED_SECONDS
    assert needs.of(*sweep, 1).runtime == kept
    clock.now += 0.01
    assert needs.of(*sweep, 1).runtime > kept and len(asked) == 2


def test_each_trial_and_attempt_is_asked_for(study: Study, asked: list, tmp_path: Path) -> None:
    needs = JobNeeds(Layout(tmp_path), clock=Clock())
    phase, stage, names = first(study.phase("sweep"))
    needs.of(phase, stage, names, 1)
    needs.of(phase, stage, names, 2)
    needs.of(phase, stage, stage.names[1:2], 2)
    needs.of(*first(study.phase("rerun")), 2)
    assert len(asked) == 4
    assert asked[0] == asked[1] != asked[2]


def test_a_slot_that_is_not_filled_asks_as_its_phase(
    study: Study, asked: list, tmp_path: Path
) -> None:
    phase = study.phase("rerun")
    JobNeeds(Layout(tmp_path), clock=Clock()).of(*first(phase), 1)
    assert asked == [{"config": phase.config, "stop": None, "empty": None}]


def test_a_filled_slot_asks_as_its_trial_file_says(
    study: Study, asked: list, tmp_path: Path
) -> None:
    phase, stage, names = first(study.phase("rerun"))
    layout, (name,) = Layout(tmp_path), names
    file = layout.trial(study.name, phase.name, name)
    write_trial(file, Trial(study.name, phase.name, name, config={"model": {"n_layer": 9}}, stop=7))
    JobNeeds(layout, clock=Clock()).of(phase, stage, names, 1)
    assert asked == [{"config": {"model": {"n_layer": 9}}, "stop": 7, "empty": None}]
    write_trial(file, Trial(study.name, phase.name, name, empty="nothing to fill it"))
    JobNeeds(layout, clock=Clock()).of(phase, stage, names, 1)
    assert asked[1]["empty"] == "nothing to fill it"


def test_gpus_and_a_partition_are_named_only_where_they_are_wanted() -> None:
    plain = scheduler_resources(Resources(gpus=0))
    assert not {"gres", "slurm_partition"} & plain.keys()
    wanted = scheduler_resources(Resources(gpus=1, partition="fast"))
    assert wanted.keys() - plain.keys() == {"gres", "slurm_partition"}
    assert all(hasattr(LINK, field) for field in wanted.values())
    packed = scheduler_resources(Resources(gpus=0), of_pack=True)
    assert plain.keys() - packed.keys() == {"mpi", "nodes", "tasks", "tasks_per_gpu"}


@pytest.mark.parametrize(
    "text",
    ["", "a: [", "- 1", "\0", "config: 5", "study: s\nphase: p\ntrial: t\nconfig: {model: 5}\n",
     "study: s\nphase: p\ntrial: t\nconfig: {system: none, data: {}}\n"],
)  # fmt: skip
def test_a_damaged_trial_file_asks_for_the_estimate(
    text: str, study: Study, tmp_path: Path
) -> None:
    """Whatever is wrong with it, its job says so; an error here would stop all jobs."""
    layout, rerun = Layout(tmp_path), first(study.phase("rerun"))
    expected = JobNeeds(layout, clock=Clock()).of(*rerun, 1)
    file = layout.trial("quickstart", "rerun", rerun[2][0])
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert JobNeeds(layout, clock=Clock()).of(*rerun, 1) == expected


def test_a_damaged_store_asks_for_the_estimate(study: Study, tmp_path: Path) -> None:
    layout, sweep = Layout(tmp_path), first(study.phase("sweep"))
    expected = JobNeeds(layout, clock=Clock()).of(*sweep, 1)
    for name in data_sets(study, layout):
        layout.data(name.id).mkdir(parents=True)
        (layout.data(name.id) / "data.json").write_text("{}")
    assert JobNeeds(layout, clock=Clock()).of(*sweep, 1) == expected


def needs(count: int, wanted: Resources, kills: int = 0) -> Needs:
    """What a pack of equal trainings asks for, after so many kills of one of them."""
    one = estimate(CONFIG, None, wanted)
    return combine([*[one] * (count - 1), replace(one, kills=kills)], wanted)


def test_a_pack_asks_for_its_workers_and_after_a_kill_for_fewer_with_more_memory() -> None:
    wanted = Resources(workers=4, cpus=2)
    before, after = needs(9, wanted), needs(9, wanted, kills=1)
    assert (before.cpus, after.cpus) == (8, 4)
    assert after.mem_mb / 2 > GROWTH * before.mem_mb / 4  # of each worker
    assert needs(9, wanted, kills=9).cpus == 2
    assert needs(2, wanted).cpus == 4 and before.runtime >= needs(4, wanted).runtime


def test_a_dry_run_does_not_ask_the_store(study: Study, asked: list, tmp_path: Path) -> None:
    for phase in study.phases:
        stage = phase.stages[0]
        names = [name for pack in phase.packs[stage.name] for name in pack.names]
        planned = JobNeeds(Layout(tmp_path), planning=lambda: True, clock=Clock())
        assert planned.of(phase, stage, names, 1).cpus == min(len(names), phase.resources.workers)
    assert asked == []


@pytest.mark.parametrize(("trains", "gpus"), [([], 0), ([3], 1), ([0, 5], 1)])
def test_a_pack_asks_for_what_trains(
    trains: list[int], gpus: int, study: Study, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    phase, wanted = study.phase("sweep"), Resources(gpus=1)
    names = phase.trials
    one = estimate(CONFIG, None, wanted)
    training = {names[position] for position in trains}
    monkeypatch.setattr(
        resources, "ask", lambda trial, *more: one if trial.trial in training else None
    )
    found = JobNeeds(Layout(tmp_path), clock=Clock()).of(phase, phase.stages[0], names, 1)
    assert (found.gpus, found.cpus) == (gpus, max(1, len(trains)))
    assert found == (combine([one] * len(trains), phase.resources) if trains else LINK)
