"""What trials ask a scheduler for, and how long an answer is kept."""

from pathlib import Path

import pytest

from resweep.data.source import data_id
from resweep.jobs import resources
from resweep.jobs.resources import CACHED_SECONDS, LINK, Needs, TrialNeeds, scheduler_resources
from resweep.paths import Layout
from resweep.study.load import load_study
from resweep.study.schema import Resources
from resweep.study.study import Phase, Study
from resweep.systems.registry import system_of
from resweep.trials.trial import Trial, write_trial

ROOT = Path(__file__).resolve().parents[3]


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

    def answer(trial: Trial, *more: object) -> Needs:
        seen.append({"config": trial.config, "stop": trial.stop, "empty": trial.empty})
        return Needs(gpus=1, mem_mb=len(seen), runtime=5)

    monkeypatch.setattr(resources, "trial_needs", answer)
    return seen


def first(phase: Phase) -> tuple[Phase, object, str]:
    stage = phase.stages[0]
    return phase, stage, stage.names[0]


def test_an_answer_is_kept_for_a_second(study: Study, asked: list, tmp_path: Path) -> None:
    clock = Clock()
    needs = TrialNeeds(Layout(tmp_path), clock)
    sweep = first(study.phase("sweep"))
    assert {needs.of(*sweep, 1).mem_mb for _ in range(9)} == {1}
    clock.now += CACHED_SECONDS
    assert needs.of(*sweep, 1).mem_mb == 1
    clock.now += 0.01
    assert needs.of(*sweep, 1).mem_mb == 2 and len(asked) == 2


def test_each_trial_and_attempt_is_asked_for(study: Study, asked: list, tmp_path: Path) -> None:
    needs = TrialNeeds(Layout(tmp_path), Clock())
    phase, stage, name = first(study.phase("sweep"))
    needs.of(phase, stage, name, 1)
    needs.of(phase, stage, name, 2)
    needs.of(phase, stage, stage.names[1], 2)
    needs.of(*first(study.phase("rerun")), 2)
    assert len(asked) == 4
    assert asked[0] == asked[1] != asked[2]


def test_a_slot_that_is_not_filled_asks_as_its_phase(
    study: Study, asked: list, tmp_path: Path
) -> None:
    phase = study.phase("rerun")
    TrialNeeds(Layout(tmp_path), Clock()).of(*first(phase), 1)
    assert asked == [{"config": phase.config, "stop": None, "empty": None}]


def test_a_filled_slot_asks_as_its_trial_file_says(
    study: Study, asked: list, tmp_path: Path
) -> None:
    phase, stage, name = first(study.phase("rerun"))
    layout = Layout(tmp_path)
    file = layout.trial(study.name, phase.name, name)
    write_trial(file, Trial(study.name, phase.name, name, config={"model": {"n_layer": 9}}, stop=7))
    TrialNeeds(layout, Clock()).of(phase, stage, name, 1)
    assert asked == [{"config": {"model": {"n_layer": 9}}, "stop": 7, "empty": None}]
    write_trial(file, Trial(study.name, phase.name, name, empty="nothing to fill it"))
    TrialNeeds(layout, Clock()).of(phase, stage, name, 1)
    assert asked[1]["empty"] == "nothing to fill it"


def test_gpus_and_a_partition_are_named_only_where_they_are_wanted() -> None:
    plain = scheduler_resources(Resources(gpus=0))
    assert not {"gres", "slurm_partition"} & plain.keys()
    wanted = scheduler_resources(Resources(gpus=1, partition="fast"))
    assert wanted.keys() - plain.keys() == {"gres", "slurm_partition"}
    assert all(hasattr(LINK, field) for field in wanted.values())


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
    expected = TrialNeeds(layout, Clock()).of(*rerun, 1)
    file = layout.trial("quickstart", "rerun", rerun[2])
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert TrialNeeds(layout, Clock()).of(*rerun, 1) == expected


def test_a_damaged_store_asks_for_the_estimate(study: Study, tmp_path: Path) -> None:
    layout, sweep = Layout(tmp_path), first(study.phase("sweep"))
    expected = TrialNeeds(layout, Clock()).of(*sweep, 1)
    for settings in study.data_settings():
        folder = layout.data(data_id(system_of(study.phases[0].config), settings))
        folder.mkdir(parents=True)
        (folder / "data.json").write_text("{}")
    assert TrialNeeds(layout, Clock()).of(*sweep, 1) == expected
