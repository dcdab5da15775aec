"""Studies from their files, what they are called, and everything wrong reported at once."""

import copy
import json
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import ANY

import pytest

from resweep import yaml12
from resweep.config import compose
from resweep.config.compose import Composed, Layer, assign
from resweep.config.modules import load_module
from resweep.config.nesting import nest
from resweep.config.section import AsBefore
from resweep.config.spelling import nearest
from resweep.data.store import Prepared
from resweep.errors import DataError
from resweep.ranking.selection import plan_rerun
from resweep.store.goal import Goal
from resweep.store.identity import identity, resolve, run_id
from resweep.study.files import trial_content
from resweep.study.find import find_study, load_studies
from resweep.study.load import load_study
from resweep.study.study_file import StudyFile
from resweep.sweep import load_sweep
from resweep.systems.language.initialization_section import Initialization
from resweep.systems.language.system import RECIPES
from resweep.systems.registry import find_system
from tests.support.problems import assert_problem, problem_of, problems_of
from tests.support.tiny import LANGUAGE

CONFIG = Path(__file__).parents[3] / "config"

FILES = {
    "model/small.yaml": "{n_layer: 2, n_head: 2, n_embd: 32, context_length: 32}",
    "data/docs.yaml": "{source: python-docs}",
    "training/short.yaml": "{max_steps: 20, batch_size: 4, pct_warmup: 0.1}",
    "sweep/lr.yaml": "method: grid\nparameters: {learning_rate: {values: [1e-3, 2e-3]}}",
    "studies/mine.yaml": """
name: mine
base: {model: small, data: docs, training: short}
set: {training.seed: 1}
phases:
  - {name: sweep, kind: sweep, sweep: lr}
  - {name: rerun, kind: rerun, of: sweep, top: 2, seeds: [1, 2, 3], set: {max_steps: 40}}
""",
}


@pytest.fixture
def config(tmp_path):
    """A folder with one small study, and a function that replaces its files."""

    def write(changes=()):
        for name, text in {**FILES, **dict(changes)}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return tmp_path

    write.root = tmp_path
    write()
    return write


def load(folder: Path, overrides=None, name: str = "mine"):
    return load_study(folder / "studies" / f"{name}.yaml", folder, overrides)


def study_text(**changes) -> dict[str, str]:
    """The small study with some of its keys replaced."""
    content = yaml12.parse(FILES["studies/mine.yaml"]) | changes
    return {"studies/mine.yaml": yaml12.dump(content)}


def with_sweep(parameters: str, top: str = "method: grid") -> dict[str, str]:
    return {"sweep/lr.yaml": f"{top}\nparameters: {{{parameters}}}"}


# What is shipped


@pytest.mark.parametrize("path", sorted((CONFIG / "studies").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_study_loads(path, monkeypatch):
    monkeypatch.chdir(CONFIG.parent)
    study = load_study(path, CONFIG)
    assert study.name == path.stem
    assert study.warnings == ()
    assert all(phase.trials for phase in study.phases)


@pytest.mark.parametrize(
    ("section", "schema"),
    [
        ("model", LANGUAGE),
        ("data", LANGUAGE),
        ("training", LANGUAGE),
        ("early_stopping", LANGUAGE),
        ("arch", find_system("loop_transformer").schema),
    ],
)
def test_every_shipped_module_is_a_valid_part(section, schema):
    paths = sorted((CONFIG / section).glob("*.yaml"))
    assert paths
    for path in paths:
        layers = [
            Layer("minimal", {"training": {"max_steps": 1}}),
            load_module(CONFIG, section, path.stem),
        ]
        _, problems = compose.validate(compose.merge(layers), "?", schema)
        assert problems == []


def test_every_shipped_sweep_loads_and_has_points():
    for path in sorted((CONFIG / "sweep").glob("*.yaml")):
        sweep = load_sweep(path)
        if sweep.method != "bayes":  # whose points come from records
            assert len(list(sweep.points(limit=2))) == 2
        assert sweep.warnings == ()


def test_every_folder_of_the_configuration_is_covered_here():
    folders = {path.name for path in CONFIG.iterdir() if path.is_dir()}
    assert folders <= {"studies", "arch", "model", "data", "training", "early_stopping", "sweep"}


def test_the_shipped_default_names_studies_that_exist():
    settings = yaml12.load_mapping(CONFIG / "config.yaml")
    assert [study.name for study in load_studies(settings, CONFIG)] == settings["studies"]


# What a study means


def test_layers_win_in_their_order(config):
    set_seed = {
        "studies/mine.yaml": """
name: mine
base: {model: small, data: docs, training: short}
set: {learning_rate: 0.5, beta1: 0.1, grad_clip: 0.5}
phases:
  - {name: a, kind: sweep, sweep: wd, base: {training: long}, set: {grad_clip: 0.25}}
  - {name: b, kind: sweep, sweep: wd}
""",
        "training/long.yaml": "{max_steps: 99, beta1: 0.2, grad_clip: 9}",
        "sweep/wd.yaml": "method: grid\nparameters: {weight_decay: {values: [0, 1]}}",
    }
    study = load(config(set_seed), {"beta2": 0.5})
    a, b = (phase.config["training"] for phase in study.phases)
    assert (a["max_steps"], a["batch_size"], a["learning_rate"]) == (99, 4, 0.5)
    assert (a["beta1"], a["grad_clip"], a["beta2"]) == (0.2, 0.25, 0.5)
    assert (b["max_steps"], b["beta1"], b["grad_clip"]) == (20, 0.1, 0.5)
    assert {c["weight_decay"] for c in (study.phase("a").trial_config(t)["training"]
            for t in study.phase("a").trials)} == {0.0, 1.0}  # fmt: skip


def test_a_rerun_has_a_slot_for_each_best_configuration_and_seed(config):
    rerun = load(config()).phase("rerun")
    assert rerun.trials == ["01", "02", "03", "04", "05", "06"]
    assert rerun.overrides == {"training.max_steps": 40}
    assert rerun.config["training"]["max_steps"] == 40
    assert (rerun.sources, rerun.top, rerun.seeds) == (("sweep",), 2, (1, 2, 3))


def test_a_rerun_without_seeds_uses_the_one_of_its_configuration(config):
    phases = yaml12.parse(FILES["studies/mine.yaml"])["phases"]
    del phases[1]["seeds"]
    assert load(config(study_text(phases=phases))).phase("rerun").seeds == (1,)


def test_a_phase_knows_how_many_of_its_best_are_asked_for(config):
    assert [phase.selects for phase in load(config()).phases] == [2, 1]


def test_the_metric_of_the_sweep_is_ranked_by_unless_the_study_names_one(config):
    swept = with_sweep(
        "beta2: {values: [0.9]}", "method: grid\nmetric: {name: tokens, goal: maximize}"
    )
    study = load(
        config(swept | study_text(phases=yaml12.parse(FILES["studies/mine.yaml"])["phases"][:1]))
    )
    assert (study.phases[0].score.metric, study.phases[0].score.goal) == ("tokens", "maximize")
    named = study_text(
        score={"metric": "val/loss"},
        phases=yaml12.parse(FILES["studies/mine.yaml"])["phases"][:1],
    )
    assert load(config(swept | named)).phases[0].score.metric == "val/loss"


def test_the_system_of_the_study_may_be_said_twice_and_no_other_be_set(config):
    study = load(config(study_text(set={"training.seed": 1, "system": "language"})))
    assert study.phases[0].config == load(config()).phases[0].config
    problem = problem_of(load, config(study_text(set={"training.seed": 1, "system": "blobs"})))
    assert_problem(problem, "system", "blobs", "language")


def test_a_field_by_two_of_its_names_is_refused(config):
    folder = config(study_text(set={"max_steps": 5, "training.max_steps": 6}))
    problem = problem_of(load, folder)
    assert problem.key == "training.max_steps" and "max_steps" in problem.hint


def test_a_sweep_over_systems_is_refused(config):
    for key in ("system", "system.name"):
        problem = problem_of(load, config(with_sweep(f"{key}: {{value: language}}")))
        assert key in problem.key


def test_a_metric_that_nothing_logs_is_an_error(config):
    swept = with_sweep("beta2: {values: [0.9]}", "method: grid\nmetric: {name: val_loss}")
    phases = yaml12.parse(FILES["studies/mine.yaml"])["phases"][:1]
    problem = problem_of(load, config(swept | study_text(phases=phases)))
    assert_problem(problem, "metric", "val_loss", "val/loss?", file="lr.yaml")


def test_a_rerun_stands_on_what_it_reruns(config):
    parameters = "learning_rate: {values: [1e-3, 2e-3]}, beta2: {value: 0.5}"
    phases = [
        {"name": "sweep", "kind": "sweep", "sweep": "lr", "set": {"scheduler": "wsd"}},
        {"name": "rerun", "kind": "rerun", "of": "sweep", "set": {"beta1": 0.7}},
        {"name": "again", "kind": "rerun", "of": "rerun"},
    ]
    study = load(config(with_sweep(parameters) | study_text(phases=phases)))
    for name in ("rerun", "again"):
        training = study.phase(name).config["training"]
        assert (training["beta2"], training["scheduler"], training["beta1"]) == (0.5, "wsd", 0.7)


@pytest.mark.parametrize(
    ("swept", "given", "hint"),
    [
        ("z: {values: [1, 2]}, z.y: {values: [3, 4]}", {"z": 5}, "own.z"),
        ("a.b: {values: [1, 2]}", {"a": 5}, "a.b"),
        ("a: {values: [1, 2]}", {"a.b": 5}, "remove"),
        ("a: {values: [[1], [2]]}", {"a.0": 5}, "remove"),
    ],
)
@pytest.mark.parametrize("of", ["sweep", "rerun"])
def test_a_rerun_cannot_replace_what_holds_a_swept_value(swept, given, hint, of, config):
    phases = [phase(), rerun(), rerun(name="last", of=of, set=given)]
    sweep = with_sweep(f"learning_rate: {{values: [1e-3, 2e-3]}}, {swept}")
    problem = problem_of(load, config(sweep | study_text(phases=phases)))
    (path, value) = next(iter(given.items()))
    assert_problem(problem, f"phases.2.set.{path}", value, hint)


def test_a_rerun_may_change_swept_values_and_what_is_inside_them(config):
    changes = {"own.z": 5, "z.y": 6, "a.b": 7}
    sweep = with_sweep("z: {values: [1, 2]}, z.y: {values: [3, 4]}, a: {values: [{b: 1}, {b: 2}]}")
    phases = [phase(), rerun(set=changes)]
    study = load(config(sweep | study_text(phases=phases, own=["a", "z"])))
    assert study.phase("rerun").overrides == changes


def test_constants_of_a_sweep_are_configuration_and_not_assignments(config):
    study = load(config(with_sweep("learning_rate: {values: [1e-3, 2e-3]}, beta2: {value: 0.5}")))
    phase = study.phase("sweep")
    assert phase.config["training"]["beta2"] == 0.5
    assert all(
        list(assigned) == ["training.learning_rate"] for assigned in phase.assignments.values()
    )


def test_the_command_line_overrides_a_constant_of_a_sweep(config):
    folder = config(with_sweep("learning_rate: {values: [1e-3, 2e-3]}, beta2: {value: 0.5}"))
    assert load(folder, {"beta2": 0.75}).phase("sweep").config["training"]["beta2"] == 0.75


def test_a_length_that_is_set_above_a_sweep_replaces_its_other_length(config):
    folder = config(with_sweep("learning_rate: {values: [0.1, 0.2]}, num_epochs: {value: 7}"))
    study = load(folder, {"training.max_steps": 5})
    assert study.phases[0].config["training"]["max_steps"] == 5
    swept = config(with_sweep("num_epochs: {values: [7, 8]}"))
    problem = problem_of(load, swept, {"training.max_steps": 5})
    assert_problem(problem, "training.num_epochs", None, "training.max_steps", file="lr.yaml")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("phases.rerun.max_steps", 300),
        ("phases", {"rerun": {"max_steps": 300}}),
        ("keep", "all"),
    ],
)
def test_keys_of_the_study_cannot_be_set_on_the_command_line(config, path, value) -> None:
    problem = problem_of(load, config(), {path: value})
    assert_problem(problem, path, value, path.split(".")[0], "studies/mine.yaml", file="set")


def test_a_key_of_the_study_may_be_ones_own_hyperparameter(config) -> None:
    study = load(config(study_text(own=["keep"])), {"keep": 3})
    assert study.phase("rerun").config["keep"] == 3


def test_unknown_hyperparameters_reach_the_trials(config):
    swept = with_sweep("my_gain: {values: [1, 2]}, model.rope: {values: [true]}")
    phases = yaml12.parse(FILES["studies/mine.yaml"])["phases"][:1]
    study = load(config(swept | study_text(phases=phases, own=["my_gain", "rope"])))
    phase = study.phase("sweep")
    trial = phase.trial_config(phase.trials[1])
    (alike,) = study.warnings
    assert all(word in alike for word in ("2 trials", "one training", "my_gain"))
    assert trial["my_gain"] == 2
    assert trial["model"]["rope"] is True


def test_the_whole_study_can_be_written_as_plain_values(config):
    resolved = load(config()).resolved()
    assert yaml12.parse(yaml12.dump(resolved)) == json.loads(json.dumps(resolved))
    assert [phase["trials"] for phase in resolved["phases"]] == [2, 6]


# Trials


def labels(config, parameters: str, top: str = "method: grid") -> list[str]:
    phases = yaml12.parse(FILES["studies/mine.yaml"])["phases"][:1]
    study = load(config(with_sweep(parameters, top) | study_text(phases=phases)))
    return study.phase("sweep").trials


def test_labels_are_pinned(config):
    assert labels(config, "learning_rate: {values: [1e-3, 2e-3]}") == ["1472d11511", "478ff142a6"]


def test_a_label_depends_on_what_is_assigned_alone(config):
    before = labels(config, "learning_rate: {values: [1e-3, 2e-3]}")
    assert labels(config, "training.learning_rate: {values: [0.001, 2e-3]}") == before
    assert labels(config, "learning_rate: {values: [5e-3, 2e-3, 1e-3]}")[1:] == before[::-1]
    assert labels(config, "learning_rate: {values: [1e-3, 2e-3]}, beta2: {value: 0.5}") == before


def test_equal_assignments_are_counted(config):
    top = "method: random\nseed: 0\nrun_cap: 4"
    names = labels(config, "learning_rate: {values: [1, 2]}", top)
    first, other = names[0], names[3]
    assert names == [first, f"{first}-2", f"{first}-3", other]
    assert first != other


def test_a_grid_has_equal_values_once(config):
    assert labels(config, "learning_rate: {values: [1, 1.0, 2, 1]}") == labels(
        config, "learning_rate: {values: [1, 2]}"
    )


def test_names_of_trials_are_file_names(config):
    swept = "tag: {values: [../../x, 'a b', '', null, [1], {a: 1}]}, beta2: {values: [0.9]}"
    names = labels(config, swept)
    assert len(set(names)) == 6
    assert all(name.isalnum() for name in names)


def test_the_content_of_a_trial_is_canonical_and_complete(config):
    phase = load(config()).phase("sweep")
    text = trial_content(phase, phase.stages[0], phase.trials[0])
    content = json.loads(text)
    assert text == json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert (content["study"], content["phase"], content["trial"]) == (
        "mine",
        "sweep",
        phase.trials[0],
    )
    assert content["assignments"] == {"training.learning_rate": 1e-3}
    assert set(content["config"]) == set(LANGUAGE.sections)
    for section, model in LANGUAGE.sections.items():
        assert set(content["config"][section]) == set(model.model_fields)
    assert content["config"]["training"]["learning_rate"] == 1e-3
    assert compose.validate(Composed(content["config"], {}), "?", LANGUAGE) == (
        content["config"],
        [],
    )


def test_different_data_settings_are_found(config):
    phases = yaml12.parse(FILES["studies/mine.yaml"])["phases"][:1]
    swept = with_sweep("data.val_fraction: {values: [0.1, 0.2]}, learning_rate: {values: [1, 2]}")
    study = load(config(swept | study_text(phases=phases)))
    assert [settings["val_fraction"] for settings in study.data_settings()] == [0.1, 0.2]


# What the command line says


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({"set": {"learning_rate": "1e-4"}}, 1e-4),
        ({"set": {"training.learning_rate": 1e-4}}, 1e-4),
        ({"set": {"training": {"learning_rate": "1"}}}, 1.0),
        ({"set": "{training.learning_rate: 1e-4}"}, 1e-4),
        ({"set": "learning_rate: 1e-4"}, 1e-4),
    ],
)
def test_overrides_come_in_many_forms(settings, value, config):
    folder = config(with_sweep("beta2: {values: [0.5, 0.6]}"))
    (study,) = load_studies({"study": "mine", **settings}, folder)
    assert study.phase("sweep").config["training"]["learning_rate"] == value


@pytest.mark.parametrize(
    "settings",
    [
        {"studies": ["mine"]},
        {"studies": "mine"},
        {"studies": "[mine]"},
        {"study": "mine", "studies": ["another"]},
    ],
)
def test_studies_are_named_in_many_forms(settings, config):
    assert [study.name for study in load_studies(settings, config())] == ["mine"]


def test_a_study_whose_name_became_a_number_is_found(config):
    folder = config({"studies/001.yaml": FILES["studies/mine.yaml"].replace("mine", "'001'", 1)})
    assert find_study(1, folder).name == "001.yaml"
    assert find_study("001", folder).name == "001.yaml"
    assert [study.name for study in load_studies({"studies": 1}, folder)] == ["001"]


def test_a_study_is_found_by_its_path(config):
    folder = config()
    assert find_study(str(folder / "studies" / "mine.yaml"), folder).is_file()


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "/no/such.yaml", "..", "", "no-such", True, 7, "m*"]
)
def test_names_that_are_no_study_are_refused(name, config):
    problem = problem_of(find_study, name, config())
    assert (problem.key, str(problem.value)) == ("study", str(name))


def test_a_sweeps_study_is_found_by_its_id_and_name(config, tmp_path, monkeypatch):
    folder = config().absolute()
    monkeypatch.chdir(tmp_path)
    made = Path("results/sweeps/0123abcd/study.yaml")
    made.parent.mkdir(parents=True)
    made.write_text("name: mine-0123abcd")
    assert find_study("0123abcd", folder) == find_study("mine-0123abcd", folder) == made


def test_a_misspelt_key_of_the_command_line_is_an_error(config):
    problem = problem_of(load_studies, {"study": "mine", "studdy": "other"}, config())
    assert_problem(problem, "studdy", ANY, "study?")


def test_a_misspelt_study_gets_a_hint(config):
    assert_problem(problem_of(find_study, "mien", config()), "study", "mien", "mine?")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ("studies", None)),
        ({"studies": []}, ("studies", None)),
        ({"study": "mine", "set": [1]}, ("set", [1], "{path: value}")),
        ({"study": "mine", "set": "fast"}, ("set", "fast", "{path: value}")),
        ({"study": "mine", "set": "{a: [1}"}, ("set", "{a: [1}", "YAML")),
        ({"studies": "[mine"}, ("studies", "[mine", "YAML")),
        ({"studies": ["mine", "mine"]}, ("name", "mine")),
        ({"studies": "[]"}, ("studies", None)),
        ({"studies": [None]}, ("studies", "")),
        ({"studies": [["mine"]]}, ("studies", ["mine"])),
        ({"study": None, "studies": ["mine"]}, ("study", "")),
        ({"study": "", "studies": ["mine"]}, ("study", "")),
        ({"study": "x" * 300}, ("study", "x" * 300)),
        ({"study": "x" * 300 + ".yaml"}, ("study", ANY, "mine")),
        ({"study": "mine", "system": "blobs"}, ("system", "blobs", "study file")),
        ({"study": "mine", "beta2": 0.9}, ("beta2", 0.9, "set={beta2: VALUE}")),
        ({"study": "mine", "set": {"": 1}}, ("''", None, "empty")),
        ({"study": "mine", "set": "{a: " + "[" * 500 + "]" * 500 + "}"}, ("set", ANY)),
        ({"study": "mine", "set": {"name": "x"}}, ("name", None, "model.name or run.name")),
        ({"study": "mine", "set": {"max_stepz": 3}}, ("max_stepz", 3, "training.max_steps?")),
        ({"study": "mine", "set": {"max_steps": "many"}}, ("training.max_steps", "many")),
        ({"study": "mine", "set": {"learning_rate": 1}}, ("training.learning_rate", None, "set")),
    ],
)
def test_what_is_wrong_with_the_command_line_is_reported(settings, expected, config):
    assert_problem(problems_of(load_studies, settings, config()), *expected)


def test_a_wrong_value_of_the_command_line_is_blamed_on_it(config):
    problems = problems_of(load_studies, {"study": "mine", "set": {"max_steps": "many"}}, config())
    assert_problem(problems, "training.max_steps", "many", file="--config set")


def test_the_file_or_the_command_line_that_names_a_study_is_named(config):
    folder = config({"config.yaml": "{studies: [mine2], sest: 1}"})
    file = folder / "config.yaml"
    problems = problems_of(load_studies, {"study": "mni"}, folder, file=file)
    assert_problem(problems, "study", "mni", "mine", file="--config")
    assert_problem(problems, "sest", 1, "set", file="config.yaml")
    problems = problems_of(load_studies, {}, folder, file=file)
    assert_problem(problems, "studies", "mine2", "mine?", file="config.yaml")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a: [1", ""),
        ("[1]", ""),
        ("", "studies"),
        ("{studies: []}", "studies"),
        ("study:", "study"),
    ],
)
def test_a_file_that_names_no_study_is_named(text, key, config):
    folder = config({"config.yaml": text})
    found = problem_of(load_studies, {}, folder, file=folder / "config.yaml")
    assert_problem(found, key, ANY, file="config.yaml")


def test_the_command_line_is_above_the_file(config):
    folder = config({"config.yaml": "{studies: [x], set: {beta1: 0.5, beta2: 0.5}}"})
    given = {"study": "mine", "set": "{beta2: 0.7}"}
    (study,) = load_studies(given, folder, file=folder / "config.yaml")
    training = study.phase("sweep").config["training"]
    assert (training["beta1"], training["beta2"]) == (0.5, 0.7)


def test_no_two_studies_need_one_rule(config):
    def renamed(study: str, *phases: str) -> str:
        listed = [{"name": name, "kind": "sweep", "sweep": "lr"} for name in phases]
        changes = {"name": study, "phases": listed}
        return yaml12.dump(yaml12.parse(FILES["studies/mine.yaml"]) | changes)

    names = {"a": ("b__c",), "a__b": ("c",), "x-y": ("c",), "x_y": ("d",), "z": ("b__c", "c")}
    folder = config({f"studies/{name}.yaml": renamed(name, *names[name]) for name in names})
    found = problem_of(load_studies, {"studies": ["a", "a__b"]}, folder)
    assert_problem(found, "name", "a__b", "train_a__b__c", file="a__b.yaml")
    found = problem_of(load_studies, {"studies": ["x-y", "x_y"]}, folder)
    assert_problem(found, "name", "x_y", "_x_y", "x-y", file="x_y.yaml")
    assert len(load_studies({"studies": ["a", "x_y", "z"]}, folder)) == 3


PACKS = {"name": "sweep", "kind": "sweep", "sweep": "lr", "resources": {"pack": 2}}
RUNGS = {
    "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 2},
    "set": {"training.eval_steps": 10},
}


@pytest.mark.parametrize("values", [2, 5], ids=["one pack", "three packs"])
@pytest.mark.parametrize(
    ("changes", "other"),
    [
        ({}, "sweep-p1"),
        ({}, "sweep_p12"),
        ({"resources": {"pack": 1}}, "sweep_p1"),
        (RUNGS, "sweep-b1"),
        (RUNGS, "sweep_b1_p3"),
    ],
)
def test_no_two_phases_could_need_one_rule_however_many_trials(changes, other, values, config):
    rates = [round(1e-3 * (number + 1), 6) for number in range(values)]
    phases = [PACKS | changes, PACKS | {"name": other}]
    for order in (phases, phases[::-1]):
        files = study_text(phases=order) | with_sweep(f"learning_rate: {{values: {rates}}}")
        found = problem_of(load, config(files))
        name, hint = order[1]["name"], (f"train_{other.replace('-', '_')}", order[0]["name"])
        assert_problem(found, "phases.1.name", name, *hint)


def test_phases_may_be_numbered_like_packs(config):
    names = ("lr-p1", "lr-p2", "lr-p1x", "p1")
    phases = [PACKS | {"name": name} for name in names]
    study = load(config(study_text(phases=phases)))
    assert tuple(phase.name for phase in study.phases) == names


# What is wrong with a study


def phase(**changes) -> dict:
    return {"name": "sweep", "kind": "sweep", "sweep": "lr"} | changes


def rerun(**changes) -> dict:
    return {"name": "rerun", "kind": "rerun", "of": "sweep", "top": 1} | changes


PLAIN_BASE = {"model": "small", "data": "docs", "training": "short"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "../x"}, ("name", "../x")),
        ({"name": "a/b"}, ("name", "a/b")),
        ({"name": ".hidden"}, ("name", ".hidden")),
        ({"name": "a\n"}, ("name", "a\n")),
        ({"name": ""}, ("name", "")),
        ({"name": "runs"}, ("name", "runs", "results/")),
        ({"name": "data"}, ("name", "data", "results/")),
        ({"name": "trash"}, ("name", "trash", "results/")),
        ({"name": 3}, ("name", 3)),
        ({"phases": []}, ("phases", [])),
        ({"phases": [phase(name="data")]}, ("phases.0.name", "data", "reserved")),
        ({"phases": [phase(name="artifacts")]}, ("phases.0.name", "artifacts", "reserved")),
        ({"phases": [phase(name="a/b")]}, ("phases.0.name", "a/b", "letters")),
        ({"phases": [phase(), phase()]}, ("phases.1.name", "sweep")),
        ({"phases": [phase(name="a-b"), phase(name="a_b")]}, ("phases.1.name", "a_b")),
        ({"phases": [phase(kind="sweeep")]}, ("phases.0.kind", "sweeep", "sweep?")),
        ({"phases": [phase(kind="x")]}, ("phases.0.kind", "x", "sweep", "rerun")),
        ({"phases": [{"name": "sweep"}]}, ("phases.0.kind", None, "missing", "sweep", "rerun")),
        ({"phases": [3]}, ("phases.0", 3)),
        ({"phases": [phase(resources={"gpu": 1})]}, ("phases.0.resources.gpu", 1, "gpus?")),
        ({"phases": [phase(resources={"top": 1})]}, ("phases.0.resources.top", 1)),
        ({"phases": [phase(resources={"pack": 2000})]}, ("phases.0.resources.pack", 2000, "1000")),
        ({"phases": [phase(resources={"workers": 0})]}, ("phases.0.resources.workers", 0)),
        ({"resources": {"pack": 0}}, ("resources.pack", 0, "auto")),
        ({"resources": {"pack": "many"}}, ("resources.pack", "many", "auto")),
        ({"resources": {"pack": "16"}}, ("resources.pack", "16", "quotes", "auto")),
        ({"resources": {"pack": 1.5}}, ("resources.pack", 1.5, "auto")),
        ({"resources": {"pack": True}}, ("resources.pack", True, "auto")),
        ({"resources": {"packs": 4}}, ("resources.packs", 4, "pack?")),
        ({"resources": {"workers": "auto"}}, ("resources.workers", "auto")),
        ({"phases": [phase(nonsense=1)]}, ("phases.0.nonsense", 1, "early_terminate", "keep")),
        ({"phases": [phase(sweeps="lr")]}, ("phases.0.sweeps", "lr", "sweep?")),
        ({"phasse": []}, ("phasse", [], "phases?")),
        ({"scores": {}}, ("scores", ANY, "score?")),
        ({"score": {"slope_wieght": 1}}, ("score.slope_wieght", 1, "slope_weight?")),
        ({"score": {"normalize": "rank"}}, ("score.normalize", "rank", "zscore", "raw")),
        ({"keep": "some"}, ("keep", "some", "best", "all", "none")),
        ({"tolerate_failures": -1}, ("tolerate_failures", -1)),
        ({"base": PLAIN_BASE | {"model": "smal"}}, ("base.model", "smal", "small?")),
        ({"base": PLAIN_BASE | {"model": None}}, ("base.model", None, "small")),
        ({"base": PLAIN_BASE | {"modell": "small"}}, ("base.modell", "small", "model?")),
        ({"base": PLAIN_BASE | {"modell": {"n_layer": 1}}}, ("base.modell", None, "model?")),
        ({"base": PLAIN_BASE | {"../studies": "mine"}}, ("base.../studies", "mine", "training")),
        ({"base": PLAIN_BASE | {"arch": "x"}}, ("base.arch", "x", "training")),
        ({"base": PLAIN_BASE | {"system": "x"}}, ("base.system", "x", "system:")),
        ({"base": [1]}, ("base", [1], "mapping")),
        ({"base": {1: "small"}}, ("base.1", 1, "quotes")),
        ({"base": PLAIN_BASE | {"model": "../small"}}, ("base.model", "../small")),
        ({"set": {"learning_rte": 1}}, ("learning_rte", 1, "training.learning_rate?")),
        ({"own": ["training.batch_size"]}, ("own.0", "training.batch_size", "remove")),
        ({"own": ["mine", "data.paths"]}, ("own.1", "data.paths")),
        ({"own": "patch_size"}, ("own", "patch_size", "list")),
        ({"set": {"learning_rate": -1}}, ("training.learning_rate", -1)),
        ({"set": {"vocab_size": 256}}, ("model.vocab_size", 256, "257")),
        ({"set": {"training": {"seed": 1}, "training.seed.x": 2}}, ("training.seed.x", None)),
        ({"set": {"": 1}}, ("''", None, "empty")),
        ({"set": {".x": 1}}, (".x", None, "empty")),
        ({"set": {"a..b": 1}}, ("a..b", None, "empty")),
        ({"set": {"training.": 1}}, ("training.", None, "empty")),
        ({"set": {"training": {"": 1}}}, ("training.", None, "empty")),
        ({"set": {" x": 1}}, ("' x'", None, "spaces")),
        ({"set": {"a\nb": 1}}, ("a\nb", None, "control")),
        ({"set": {"x" * 300: 1}}, ("x" * 300, None, "300", "200")),
        ({"set": {".".join("a" * 3000): 1}}, (ANY, None, "200")),
        ({"set": {1: 2}}, ("set.1", 1, "quotes")),
        ({"set": {"training": 5}}, ("training", 5, "mapping")),
        ({"own": ["a", "", "a."]}, ("own.2", "a.", "empty")),
        ({"own": ["x" * 300]}, ("own.0", "x" * 300, "200")),
        ({"name": "x" * 101}, ("name", "x" * 101, "100")),
        ({"phases": [phase(name="x" * 101)]}, ("phases.0.name", "x" * 101, "100")),
        ({"phases": {}}, ("phases", None, "list")),
        ({"phases": [phase(kind=["sweep"])]}, ("phases.0.kind", ["sweep"], "sweep", "rerun")),
        ({"phases": [phase(early_terminate=5)]}, ("phases.0.early_terminate", 5, "off")),
        ({"phase": []}, ("phase", [], "phases?")),
        ({"phases": [phase(), rerun(tops=1)]}, ("phases.1.tops", 1, "top?")),
        ({"phases": [phase(), rerun(of="swep")]}, ("phases.1.of", "swep", "sweep?")),
        ({"phases": [phase(), rerun(seeds=[2**63])]}, ("phases.1.seeds.0", 2**63, str(2**63))),
        ({"phases": [phase(), rerun(seeds=[])]}, ("phases.1.seeds", [], "empty")),
        ({"phases": [phase(seed=2**63)]}, ("phases.0.seed", 2**63)),
        ({"phases": [phase(round_size=10**30)]}, ("phases.0.round_size", 10**30)),
        ({"tolerate_failures": 10**30}, ("tolerate_failures", 10**30)),
        ({"resources": {"cpus": 10**30}}, ("resources.cpus", 10**30)),
        ({"score": {"slope_weight": 1e300}}, ("score.slope_weight", 1e300)),
        ({"tracking": {"project": ""}}, ("tracking.project", "", "empty")),
        ({"tracking": {"project": "a/b"}}, ("tracking.project", "a/b")),
        ({"tracking": {"entity": " "}}, ("tracking.entity", " ")),
        ({"set": {"max_steps": 10**30}}, ("training.max_steps", 10**30)),
        ({"set": {"batch_size": 1e30}}, ("training.batch_size", 1e30)),
        ({"set": {"n_embd": 10**9}}, ("model.n_embd", 10**9)),
        ({"set": {"init_std": 1e300}}, ("initialization.init_std", 1e300)),
        ({"set": {"foo": 10**400}}, ("foo", 10**400)),
        ({"set": {"run.weights": "xyz"}}, ("run.weights", "xyz", "64")),
        ({"phases": [phase(sweep=None)]}, ("phases.0.sweep", None, "config/sweep/")),
        ({"phases": [phase(of="x")]}, ("phases.0.of", "x", "rerun")),
        ({"phases": [phase(seeds=[1])]}, ("phases.0.seeds", [1], "rerun")),
        ({"phases": [phase(set={"learning_rate": 1})]}, ("training.learning_rate", None, "set")),
        ({"phases": [phase(), rerun(trials=3)]}, ("phases.1.trials", 3, "sweep")),
        ({"phases": [phase(), rerun(of="later")]}, ("phases.1.of", "later", "sweep")),
        ({"phases": [rerun(), phase()]}, ("phases.0.of", "sweep", "none")),
        ({"phases": [phase(), rerun(of=None)]}, ("phases.1.of", None, "sweep")),
        ({"phases": [phase(), rerun(top=3)]}, ("phases.1.top", 3, "sweep", " 2, ")),
        ({"phases": [phase(), rerun(top=0)]}, ("phases.1.top", 0)),
        ({"phases": [phase(), rerun(seeds=[1, 1])]}, ("phases.1.seeds", [1, 1])),
        ({"phases": [phase(), rerun(seeds=[-1])]}, ("phases.1.seeds.0", -1)),
        ({"phases": [phase(), rerun(set={"max_steps": "x"})]}, ("training.max_steps", "x")),
    ],
)
def test_what_is_wrong_with_a_study_is_reported(changes, expected, config):
    assert_problem(problems_of(load, config(study_text(**changes))), *expected)


def test_a_missing_module_or_sweep_is_reported_as_the_file_that_is_missing(config):
    base = {"model": "smal", "data": "docs", "training": "short"}
    problems = problems_of(load, config(study_text(base=base)))
    assert_problem(problems, "base.model", "smal", "small?", file="mine.yaml")
    phases = [phase(sweep="none")]
    problems = problems_of(load, config(study_text(phases=phases)))
    assert_problem(problems, "phases.0.sweep", "none", "sweep/none.yaml", "lr", file="mine.yaml")


@pytest.mark.parametrize("key", ["name", "base", "phases"])
def test_a_study_lacks_nothing(key, config):
    content = yaml12.parse(FILES["studies/mine.yaml"])
    del content[key]
    problems = problems_of(load, config({"studies/mine.yaml": yaml12.dump(content)}))
    assert_problem(problems, key, None, file="mine.yaml")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ("learning_rate: {values: [1e-3, -1]}", ("training.learning_rate", -1)),
        ("learning_rate: {values: [fast]}", ("training.learning_rate", "fast")),
        (
            "learning_rate: {values: [1e-3], values2: [1]}",
            ("parameters.learning_rate", ANY, "values2", "values"),
        ),
        ("learning_rate: {value: [1e-3]}", ("training.learning_rate", [0.001])),
        ("learning_rate: {min: 0, max: 1}", ("training.learning_rate", 0)),
        ("learning_rte: {values: [1]}", ("learning_rte", None, "training.learning_rate?")),
        (
            "training.learning_rte: {values: [1]}",
            ("training.learning_rte", None, "training.learning_rate?"),
        ),
        ("n_layer: {values: [2, 2.5]}", ("model.n_layer", 2.5)),
        ("name: {values: [a]}", ("name", None, "model.name or run.name")),
        ("own: {values: [.nan]}", ("parameters.own", ANY, "nan")),
        ("own: {values: [-0.0]}", ("parameters.own", {"values": [-0.0]}, "-0.0")),
        ("vocab_size: {values: [256, 300]}", ("model.vocab_size", 256, "257")),
        ("model: {values: [small, large]}", ("model", None, "model.FIELD")),
        (
            "learning_rate: {values: [1]}, training.learning_rate: {values: [2]}",
            ("training.learning_rate", None, "twice"),
        ),
    ],
)
def test_what_is_wrong_with_a_swept_value_is_reported(parameters, expected, config):
    problems = problems_of(load, config(with_sweep(parameters)))
    assert_problem(problems, *expected, file="lr.yaml")


def test_a_name_of_ones_own_goes_through_sweep_base_set_and_rerun(config):
    """One that looks like a misspelling; the rerun's plan accepts it too."""
    own = {"own": ["patch_size", "model.n_heads", "seeds", "path"]}
    files = with_sweep("learning_rate: {values: [1, 2]}, patch_size: {values: [2, 4]}")
    files |= {"model/small.yaml": FILES["model/small.yaml"].replace("}", ", n_heads: 3}")}
    wrong = problems_of(load, config(files | study_text(set={"seeds": 3, "data.path": "x"})))
    assert {problem.key for problem in wrong} == {
        "model.n_heads", "seeds", "data.path", "patch_size",
    }  # fmt: skip
    study = load(config(files | study_text(set={"seeds": 3, "data.path": "x"}, **own)))
    sweep, last = study.phases
    assert {a["patch_size"] for a in sweep.assignments.values()} == {2, 4}
    assert last.config["model"]["n_heads"] == 3 and last.config["seeds"] == 3
    best = config.root / "best.yaml"
    best.write_text("- {learning_rate: 1e-3, patch_size: 2}")
    (trial,) = plan_rerun(best, ["01"], **last.plan())
    assert trial.assignments["patch_size"] == 2


def test_a_range_of_fractions_for_a_whole_number_is_an_error(config):
    swept = with_sweep("n_layer: {min: 1.0, max: 8.0}", "method: random\nrun_cap: 4")
    problem = problem_of(load, config(swept))
    assert_problem(problem, "model.n_layer", ANY, "int_uniform", file="lr.yaml")


def test_a_random_sweep_needs_a_number_of_trials(config):
    swept = with_sweep("learning_rate: {min: 0.1, max: 0.2}", "method: random")
    assert_problem(problem_of(load, config(swept)), "run_cap", None, file="lr.yaml")
    phases = [phase(trials=5)]
    assert len(load(config(swept | study_text(phases=phases))).phase("sweep").trials) == 5


def test_everything_wrong_in_a_study_is_reported_at_once(config):
    files = study_text(
        name="runs",
        base={"model": "smal", "data": "dosc", "training": "short"},
        set={"name": "x"},
        phases=[
            phase(sweep="bad", top=2),
            phase(name="data", base={"model": "small", "data": "docs"}, set={"beta2": 7}),
            rerun(of="nowhere"),
        ],
    )
    files["sweep/bad.yaml"] = "method: bayse\nparameters: {a: {min: 2, max: 1}, b: {}}"
    problems = problems_of(load, config(files))
    wanted: list[tuple[str, Any]] = [
        ("name", None),
        ("method", "bayse"),
        ("parameters.a", ANY),
        ("parameters.b", ANY),
        ("phases.0.top", 2),
        ("name", "runs"),
        ("phases.1.name", "data"),
    ]
    for key, value in wanted:
        assert_problem(problems, key, value)
    assert_problem(problems, "base.model", "smal", "small?")
    assert_problem(problems, "base.data", "dosc", "docs?")
    assert_problem(problems, "phases.2.of", "nowhere")
    assert len(problems) == len({str(problem) for problem in problems})


def test_what_is_wrong_beside_an_unknown_system_is_reported(config):
    changes = {"system": "langage", "name": "runs", "base": PLAIN_BASE | {"model": "smal"}}
    problems = problems_of(load, config(study_text(**changes) | with_sweep("a: {values: []}")))
    assert_problem(problems, "system", "langage", "language")
    assert_problem(problems, "name", "runs")
    assert_problem(problems, "base.model", "smal", "small?")
    assert_problem(problems, "parameters.a", ANY, file="lr.yaml")


def test_what_is_wrong_beside_a_wrong_type_is_reported(config):
    phases = [
        phase(trials="many"),
        phase(name="second", sweep="none"),
        rerun(of="second", top=0),
        {"name": "x" * 300, "kind": "sweep", "base": {"model": "smal"}},
        rerun(name="again", seeds=[1, 1]),
        "text",
    ]
    changes = {"score": {"early_steps": 0, "final_weight": "x"}, "keep": 1, "phases": phases}
    problems = problems_of(load, config(study_text(**changes)))
    keys = [problem.key for problem in problems]
    assert keys == [
        "phases.0.trials",
        "phases.2.top",
        "phases.3.name",
        "phases.5",
        "score.early_steps",
        "score.final_weight",
        "keep",
        "phases.1.sweep",
        "phases.3.base.model",
        "phases.4.seeds",
    ]


def test_a_section_that_a_layer_leaves_empty_stays_as_it_is(config):
    changes = {"set": {"training": {}}, "phases": [phase(), rerun(set={"model": {}})]}
    study = load(config(study_text(**changes)))
    assert [phase.config["training"]["batch_size"] for phase in study.phases] == [4, 4]
    assert study.phase("rerun").overrides == {}


def test_a_wrong_value_and_a_wrong_sweep_are_reported_together(config):
    files = study_text(set={"beta2": 7}) | with_sweep("learning_rate: {min: 2, max: 1}")
    problems = problems_of(load, config(files))
    assert_problem(problems, "training.beta2", 7)
    assert_problem(problems, "parameters.learning_rate")


def test_unknown_keys_and_what_else_is_wrong_are_reported_together(config):
    files = study_text(phasse=1, score={"wieght": 2}, phases=[phase(trails=3)], set={"beta2": 7})
    problems = problems_of(load, config(files | with_sweep("learning_rate: {min: 2, max: 1}")))
    assert_problem(problems, "phasse", 1)
    assert_problem(problems, "score.wieght", 2)
    assert_problem(problems, "phases.0.trails", 3, "trials?")
    assert_problem(problems, "training.beta2", 7)
    assert_problem(problems, "parameters.learning_rate", ANY, "min")


def test_several_bad_studies_are_reported_together(config):
    folder = config({"studies/other.yaml": "name: other\nphases: []\nbase: {}"})
    problems = problems_of(load_studies, {"studies": ["other", "nowhere"]}, folder)
    assert_problem(problems, "phases", [], file="other.yaml")
    assert_problem(problems, "studies", "nowhere")


def test_the_study_file_itself_may_be_missing_or_no_yaml(config):
    folder = config({"studies/mine.yaml": "name: [mine"})
    assert_problem(problems_of(load, folder)[0], "", None, "YAML", "line", file="mine.yaml")
    assert_problem(problems_of(load, folder, None, "nowhere")[0], file="nowhere.yaml")


def test_the_keys_of_a_study_file_do_not_look_alike():
    for name in StudyFile.model_fields:
        others = [other for other in StudyFile.model_fields if other != name]
        assert nearest(name, others) is None


# What a run is called

COUNTS = {"train": 100_000, "val": 9000, "test": 5000}


def prepared(folder: str = "nowhere", digest: str = "d" * 64, vocab_size: int = 257) -> Prepared:
    return Prepared(Path(folder), digest, {"vocab_size": vocab_size, "tokens": COUNTS})


DATA = prepared()


def resolved(data: Prepared = DATA, **changes) -> dict:
    """A small configuration with flat changes, resolved."""
    base = {"model.n_layer": 2, "training.max_steps": 200, "training.batch_size": 12}
    full, problems = compose.validate(Composed(nest(base | changes), {}), "?", LANGUAGE)
    assert problems == []
    return resolve(full, data)


@pytest.mark.parametrize(
    ("study", "ids"),
    [
        (
            "quickstart",
            {
                "1ef1b0ad4a": "73dfc9f048aa",
                "8117862588": "f02201d61e97",
                "8e68d9c3d6": "41a140ea0363",
                "d1da034dfb": "6f52d605df83",
                "cbbfe3d35c": "ad63904a3b02",
                "4bb1279c4b": "4d30338aa849",
                "7a3ec74e49": "59d310654076",
                "d25a478476": "b30f204faac8",
            },
        ),
        (
            "warm-start",
            {
                "5e1f9fba51": "21ea82b5f2ad",
                "0c2e08bf94": "b56e716d74bf",
                "9e05fcf787": "1bca13529b11",
                "660be0ed78": "f69e6d9e0b60",
                "a80761c088": "701d0949ef66",
                "351b262b5d": "f317f08b8eed",
                "acfbd2397c": "5c2566280546",
                "33d836c936": "cdb94c447acf",
            },
        ),
    ],
)
def test_run_ids_of_shipped_sweeps_are_pinned(study: str, ids: dict[str, str]):
    """Renaming runs throws all stored results away: a new field should carry AsBefore(value)."""
    phase = load_study(CONFIG / "studies" / f"{study}.yaml", CONFIG).phase("sweep")
    found = [run_id(resolve(phase.trial_config(trial), DATA), DATA) for trial in phase.trials]
    assert dict(zip(phase.trials, found, strict=True)) == ids


def test_run_ids_of_own_hyperparameters_are_pinned(config):
    own = "foo: {values: [1]}, model.foo: {values: [a]}, a.b: {values: [0.5]}"
    swept = f"learning_rate: {{values: [1e-3, 2e-3]}}, {own}, stages: {{values: [[1, {{x: 2}}]]}}"
    phases = yaml12.parse(FILES["studies/mine.yaml"])["phases"][:1]
    # Another system has a field stages, so a study of language models says that it means its own.
    text = study_text(phases=phases, own=["stages"])
    phase = load(config(with_sweep(swept) | text)).phase("sweep")
    assert dict(phase.assignments["da9192c973"]) == {
        "training.learning_rate": 1e-3, "foo": 1, "model.foo": "a", "a.b": 0.5,
        "stages": [1, {"x": 2}],
    }  # fmt: skip
    ids = [run_id(resolve(phase.trial_config(trial), DATA), DATA) for trial in phase.trials]
    assert ids == ["2a9209659349", "d4b391cfe6fc"]


@pytest.mark.parametrize(
    "changes",
    [
        {"model.n_layer": 3},
        {"model.bias": False},
        {"model.dropout": 0.1},
        {"model.vocab_size": 300},
        {"model.context_length": 64},
        {"training.max_steps": 201},
        {"training.batch_size": 13},
        {"training.seed": 1},
        {"training.learning_rate": 2e-3},
        {"training.scheduler": "linear"},
        {"training.pct_warmup": 0.1},
        {"training.min_lr_ratio": 0.1},
        {"training.weight_decay": 0.0},
        {"training.beta2": 0.99},
        {"training.grad_clip": 0.0},
        {"training.log_steps": 5},
        {"training.eval_steps": 5},
        {"training.eval_sequences": 5},
        {"training.precision": "bf16"},
        {"training.compile": True},
        {"initialization.init_std": 0.03},
        {"initialization.init_type": "gaussian"},
        {"initialization.scale_residual": True},
        {"initialization.weight_seed": 0},
        {"initialization.mup_base_width": 64},
        {"my_own": 1},
        {"model.my_own": 1},
        {"training.my_own": None},
        {"data.my_own": 1},
        {"run.my_own": 1},
    ],
    ids=str,
)
def test_what_changes_the_numbers_changes_the_name(changes):
    assert run_id(resolved(**changes), DATA) != run_id(resolved(), DATA)


@pytest.mark.parametrize(
    "changes",
    [
        {"model.name": "x"},
        {"run.name": "x"},
        {"early_stopping.loss_patience": 4, "early_stopping.loss_smoothing": 0.5},
        {"early_stopping.plateau_patience": 4, "early_stopping.divergence_factor": 2.0},
        {"training.max_gpu_batch_size": 3},
        {"training.eval_batch_size": 7},
        {"training.save_steps": 7},
        {"training.gradient_checkpointing": True},
        {"initialization.init_type": "normal", "initialization.init_mean": 0.0},
        {"data.source": "text", "data.paths": ["moved/*.txt"]},
        {"data.val_fraction": 0.2},
        {"training.batch_size": 6, "training.gradient_accumulation_steps": 2},
        {"training.batch_size": 1, "training.gradient_accumulation_steps": 12},
        {"training.warmup_steps": 0},
        {"training.pct_warmup": 0.0},
        {"model.vocab_size": 257},
    ],
    ids=str,
)
def test_what_does_not_change_the_numbers_does_not_change_the_name(changes):
    assert run_id(resolved(**changes), DATA) == run_id(resolved(), DATA)


def test_micro_batches_do_not_change_the_name_of_a_run_with_dropout():
    whole = resolved(**{"model.dropout": 0.1})
    cut = resolved(**{"model.dropout": 0.1, "training.max_gpu_batch_size": 3})
    assert run_id(whole, DATA) == run_id(cut, DATA)
    assert identity(whole, DATA)["dropout"] == "per-sample/1"
    assert "dropout" not in identity(resolved(), DATA)


def test_other_data_is_another_run():
    other = prepared(digest="e" * 64)
    moved = prepared("elsewhere")
    assert run_id(resolved(), other) != run_id(resolved(), DATA)
    assert run_id(resolved(), moved) == run_id(resolved(), DATA)


def test_warmup_as_a_share_and_in_steps_is_one_run():
    share, steps = (
        resolved(**{"training.pct_warmup": 0.1}),
        resolved(**{"training.warmup_steps": 20}),
    )
    assert run_id(share, DATA) == run_id(steps, DATA)
    assert share["training"]["warmup_steps"] == 20


def test_epochs_and_the_steps_they_come_to_are_one_run():
    epochs = resolved(**{"training.max_steps": None, "training.num_epochs": 2})
    steps = resolved(**{"training.max_steps": epochs["training"]["max_steps"]})
    windows = (COUNTS["train"] - 128) // 128
    assert epochs["training"]["max_steps"] == -(-2 * windows // 12)
    assert run_id(epochs, DATA) == run_id(steps, DATA)


def test_resolving_twice_changes_nothing_and_leaves_its_input():
    config = resolved(**{"training.pct_warmup": 0.1})
    before = copy.deepcopy(config)
    assert resolve(config, DATA) == config == before
    identity(config, DATA)
    assert config == before


def test_a_run_id_is_twelve_hex_digits():
    assert len(run_id(resolved(), DATA)) == 12
    assert int(run_id(resolved(), DATA), 16) >= 0


def test_the_recipe_is_identity(monkeypatch):
    before = run_id(resolved(), DATA)
    monkeypatch.setitem(RECIPES, "gpt", "gpt/next")
    assert run_id(resolved(), DATA) != before


@pytest.mark.parametrize("name", ["recipe", "own", "data.digest", "data.own", "training.recipe"])
def test_no_hyperparameter_takes_the_place_of_what_is_identity(name):
    ids = [run_id(resolved(**changes), DATA) for changes in ({}, {name: 1}, {name: 2})]
    assert len(set(ids)) == 3


@pytest.mark.parametrize(("value", "left_out"), [(1.0, True), (2.0, False)])
def test_a_later_field_is_left_out_while_it_means_as_before(value, left_out, monkeypatch):
    class Later(Initialization):
        gain: Annotated[float, AsBefore(1.0)] = 1.0

    before = identity(resolved(), DATA)
    monkeypatch.setitem(LANGUAGE.sections, "initialization", Later)
    config = resolved()
    config["initialization"]["gain"] = value
    assert (identity(config, DATA) == before) is left_out


def test_a_context_longer_than_the_data_is_infeasible():
    with pytest.raises(DataError, match=r"val .*9000"):
        resolved(**{"model.context_length": 9000})


def test_values_that_do_not_fit_each_other_are_infeasible():
    config = assign(resolved(), {"model.n_head": 3})
    assert_problem(problem_of(resolve, config, DATA), "model", ANY, "n_head = 3")


def test_a_vocabulary_smaller_than_the_datas_is_infeasible():
    larger = prepared(vocab_size=1000)
    problem = problem_of(resolved, larger, **{"model.vocab_size": 999})
    assert_problem(problem, "model.vocab_size", 999, "1000")


@pytest.mark.parametrize(("stop", "last"), [(None, 200), (50, 50), (500, 200)])
def test_a_trial_stops_at_its_stop_or_the_horizon(stop, last):
    assert Goal(config=resolved(), data=DATA, stop=stop).until == last


HF_KEY = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ"


@pytest.mark.parametrize(
    ("changes", "file", "key"),
    [
        (study_text(set={"my_note": HF_KEY}), "mine.yaml", "set.my_note"),
        (study_text(description=f"uses {HF_KEY}"), "mine.yaml", "description"),
        ({"model/small.yaml": f"{{n_layer: 2, notes: [x, {HF_KEY}]}}"}, "small.yaml", "notes.1"),
        (with_sweep(f"api: {{values: [{HF_KEY}]}}"), "lr.yaml", "parameters.api.values.0"),
    ],
)
def test_keys_and_passwords_are_refused_and_not_shown(config, changes, file, key):
    problems = problems_of(load, config(changes))
    assert_problem(problems, key, None, "HF_TOKEN", file=file)
    assert HF_KEY not in "".join(map(str, problems))


def test_a_key_on_the_command_line_is_refused(config):
    problems = problems_of(load_studies, {"study": "mine", "set": {"my_token": HF_KEY}}, config())
    assert_problem(problems, "set.my_token", None)


@pytest.mark.parametrize("models", ["best", "none"])
def test_a_hub_folder_needs_a_model(config, models):
    publish = {"models": models, "to": ["backup", {"hub": "mine"}]}
    folder = config(study_text(publish=publish))
    if models == "best":
        assert load(folder).publish.to == publish["to"]
    else:
        assert_problem(problem_of(load, folder), "publish.to.1", {"hub": "mine"}, "publish.models")
