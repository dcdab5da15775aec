"""What a process loads: planning reads thousands of configurations, training starts often."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

PLANNING = [
    "resweep.agents.worker",
    "resweep.config.compose",
    "resweep.jobs.initial_weights",
    "resweep.jobs.resources",
    "resweep.jobs.train_trial",  # its job may be a link to what the store has
    "resweep.report.audit",
    "resweep.report.equal_trials",
    "resweep.search.promote",
    "resweep.search.rounds",
    "resweep.study.find",
    "resweep.study.load",
    "resweep.study.removed",
    "resweep.study.targets",
]
RANKING = [
    "resweep.publish.contents",
    "resweep.ranking.keep",
    "resweep.ranking.scores",
    "resweep.ranking.selection",
    "resweep.report.report",
    "resweep.report.summary",
    "resweep.report.tables",
]
HEAVY = ["torch", "transformers", "deepspeed", "peft", "datasets", "optuna", "wandb"]
TABLES = ["pandas", "numpy", "pyarrow", "altair", "vl_convert", "jsonschema"]
TRAINING = ["resweep.systems.language.gpt", "resweep.training.gradient_learner"]


def loaded(modules: list[str], heavy: list[str]) -> list[str]:
    """Which heavy modules a new process has loaded after it imported some."""
    program = f"import sys, {', '.join(modules)}\nprint(*({set(heavy)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_planning_loads_neither_torch_nor_what_else_is_slow() -> None:
    assert loaded(PLANNING, [*HEAVY, *TABLES]) == []


def test_a_job_of_a_trial_reads_no_study() -> None:
    script = ROOT / "workflow/scripts/train.py"
    program = f"import runpy, sys\nrunpy.run_path({str(script)!r})\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = set(done.stdout.split())
    assert "resweep.jobs.train_trial" in names
    assert not {"resweep.study", "resweep.sweep", *HEAVY, *TABLES} & names


def test_tables_and_pages_of_a_study_are_written_without_a_library_for_them() -> None:
    assert loaded(RANKING, [*HEAVY, *TABLES, "resweep.study.load"]) == []


@pytest.mark.parametrize("module", TRAINING)
def test_training_loads_neither_transformers_nor_dynamo(module: str) -> None:
    heavy = ["transformers", "torch._dynamo", "accelerate", "wandb", "pandas"]
    assert loaded([module], heavy) == []
