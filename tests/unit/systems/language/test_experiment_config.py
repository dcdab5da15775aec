"""Configurations of experiments, in the names of our fields."""

from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.config.compose import assign
from resweep.config.nesting import nest
from resweep.config.translated import Translated
from resweep.systems.language.experiment_config import (
    explain,
    read_experiment,
    read_sweep_parameters,
)
from resweep.systems.language.system import SYSTEM
from tests.conftest import ROOT
from tests.support.problems import assert_problem, problem_of, problems_of

CONFIGS = ROOT / "examples/experiment-management/straightening_dynamics/train/configs"
TRAIN = CONFIGS / "train_config.yaml"
SWEEP = CONFIGS / "sweep_config.yaml"


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """The folder of a corpus with one size."""
    (tmp_path / "data/10M").mkdir(parents=True)
    (tmp_path / "data/10M/a.txt").write_text("some text")
    return tmp_path / "data"


def read(corpus: Path, **changes: Any) -> Translated:
    """The documented file, with other values; `__` in a name is a dot."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return read_experiment(TRAIN, {"data.dataset_path": str(corpus), **named})


def complete(config: Translated) -> dict[str, Any]:
    """With defaults, and checked."""
    return SYSTEM.schema.dump(SYSTEM.schema.validate(nest(config.values)))


def test_the_documented_file_has_no_key_that_nothing_reads(corpus: Path) -> None:
    config = read(corpus)
    assert config.own == ()
    assert [path for path in config.values if not SYSTEM.schema.is_known(path)] == []
    done = complete(config)
    model, training = done["model"], done["training"]
    assert (model["n_layer"], model["n_head"], model["n_embd"]) == (12, 12, 768)
    assert (model["vocab_size"], model["context_length"], model["kind"]) == (50257, 1024, "gpt")
    assert (training["batch_size"], training["gradient_accumulation_steps"]) == (32, 8)
    assert done["initialization"]["init_type"] == "normal"
    assert done["data"]["paths"] == [str(corpus / "10M/*.txt")]
    written = yaml12.load_mapping(TRAIN)["training"]
    del written["correct_bias"]
    assert {name: training[name] for name in written} == written


def test_a_step_is_batch_times_accumulation_in_micro_batches(corpus: Path) -> None:
    config = complete(read(corpus))
    (step,) = [line for line in explain(config, None) if line.startswith("step: ")]
    assert "256 sequences of 1024 tokens" in step and "16 at once" in step and "16 forwards" in step
    config = assign(config, {"training.max_gpu_batch_size": None, "training.max_steps": 50})
    config = assign(config, {"training.gradient_accumulation_steps": 1})
    lines = explain(config, None)
    assert any("32 sequences" in line and "1 forward" in line for line in lines)
    assert any("training.warmup_steps = 100" in line and "50" in line for line in lines)


def test_sizes_and_fields_of_the_file_win_over_the_name(corpus: Path) -> None:
    medium = read(corpus, model__name="gpt2-medium", model__n_layer=2, data__tokens="bytes").values
    assert (medium["model.n_layer"], medium["model.n_embd"]) == (2, 1024)
    assert medium["data.tokens"] == "bytes" and "data.bpe_vocab_size" not in medium
    wrong = problem_of(read, corpus, model__name="llama")
    assert_problem(wrong, "model.name", "llama", "gpt2", "n_layer", file="train_config.yaml")


def test_gaussian_is_an_initialization(corpus: Path) -> None:
    config = read(corpus, run__init_type="gaussian")
    assert config.values["initialization.init_type"] == "gaussian"
    both = {"run__init_type": "gaussian", "initialization__init_type": "normal"}
    assert_problem(problem_of(read, corpus, **both), "run.init_type", "gaussian")


@pytest.mark.parametrize("value", [False, None, "yes", 0])
def test_an_uncorrected_bias_is_refused(corpus: Path, value: Any) -> None:
    problem = problem_of(read, corpus, training__correct_bias=value)
    assert_problem(problem, "training.correct_bias", value, "true")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("training.corect_bias", "training.correct_bias"),
        ("data.correct_bias", "training.correct_bias"),
        ("data.dataset_sise", "data.dataset_size"),
        ("training.dataset_path", "data.dataset_path"),
        ("run.init_typ", "run.init_type"),
        ("training.learning_rte", "training.learning_rate"),
        ("training.epochs", "training.num_epochs"),
        ("training.weigth_decay", "training.weight_decay"),
        ("optimizer.lr", "training.learning_rate"),
    ],
)
def test_misspelt_keys_are_refused_and_own_ones_are_not(
    corpus: Path, name: str, meant: str
) -> None:
    assert_problem(problem_of(read, corpus, **{name: 1}), name, 1, meant, str(TRAIN))


def test_so_are_misspelt_sections(corpus: Path) -> None:
    problems = problems_of(read, corpus, modle__size=1)
    assert_problem(problems, "modle", {"size": 1}, "model", file="train_config.yaml")


def test_own_hyperparameters_stay(corpus: Path, tmp_path: Path) -> None:
    config = read(corpus, training__curriculum="short", patience_of_mine=3)
    assert config.own == ("training.curriculum", "patience_of_mine")
    assert config.values["training.curriculum"] == "short"
    file = tmp_path / "own.yaml"
    file.write_text(
        f"own: [epochs]\ndata: {{dataset_path: {corpus}, dataset_size: 10M}}\nepochs: 1\n"
    )
    assert "epochs" in read_experiment(file).own


def test_flat_names_are_those_of_the_sections(corpus: Path) -> None:
    config = read(corpus, learning_rate=1e-3, dataset_size="10M")
    assert config.values["training.learning_rate"] == 1e-3 and config.own == ()


def test_a_length_in_steps_replaces_that_of_the_file(corpus: Path) -> None:
    values = read(corpus, max_steps=5).values
    assert values["training.max_steps"] == 5 and "training.num_epochs" not in values


def test_one_thing_twice_is_refused(corpus: Path, tmp_path: Path) -> None:
    file = tmp_path / "twice.yaml"
    file.write_text(f"learning_rate: 1\ntraining: {{learning_rate: 2}}\ndataset_path: {corpus}\n")
    assert_problem(problems_of(read_experiment, file), "training.learning_rate", 2)


def test_the_documented_sweep_is_read() -> None:
    swept, fixed = read_sweep_parameters(yaml12.load_mapping(SWEEP)["parameters"], "sweep.yaml")
    assert swept["initialization.init_std"] == {"values": [0.01, 0.02]} and not fixed


def test_swept_keys_are_translated_fixed_or_refused() -> None:
    given = {
        "run": {"parameters": {"init_type": {"values": ["normal", "gaussian"]}}},
        "data.dataset_size": {"value": "10M"},
        "training.correct_bias": {"values": [True]},
        "learning_rate": {"values": [1e-3, 1e-2]},
    }
    swept, fixed = read_sweep_parameters(given, "sweep.yaml")
    assert list(swept) == ["initialization.init_type", "training.learning_rate"]
    assert fixed == {"data.dataset_size": "10M", "training.correct_bias": True}
    for name in ("model.name", "dataset_size", "data.dataset_path", "training.correct_bias"):
        problem = problem_of(read_sweep_parameters, {name: {"values": [1, 2]}}, "sweep.yaml")
        assert_problem(problem, f"parameters.{name}")
    twice = {"run.init_type": {"values": [1]}, "init_type": {"values": [2]}}
    assert_problem(problem_of(read_sweep_parameters, twice, "s.yaml"), "parameters.init_type")
    misspelt = problem_of(read_sweep_parameters, {"run.init_typ": {"values": [1, 2]}}, "s.yaml")
    assert_problem(misspelt, "parameters.run.init_typ", None, "run.init_type", file="s.yaml")
