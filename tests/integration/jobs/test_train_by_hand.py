"""Trainings by hand and for W&B's agents: planned, trained, and sent to the agent's run."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from resweep import yaml12
from resweep.errors import ConfigError
from resweep.jobs.train_by_hand import plan_by_hand
from resweep.paths import METRICS, Layout
from resweep.report.tables import write_runs_table
from resweep.study.load import load_study
from resweep.training.metrics import read_metrics
from tests.support import wandb_runs
from tests.support.sweep_points import MACROS, RealAgent
from tests.support.warm import warm_process

ROOT = Path(__file__).resolve().parents[3]
TRAIN = ROOT / "workflow/scripts/train.py"
TINY = {
    "n_layer": 1,
    "n_embd": 16,
    "n_head": 2,
    "context_length": 16,
    "batch_size": 2,
    "max_steps": 20,
    "log_steps": 5,
    "eval_steps": 10,
    "eval_sequences": 4,
    "bias": False,
}


@pytest.fixture(autouse=True)
def account(tmp_path, monkeypatch):
    wandb_runs.hide_account(monkeypatch, tmp_path)


def plan(*words, **environment):
    return plan_by_hand(words, environment, ROOT / "config")


def problems(*words, **environment):
    with pytest.raises(ConfigError) as caught:
        plan(*words, **environment)
    return str(caught.value).splitlines()


def test_base_of_the_study_below_the_command_line():
    made = plan("--learning_rate=5e-4", "n_layer=2", "++model.n_embd=32", "--mine=x")
    config = made.trial.config
    assert config["training"]["learning_rate"] == 5e-4
    assert (config["model"]["n_layer"], config["model"]["n_embd"]) == (2, 32)
    assert config["training"]["seed"] == 1  # set of the study
    assert config["training"]["max_steps"] == 200  # of its base
    assert made.trial.assignments == {
        "training.learning_rate": 5e-4,
        "model.n_layer": 2,
        "model.n_embd": 32,
        "mine": "x",
    }
    assert (made.trial.study, made.trial.phase) == ("by-hand", "quickstart")
    assert made.record.parent == Path("results/by-hand/quickstart/records")
    assert made.options.tracking["wandb"] == "offline"


def test_order_and_spelling_make_no_other_trial():
    names = {
        plan(*words).trial.trial
        for words in (
            ["--learning_rate=5e-4", "--n_layer=4"],
            ["n_layer=4", "+training.learning_rate=0.0005"],
            ['{"training": {"learning_rate": "5e-4"}, "model.n_layer": 4.0}'],
        )
    }
    assert len(names) == 1


def test_values_of_nested_mappings_are_leaves():
    config = plan("--model={'n_layer': 2, 'n_embd': 32}", "training.pct_warmup=0.2").trial.config
    assert (config["model"]["n_layer"], config["model"]["n_head"]) == (2, 4)
    assert config["training"]["pct_warmup"] == 0.2


def test_a_mapping_is_not_the_value_of_a_field():
    (line,) = problems("--learning_rate={'a': 1}")
    assert line.startswith("command line: learning_rate = ")


def test_of_two_ways_to_say_one_thing_the_one_given_counts():
    training = plan("--num_epochs=2", "--warmup_steps=5").trial.config["training"]
    assert (training["max_steps"], training["num_epochs"]) == (None, 2)
    assert (training["pct_warmup"], training["warmup_steps"]) == (None, 5)
    (line,) = problems("--num_epochs=2", "--max_steps=5")
    assert "give either max_steps or num_epochs" in line


def test_text_for_fields_of_text():
    made = plan("--run.name=007", "--text_field=1e-4", "--mine=007")
    assert made.trial.config["run"]["name"] == "007"
    assert made.trial.config["data"]["text_field"] == "1e-4"
    assert made.trial.config["mine"] == 7


def test_own_options():
    made = plan("--device", "cpu", "--results=elsewhere", "keep=all", "--study", "quickstart")
    options = made.options
    assert (options.device, options.keep) == ("cpu", "all")
    assert made.layout == Layout(Path("elsewhere"))
    assert made.trial.assignments == {}


def test_everything_wrong_is_reported_at_once():
    lines = problems(
        *("--learning_rat=1e-3", "--n_layer=x", "--n_embd=2.5", "--name=x", "foo"),
        *("--devise=cpu", "--keep=some", "--bias=2"),
    )
    expected = ["foo: ", "keep = 'some'", "devise = 'cpu': ", "name: ", "n_layer = 'x'"]
    expected += ["n_embd = 2.5", "bias = 2", "learning_rat = 0.001: "]
    hints = [" device?", "model.name or run.name", " training.learning_rate?"]
    assert len(lines) == len(expected), lines
    assert all(line.startswith("command line: ") for line in lines)
    for text in expected + hints:
        assert any(text in line for line in lines), text


@pytest.mark.parametrize("option", ["results", "device", "keep", "study"])
def test_options_are_not_empty(option):
    assert any(f"{option} = ''" in line for line in problems(f"--{option}="))


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["--learning_rate"], "--learning_rate: "),
        (["--learning_rate", "--n_layer=1"], "--learning_rate: "),
        (["--model.n_layer"], "--model.n_layer: "),
        (["--no-n_layer"], "--no-n_layer: "),
        (["--device=gpu"], "--device = 'gpu': "),
        (["--device=cuda:x"], "--device = 'cuda:x': "),
    ],
)
def test_words_without_a_value_and_unknown_devices(words, key):
    (line,) = problems(*words)
    assert line.startswith(f"command line: {key}")


def test_flags_are_values_of_booleans_and_of_ones_own():
    assert plan("--bias", "--mine").trial.assignments == {"mine": True, "model.bias": True}
    assert plan("--no-bias").trial.assignments == {"model.bias": False}


def test_names_of_ones_own_are_those_of_the_study(tmp_path):
    own = {"name": "mine", "base": {"training": {"max_steps": 1}}, "own": ["patch_size", "keeps"]}
    phases = [{"name": "sweep", "kind": "sweep", "sweep": "lr-warmup"}]
    words = ("--patch_size=4", "--keeps=1", f"--study={tmp_path / 'own.yaml'}")
    (tmp_path / "own.yaml").write_text(yaml12.dump(own | {"phases": phases}))
    assert plan(*words).trial.assignments == {"patch_size": 4, "keeps": 1}
    (tmp_path / "own.yaml").write_text(yaml12.dump(own | {"phases": phases, "own": []}))
    assert [line.split(": ")[1] for line in problems(*words)] == ["keeps = 1", "patch_size = 4"]


def test_a_section_is_given_the_name_of_its_module():
    made = plan("model=gpt-tiny", "n_layer=1")
    tiny_model = yaml12.load(ROOT / "config/model/gpt-tiny.yaml")
    assert made.trial.config["model"]["n_embd"] == tiny_model["n_embd"]
    assert made.trial.config["model"]["n_layer"] == 1
    assert made.trial.trial != plan("n_layer=1").trial.trial
    (line,) = problems("model=gpt-tin")
    assert line.startswith("command line: model = 'gpt-tin'") and "gpt-tiny?" in line


def test_torchrun_says_how_many_processes_train():
    started = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    made, alone = plan("n_layer=1", **started), plan("n_layer=1")
    training = made.trial.config["training"]
    assert (training["processes"], training["distributed"]) == (2, "ddp")
    assert (made.trial.trial, made.trial.assignments) == (alone.trial.trial, {"model.n_layer": 1})
    training = plan("distributed=zero2", "processes=1", **started).trial.config["training"]
    assert (training["processes"], training["distributed"]) == (1, "zero2")


def test_values_that_do_not_fit_together():
    (line,) = problems("--n_head=5")
    assert "n_embd = 96 " in line and "n_head = 5" in line


def test_which_study(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "config/config.yaml").write_text("studies: [a, b]\n")
    with pytest.raises(ConfigError, match="--study NAME"):
        plan_by_hand([], {}, tmp_path / "config")
    made = plan_by_hand(["--study=quickstart"], {}, tmp_path / "config")
    assert made.trial.phase == "quickstart"
    with pytest.raises(ConfigError, match=r" quickstart\?"):
        plan_by_hand(["--study=quickstar"], {}, tmp_path / "config")


def test_phases_and_their_sweeps_do_not_matter(tmp_path):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    file = tmp_path / "config/studies/quickstart.yaml"
    content = yaml12.load(file)
    content["phases"][0]["sweep"] = "gone"
    file.write_text(yaml12.dump(content))
    assert plan_by_hand([], {}, tmp_path / "config").trial == plan().trial


def test_by_hand_is_no_name_of_a_study(tmp_path):
    content = yaml12.load(ROOT / "config/studies/quickstart.yaml") | {"name": "by-hand"}
    (tmp_path / "a.yaml").write_text(yaml12.dump(content))
    with pytest.raises(ConfigError, match="by-hand"):
        load_study(tmp_path / "a.yaml", ROOT / "config")


def test_a_named_configuration_replaces_the_modules_of_the_study():
    made = plan("--config=llama-tiny", "--context_length=32")
    model = made.trial.config["model"]
    assert (model["config"]["model_type"], model["context_length"]) == ("llama", 32)
    assert made.trial.config["training"]["max_steps"] == 200  # of the study's base
    assert made.trial.trial != plan("--context_length=32").trial.trial
    assert plan("--config", "gpt-tiny").trial.config == plan().trial.config
    training = plan("--config=finetune").trial.config["training"]
    assert (training["learning_rate"], training["seed"]) == (6e-4, 1)  # a seed of the study's set
    for words, said in (
        (("--config=lama-tiny",), "did you mean llama-tiny?"),
        (("--config=nothing-of-that",), "there are: "),
        (("--config",), "--config=NAME"),
    ):
        (line,) = problems(*words)
        assert line.startswith("command line: config") and said in line


def test_agents_file_stands_below_the_command_line(tmp_path):
    file = tmp_path / "config-abc.yaml"
    file.write_text(
        "wandb_version: 1\nlearning_rate:\n  value: 0.002\nbias:\n  value: false\n"
        "run.name:\n  value: '5'\n"
    )
    config = plan("--learning_rate=0.003", WANDB_SWEEP_PARAM_PATH=str(file)).trial.config
    assert config["training"]["learning_rate"] == 0.003
    assert config["model"]["bias"] is False
    assert config["run"]["name"] == "5"
    file.write_text("wandb_version: 1\nlearning_rat:\n  value: 0.002\n")
    (line,) = problems(WANDB_SWEEP_PARAM_PATH=str(file))
    assert line.startswith(f"{file}: learning_rat = 0.002: ")
    assert " training.learning_rate?" in line


def test_which_run_of_wandb():
    agent = {"WANDB_SWEEP_ID": "s", "WANDB_RUN_ID": "abc"}
    assert plan(**agent).options.tracking == {"wandb": "online", "agent_run": "abc"}
    assert plan(**agent, WANDB_MODE="dryrun").options.tracking["wandb"] == "offline"
    assert "agent_run" not in plan(WANDB_RUN_ID="abc").options.tracking
    (line,) = problems(**agent, WANDB_MODE="shared")
    assert "WANDB_MODE = 'shared'" in line


def train(results, *words, **environment):
    """Call the script; returns what it said and its exit code."""
    done = subprocess.run(
        [warm_process().python, str(TRAIN), *tiny(results), "--keep=none", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        text=True,
        capture_output=True,
        check=False,
    )
    return done.stdout + done.stderr, done.returncode


def tiny(results, **changes):
    given = {"results": results, "device": "cpu"} | TINY | changes
    return [f"--{name}={value}" for name, value in given.items()]


def runs_of(results):
    return wandb_runs.offline_runs(results / "by-hand")


def test_trained_once(tmp_path):
    output, code = train(tmp_path, "learning_rate=1e-3", "mine=x")
    assert code == 0, output
    assert any(line.endswith(": mine") for line in output.splitlines()), "of the user's own"
    (folder,) = (tmp_path / "runs").iterdir()
    assert f"{folder}: finished at step 20" in output and "val/loss" in output
    (tracked,) = runs_of(tmp_path)
    assert tracked.run.run_id == folder.name
    again, code = train(tmp_path, "++mine=x", "--training.learning_rate", "0.001")
    assert code == 0 and "in the store" in again
    assert len(json.loads((folder / "record.json").read_text())["attempts"]) == 1
    assert len(runs_of(tmp_path)) == 1
    table = write_runs_table(Layout(tmp_path)).read_text()
    assert "by-hand/quickstart" in table


def test_what_cannot_be_trained_says_why(tmp_path):
    output, code = train(tmp_path, "--learning_rat=3")
    assert code == 1 and output.startswith("error: command line: learning_rat = 3: ")
    assert " training.learning_rate?" in output and output.count("\n") == 1
    output, code = train(tmp_path, "--vocab_size=300", "--context_length=100000000")
    assert code == 1 and "infeasible: " in output and "100000000" in output


def test_places_that_are_not_there_are_one_line(tmp_path):
    output, code = train(tmp_path / "results", "--device=foo")
    assert code == 1 and "Traceback" not in output
    last = output.splitlines()[-1]
    assert "command line: --device = 'foo': " in last and "cuda:N" in last
    output, code = train(tmp_path / "results", "--device=cuda:99")
    assert code == 1 and "--device = 'cuda:99': " in output
    (tmp_path / "file").write_text("in the way")
    output, code = train(tmp_path / "file/results")
    assert code == 1 and "Traceback" not in output
    last = output.splitlines()[-1]
    assert f"{tmp_path}/file/results/" in last and f"{tmp_path}/file is a file" in last


@pytest.mark.parametrize("macro", ["args", "no_boolean_flags", "json_file"])
def test_wandbs_agent_gets_every_line_under_its_ids(macro, tmp_path, monkeypatch):
    """The real agent starts the real command; the W&B run is the one that the agent named."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("WANDB_MODE", "offline")
    agent = RealAgent(tmp_path / "agent", monkeypatch)
    command = ["${env}", "${interpreter}", "${program}", MACROS[macro]]
    command += [f"--results={tmp_path}", "--keep=none", "--device=cpu"]
    point = TINY | {"learning_rate": 2e-3, "optimizer_of_mine": {"name": "a b"}}
    assert agent.start(TRAIN, command, point).wait(120) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert yaml12.load(folder / "config.yaml")["model"]["bias"] is False
    (sent,) = runs_of(tmp_path)
    check_sent(sent, "run1", folder)
    assert sent.config["learning_rate"] == 0.002  # as swept
    assert sent.config["training.learning_rate"] == 0.002
    assert sent.run.display_name != f"quickstart/{folder.name}"

    if macro == "args":  # the store answers; the agent's next run still gets all of it
        assert agent.start(TRAIN, command, point).wait(120) == 0
        _, sent = runs_of(tmp_path)
        check_sent(sent, "run2", folder)
        assert len(json.loads((folder / "record.json").read_text())["attempts"]) == 1


def check_sent(sent, run, folder):
    assert sent.ended
    assert (sent.run.run_id, sent.run.sweep_id) == (run, "sweep1")
    lines = read_metrics(folder / METRICS)
    assert [line["_step"] for line in sent.history] == [0, 5, 10, 15, 20]
    for line, found in zip(lines, sent.history, strict=True):
        assert {name: found[name] for name in line if name != "step"} == {
            name: value for name, value in line.items() if name != "step"
        }
    assert "val/loss" in sent.history[-1]  # under the name that sweeps optimise


def test_agent_that_stops_a_run_sees_no_failure(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("WANDB_MODE", "offline")
    agent = RealAgent(tmp_path / "agent", monkeypatch)
    command = ["${env}", "${interpreter}", "${program}", "${args}", f"--results={tmp_path}"]
    process = agent.start(TRAIN, [*command, "--device=cpu"], TINY | {"max_steps": 100_000})
    metrics = []
    while len(metrics) < 3:
        metrics = [line for f in tmp_path.glob(f"runs/*/{METRICS}") for line in read_metrics(f)]
        assert process.poll() is None
    answer = agent.agent._process_command({"type": "stop", "run_id": "run1"})
    assert "exception" not in answer
    assert process.wait(60) == -signal.SIGTERM  # an exit code above 0 would count as failed
    (folder,) = (tmp_path / "runs").iterdir()
    assert json.loads((folder / "record.json").read_text())["attempts"][0]["end"] == "interrupted"
    assert list(folder.glob("checkpoint_*"))
    (sent,) = runs_of(tmp_path)
    assert sent.run.run_id == "run1" and len(sent.history) >= 3


def test_other_runs_stay_out_of_the_agents(tmp_path):
    """Snakemake within an agent: each training is a W&B run of its own."""
    content = {
        "study": "tiny",
        "phase": "sweep",
        "trial": "t",
        "config": plan(*tiny("x")).trial.config,
    }
    results = tmp_path / "results"
    subprocess.run(
        [
            *(
                warm_process().python,
                str(TRAIN),
                "--content",
                json.dumps(content),
                "--device",
                "cpu",
            ),
            *("--trial", str(tmp_path / "t.yaml"), "--record", str(results / "tiny/t.json")),
            *("--results", str(results), "--tracking", '{"wandb": "offline"}'),
        ],
        cwd=ROOT,
        env={**os.environ, "WANDB_SWEEP_ID": "s", "WANDB_RUN_ID": "abc"},
        check=True,
        capture_output=True,
    )
    (folder,) = (results / "runs").iterdir()
    (sent,) = wandb_runs.offline_runs(results / "tiny")
    assert (sent.run.run_id, sent.run.sweep_id) == (folder.name, "")
