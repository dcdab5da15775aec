"""Which files a study has, and what its rules and logs are called."""

from pathlib import Path

import pytest

from resweep import yaml12
from resweep.data.source import data_id
from resweep.paths import Layout
from resweep.study import files
from resweep.study.load import load_study
from resweep.study.study import Study
from resweep.systems.registry import system_of
from tests.support.problems import assert_problem, problem_of

ROOT = Path(__file__).resolve().parents[3]
LAYOUT = Layout()


def load(name: str) -> Study:
    return load_study(ROOT / f"config/studies/{name}.yaml", ROOT / "config")


@pytest.fixture(scope="module")
def quickstart() -> Study:
    return load("quickstart")


@pytest.fixture(scope="module")
def adaptive() -> Study:
    return load("adaptive")


def names(paths: list[Path]) -> list[str]:
    return [path.as_posix() for path in paths]


def test_names_of_rules(quickstart: Study) -> None:
    sweep = quickstart.phase("sweep")
    assert files.rule_name("report", quickstart) == "report"
    assert files.rule_name("train", quickstart, sweep) == "train_sweep"
    assert files.rule_name("train", quickstart, sweep, "r02_b1") == "train_sweep_r02_b1"
    assert files.rule_name("prepare_data", quickstart, stage="01cd") == "prepare_data_01cd"
    assert files.rule_name("report", quickstart, several=True) == "report_quickstart"
    assert (
        files.rule_name("train", quickstart, sweep, "b1", several=True)
        == "train_quickstart__sweep_b1"
    )


def test_logs_mirror_results(quickstart: Study) -> None:
    sweep = quickstart.phase("sweep")
    assert files.log_file("report", quickstart) == "logs/quickstart/report.log"
    assert files.log_file("plan", quickstart, sweep, "") == "logs/quickstart/sweep/plan.log"
    log = files.log_file("train", quickstart, sweep, "r01/b1", "{trial}")
    assert log == "logs/quickstart/sweep/train/r01/b1/{trial}.log"


def test_what_is_published_follows_the_study(quickstart: Study) -> None:
    stamps = names(files.artifacts(LAYOUT, quickstart))
    assert stamps == [
        "results/quickstart/artifacts/rerun-configs.json",
        "results/quickstart/artifacts/rerun-model.json",
        "results/quickstart/artifacts/quickstart-scores.json",
        "results/quickstart/artifacts/quickstart-report.json",
        "results/quickstart/artifacts/quickstart-code.json",
    ]
    (phase,) = files.configs_published(quickstart)
    asked = names(files.asked_configs(LAYOUT, phase))
    assert asked == [f"results/quickstart/sweep/top{phase.asks['sweep']}_best_configs.yaml"]


@pytest.fixture
def searched_again(tmp_path: Path) -> Path:
    """A study that resamples after its rerun."""
    content = yaml12.load_mapping(ROOT / "config/studies/quickstart.yaml")
    focus = {"name": "focus", "kind": "resample", "of": "sweep", "top": 1, "trials": 2}
    path = tmp_path / "quickstart.yaml"
    path.write_text(yaml12.dump({**content, "phases": [*content["phases"], focus]}))
    return path


def test_the_phase_that_decides_is_published_not_a_later_search(searched_again: Path) -> None:
    study = load_study(searched_again, ROOT / "config")
    assert [phase.name for phase in study.phases] == ["sweep", "rerun", "focus"]
    assert study.deciding is study.phase("rerun")
    assert files.model_published(study) == [study.deciding]
    ranked = {phase.name: files.best_of_study(study, phase) for phase in study.phases}
    assert [name for name, score in ranked.items() if score != "null"] == ["rerun"]


@pytest.mark.parametrize("phase", ["rerun", "focus"])
def test_the_phase_that_is_published_has_to_keep_weights(phase: str, searched_again: Path) -> None:
    content = yaml12.load_mapping(searched_again)
    for part in content["phases"]:
        part["keep"] = "none" if part["name"] == phase else "best"
    searched_again.write_text(yaml12.dump(content))
    if phase == "rerun":
        problem = problem_of(load_study, searched_again, ROOT / "config")
        assert_problem(problem, "publish.models", "best", "rerun")
    else:
        assert load_study(searched_again, ROOT / "config").deciding.keep == "best"


def test_what_a_training_waits_for_and_writes(quickstart: Study) -> None:
    sweep, rerun = quickstart.phases
    (stage,) = sweep.stages
    (data,) = sweep.data_settings()
    waits = files.training_inputs(LAYOUT, sweep, stage, stage.names)
    assert names(waits) == [
        f"results/quickstart/data/{data_id(system_of(sweep.config), data)}.json"
    ]
    assert files.training_outputs(LAYOUT, sweep, stage, ["{trial}"]).keys() == {"trials", "records"}
    assert files.trial_content(sweep, stage, stage.names[0]).startswith('{"assignments":{')

    (stage,) = rerun.stages
    waits = files.training_inputs(LAYOUT, rerun, stage, ["01"])
    assert names(waits) == ["results/quickstart/rerun/trials/01.yaml"]
    assert files.training_outputs(LAYOUT, rerun, stage, ["{trial}"]).keys() == {"records"}
    assert files.trial_content(rerun, stage, "01") == ""
    (pack,) = rerun.packs[stage.name]
    assert files.trial_pattern(rerun, stage, pack) == "|".join(rerun.trials)


def test_every_trial_file_that_no_training_writes_is_filled_once(adaptive: Study) -> None:
    for phase in adaptive.phases:
        filled = [path for fill in phase.fills(LAYOUT) for path in fill.outputs["trials"]]
        open_stages = [stage for stage in phase.stages if not phase.is_known(stage)]
        needed = files.stage_trials(LAYOUT, phase, open_stages)
        assert len(filled) == len(set(filled)) and set(needed) <= set(filled)


def test_a_fill_names_its_files_on_its_command(adaptive: Study) -> None:
    fills = {fill.verb: fill for phase in adaptive.phases for fill in phase.fills(LAYOUT)}
    assert fills.keys() == {"suggest", "promote", "conclude", "plan"}
    for verb, fill in fills.items():
        command = fill.command("scripts")
        assert command.startswith(f"python scripts/{fill.script} ")
        assert ("--records -" in command) == bool(fill.records), verb
        for name in fill.passes:
            files_of = {**fill.inputs, **fill.outputs}[name]
            words = f"--{name.replace('_', '-')} {' '.join(map(str, files_of))}".rstrip()
            assert words in command
        assert (ROOT / "workflow/scripts" / fill.script).is_file()
