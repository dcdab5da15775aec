"""Command lines: every spelling of a parameter, as people and W&B's agents write them."""

import json

import pytest

from resweep import yaml12
from resweep.errors import ConfigError
from resweep.sweep.arguments import parse_arguments, read_parameters, read_value
from tests.support.sweep_points import MACROS, PLAIN, TRICKY, RealAgent, random_points
from tests.support.wandb_command import agent_arguments, agent_command


def values(*words, swept=None):
    arguments = parse_arguments(words, (), swept)
    assert arguments.problems == ()
    return {one.name: one.value for one in arguments.given}


def problems(*words):
    return [str(problem) for problem in parse_arguments(words).problems]


@pytest.mark.parametrize(
    "words",
    [
        ["--learning_rate=5e-4"],
        ["--learning_rate", "5e-4"],
        ["learning_rate=5e-4"],
        ["+learning_rate=5e-4"],
        ["++learning_rate=5e-4"],
        ['{"learning_rate": 5e-4}'],
    ],
)
def test_every_form(words):
    assert values(*words) == {"learning_rate": 5e-4}
    assert values("--n_layer", "4", *words, "x=") == {
        "n_layer": 4,
        "learning_rate": 5e-4,
        "x": "",
    }


def test_booleans_as_flags():
    assert values("--bias", "--no-compile") == {"bias": True, "compile": False}
    assert values("--bias", "+lr=1", "--x", "--y", "2") == {
        "bias": True,
        "lr": 1,
        "x": True,
        "y": 2,
    }
    assert values("--bias", "false") == {"bias": False}


@pytest.mark.parametrize(
    "text, value",
    [
        *[("1e-4", 1e-4), ("1e-05", 1e-5), ("-3", -3), ("012", 12), ("+.5", 0.5)],
        *[("true", True), ("False", False), ("yes", "yes"), ("None", None), ("null", None)],
        *[("", ""), (" 1", " 1"), ("1 # x", "1 # x"), ("a: b", "a: b"), ("-", "-"), ("---", "---")],
        *[("[1e-4, 2]", [1e-4, 2]), ("['a', None]", ["a", None]), ("[a, b]", ["a", "b"])],
        *[("{'a': {'b': True}}", {"a": {"b": True}}), ('{"a": null}', {"a": None})],
        *[("{a: 1e-4}", {"a": 1e-4}), ("[", "["), ("{x", "{x"), ("!!int 3", "!!int 3")],
        *[("nan", "nan"), ("'1'", "'1'"), ("&a", "&a"), ("*a", "*a"), ("x=1", "x=1")],
    ],
)
def test_text(text, value):
    found = read_value(text)
    assert found == value and type(found) is type(value)


def test_the_later_counts():
    assert values("--x=1", '{"x": 2, "y": 3}', "y=4") == {"x": 2, "y": 4}


def test_options_in_every_form():
    arguments = parse_arguments(["--study", "007", "device=cpu", "--lr=1"], ("study", "device"))
    assert arguments.options == {"study": "007", "device": "cpu"}
    assert [one.name for one in arguments.given] == ["lr"]


def test_all_that_means_nothing_is_reported_at_once(tmp_path):
    missing = tmp_path / "gone.json"
    words = ["lr", "-x", "--=3", "~a", "{'a': 1}", str(missing)]
    found = problems(*words, "--ok=1", "--bias", "a=2")
    assert len(found) == 7 and all("\n" not in text for text in found)
    for word, text in zip(words[:4], found, strict=False):
        assert text.startswith(f"command line: {word}: ")
    assert "JSON" in found[4]
    assert str(missing) in found[5]
    assert "--bias=a=2, or --bias=true a=2" in found[6]


@pytest.mark.parametrize("settings", ["max_steps=5", "{max_steps: 5}"])
@pytest.mark.parametrize("joined", [True, False])
def test_settings_of_a_study_are_not_those_of_a_training(settings: str, joined: bool) -> None:
    words = [f"--set={settings}"] if joined else ["--set", settings]
    (problem,) = parse_arguments([*words, "lr=1"]).problems
    assert (problem.key, problem.value) == ("--set", settings)
    assert parse_arguments(["--set", "small"]).given[0].value == "small"  # somebody's own


def test_json_that_says_a_thing_twice_is_refused(tmp_path):
    """As YAML is: the last would win in silence."""
    for text, key in (('{"lr": 1, "n": 2, "lr": 3}', "lr"), ('{"a": {"x": 1, "x": 1}}', "x")):
        (tmp_path / "a.json").write_text(text)
        for word in (text, str(tmp_path / "a.json")):
            (problem,) = problems(word)
            assert "JSON" in problem and f"'{key}'" in problem and "twice" in problem


def test_json_that_is_nested_too_deeply_is_refused():
    (problem,) = problems('{"a": ' * 100_000 + "1" + "}" * 100_000)
    assert "nested" in problem


def test_files(tmp_path):
    (tmp_path / "a.json").write_text('{"x": 1, "s": "1e-4", "t": "0.5", "u": "\\ud83d\\ude00"}')
    (tmp_path / "b.yaml").write_text("lr: 1e-4\narch: {depth: [1, 2]}\n")
    assert values(str(tmp_path / "a.json"), str(tmp_path / "b.yaml"), "x=2") == {
        **{"x": 2, "s": 1e-4, "t": "0.5", "u": "😀"},
        **{"lr": 1e-4, "arch": {"depth": [1, 2]}},
    }


def test_file_of_an_agent(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("wandb_version: 1\n\nlr:\n  value: 1e-4\nname:\n  desc: null\n  value: x\n")
    assert read_parameters(file) == {"lr": 1e-4, "name": "x"}
    file.write_text("wandb_version: 1\nlr: 3\nname: {desc: x}\n")
    with pytest.raises(ConfigError) as caught:
        read_parameters(file)
    assert [problem.key for problem in caught.value.problems] == ["lr", "name"]


def test_agents_file_has_types_and_what_the_command_left_out(tmp_path):
    file = tmp_path / "config.yaml"
    content = {"a": "1", "b": 1, "off": False, "rest": [1], "lr": 0.1, "n": None, "text": "None"}
    file.write_text(
        yaml12.dump({"wandb_version": 1} | {k: {"value": v} for k, v in content.items()})
    )
    swept = values("--a=1", "--b=1", "--lr=0.2", "--n=None", "--text", "None", swept=file)
    assert swept == content | {"lr": 0.2}
    (problem,) = parse_arguments([], (), tmp_path / "gone.yaml").problems
    assert "gone.yaml" in str(problem)


@pytest.mark.parametrize("macro", MACROS.values(), ids=MACROS)
def test_there_and_back_without_the_agents_file(macro, tmp_path):
    nested = {"optimizer": {"parameters": {"name": {}, "betas": {}, "nadam": {}}}}
    sweep = {"program": "train.py", "command": [macro]}
    sweep["parameters"] = {name: {} for name in PLAIN} | nested
    flat = {k: v for k, v in PLAIN.items() if k != "optimizer"}
    flat |= {f"optimizer.{k}": v for k, v in PLAIN["optimizer"].items()}
    assert agent_arguments(sweep["parameters"], flat) == PLAIN
    words = agent_command(sweep, flat, tmp_path / "point.json", {})
    lost = {"compile": False} if macro == MACROS["no_boolean_flags"] else {}
    assert values(*words) | lost == PLAIN
    found = values(*words)
    assert all(type(found[name]) is type(PLAIN[name]) for name in found)


@pytest.mark.parametrize("macro", MACROS.values(), ids=MACROS)
def test_there_and_back_through_wandbs_agent(macro, tmp_path, monkeypatch):
    """What the agent starts is what we build, and gives the point back with the agent's file."""
    agent = RealAgent(tmp_path, monkeypatch)
    command = ["${env}", "${interpreter}", "${program}", "x=${envvar:HIDDEN}", macro]
    monkeypatch.delenv("HIDDEN", raising=False)
    points = [PLAIN, TRICKY, *random_points(5)]
    for point in points:
        program, *words = agent.spell(command, point)
        sweep = {"program": program, "command": command, "parameters": {n: {} for n in point}}
        built = agent_command(sweep, point, agent.json_file, {})
        assert built == ["/usr/bin/env", "python", program, *words]
        assert values(*words, swept=agent.parameters) == {"x": "HIDDEN", **point}
        assert (
            json.loads(json.dumps(point)) == point
        )  # else the comparison would be of other things


def test_command_of_a_sweep_file(tmp_path):
    parameters = {"lr": {"min": 0.1, "max": 0.2}}
    sweep = {"program": "train.py", "parameters": parameters}
    file = tmp_path / "point.json"
    assert agent_command(sweep, {"lr": 0.15}, file, {}) == [
        *("/usr/bin/env", "python", "train.py", "--lr=0.15"),
    ]
    sweep["command"] = ["torchrun", "--nproc-per-node=${envvar:GPUS}", 4, "${args_json_file}"]
    assert agent_command(sweep, {"lr": 0.15}, file, {"GPUS": "2"}) == [
        *("torchrun", "--nproc-per-node=2", "4", str(file)),
    ]
    assert json.loads(file.read_text()) == {"lr": 0.15}
