"""What the command of a sweep file sets, as its words."""

import pytest

from resweep.sweep.command import Command, read_command
from resweep.sweep.findings import Findings


def read(*words: str) -> tuple[Command, list[str]]:
    findings = Findings("sweep.yaml")
    command = read_command(words, findings)
    assert not findings.problems
    return command, findings.warnings


def values(*words: str) -> dict[str, object]:
    command, warnings = read(*words)
    assert not warnings
    return {one.name: one.value for one in command.literals}


@pytest.mark.parametrize("script", ["train.py", "${program}", "./run.sh"])
def test_words_after_the_script_set_values(script: str) -> None:
    words = ("a=1e-4", "+b=[x/y]", "++c=True", "--d=-1.0", "--e", "5", "--f.0.g=null", "h=[]")
    found = values("${env}", "python", "-u", "x=1", script, *words, "${args}")
    assert found == {
        **{"a": 1e-4, "b": ["x/y"], "c": True, "d": -1.0, "e": 5, "f.0.g": None, "h": []}
    }


def test_macros_are_nobodys_value() -> None:
    assert values("train.py", "--do_train", "${args}", "--tail=1") == {"do_train": True, "tail": 1}


def test_options_of_the_training_command_set_nothing() -> None:
    assert values("train.py", "--results=out", "--device", "cpu", "keep=all", "--study=s") == {}


@pytest.mark.parametrize("words", [["${env}", "${args}"], ["a"], ["python", "-m"]])
def test_without_a_script_nothing_is_set(words: list[str]) -> None:
    assert values(*words) == {}


def test_values_that_no_script_is_given_are_named() -> None:
    command, (warning,) = read("${env}", "train", "lr=1", "--d=2", "${args}")
    assert command.literals == ()
    assert "names no script" in warning and warning.endswith("lr=1 --d=2")


def test_a_module_is_a_script_unless_it_starts_one() -> None:
    assert values("python", "-m", "my.train", "lr=1", "${args}") == {"lr": 1}
    assert values("torchrun", "--module", "my.train", "lr=1") == {"lr": 1}
    launcher = ("python", "-m", "torch.distributed.run", "--nproc-per-node=2")
    assert values(*launcher, "train.py", "lr=1", "${args}") == {"lr": 1}
    assert values(*launcher, "-m", "my.train", "lr=1", "${args}") == {"lr": 1}


@pytest.mark.parametrize("word", ["fit", "config.yaml", "--data=${envvar:DATA}", "-x"])
def test_words_that_set_nothing_are_named(word: str) -> None:
    command, (warning,) = read("python", "train.py", "lr=1", word, "${args}")
    assert [one.name for one in command.literals] == ["lr"]
    assert warning.startswith("sweep.yaml: command: ") and word in warning


@pytest.mark.parametrize(
    "option",
    [["--nproc-per-node=4"], ["--nproc_per_node", "4"], ["--nnodes=1", "-nproc-per-node=4"]],
)
def test_the_number_of_torchruns_processes(option: list[str]) -> None:
    command, warnings = read("${env}", "torchrun", *option, "train.py", "lr=1", "${args}")
    assert (command.processes, warnings) == (4, [])


@pytest.mark.parametrize("option", [["--nnodes=2"], ["--nnodes", "1:4"]])
def test_several_machines_are_named(option: list[str]) -> None:
    command, (warning,) = read("torchrun", *option, "--nproc-per-node=4", "train.py", "lr=1")
    assert command.processes == 4
    assert "--nnodes" in warning and "training.nodes" in warning


def test_a_number_that_only_the_machine_knows_is_named() -> None:
    command, (warning,) = read("torchrun", "--nproc-per-node=gpu", "train.py")
    assert command.processes is None
    assert "--nproc-per-node gpu" in warning and "training.processes" in warning
    assert read("python", "train.py", "--nproc-per-node=4")[0].processes is None
