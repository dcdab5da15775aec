"""Bad input: every fault in one line with its fix, exit code not 0, nothing started or lost."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Checkout, tiny_study


def with_set(**values: Any) -> Callable[[Checkout], None]:
    """A study with more things set."""
    settings = {name.replace("__", "."): value for name, value in values.items()}

    def change(checkout: Checkout) -> None:
        checkout.write_study(set=tiny_study("tiny")["set"] | settings)

    return change


def unreadable(checkout: Checkout) -> None:
    (checkout.path / "config/studies/tiny.yaml").write_text("name: tiny\nphases: [\n")


def unknown_study(checkout: Checkout) -> None:
    checkout.write("config/config.yaml", {"studies": ["tinny"]})


def continuous_grid(checkout: Checkout) -> None:
    parameters = {"learning_rate": {"min": 1e-4, "max": 1e-2}}
    checkout.write("config/sweep/rates.yaml", {"method": "grid", "parameters": parameters})


# What is changed, and what one line of the output has to say.
BAD = {
    "missing data file": (
        with_set(data__source="text", data__paths=["nowhere/*.txt"]),
        ["data.paths: nowhere/*.txt: "],
    ),
    "negative learning rate": (
        lambda checkout: checkout.write_sweep(learning_rate=[1e-3, -1e-3]),
        ["config/sweep/rates.yaml: training.learning_rate = -0.001: "],
    ),
    "misspelt key": (
        with_set(training__batch_sise=4),
        ["training.batch_sise = 4: ", " training.batch_size?"],
    ),
    "unreadable YAML": (unreadable, ["config/studies/tiny.yaml: ", "YAML", "line 3"]),
    "unknown study": (unknown_study, ["config/config.yaml: studies = 'tinny': ", " tiny?"]),
    "vocabulary too small": (
        with_set(model__vocab_size=100),
        ["model.vocab_size = 100: ", "257"],
    ),
    "heads": (with_set(model__n_head=3), ["n_embd = 16 ", "n_head = 3"]),
    "continuous grid": (
        continuous_grid,
        ["config/sweep/rates.yaml: parameters.learning_rate: ", "method: random"],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_one_clear_error_and_nothing_started(what: str, built: Checkout) -> None:
    change, expected = BAD[what]
    before = snapshot(built.path / "results")
    change(built)
    done = built.snakemake(check=False)
    assert done.returncode != 0
    lines = done.stdout.splitlines()
    assert any(all(part in line for part in expected) for line in lines), done.stdout
    assert "Traceback" not in done.stdout
    assert snapshot(built.path / "results") == before


def test_all_faults_of_a_study_are_reported_at_once(built: Checkout) -> None:
    with_set(training__batch_sise=4, model__n_layer=0, training__learning_rate=-1)(built)
    output = built.snakemake(check=False).stdout
    for expected in ("training.batch_size?", "model.n_layer = 0", "training.learning_rate = -1"):
        assert expected in output


def test_an_audit_reports_what_is_wrong_and_what_is_doubtful(checkout: Checkout) -> None:
    audit = ("python", "workflow/scripts/audit.py", "tiny")
    wrong = checkout.run(*audit, "--set", "{", check=False)
    assert wrong.stdout.startswith("error: command line: set = '{': ")
    assert "YAML" in wrong.stdout and wrong.stdout.count("\n") == 1
    checkout.write_sweep(learning_rate=[1e-3], flavour=[1, 2])
    output = checkout.run(*audit).stdout
    assert re.search(r"^warning: config/sweep/rates\.yaml: .*\bflavour\b.*--own", output, re.M)
    assert "study tiny (" in output


def test_text_too_short_stops_before_any_training(checkout: Checkout) -> None:
    (checkout.path / "short.txt").write_text("a few words only")
    settings = {"data.source": "text", "data.paths": ["short.txt"], "data.split": "contiguous"}
    checkout.write_study(set=tiny_study("tiny")["set"] | settings)
    done = checkout.snakemake(check=False)
    log = (checkout.path / "logs/tiny/sweep/score.log").read_text()
    assert done.returncode != 0 and "2 trials" in log and "more text" in log
    assert not (checkout.path / "results/runs").exists()


def test_an_override_reaches_every_phase(checkout: Checkout) -> None:
    checkout.snakemake(
        *("--config", "set={training.max_steps: 10, training.weight_decay: 1e-2}", "--until"),
        "train_sweep",
    )
    for path in (checkout.path / "results/tiny/sweep/trials").iterdir():
        text = path.read_text()
        assert "max_steps: 10\n" in text and "weight_decay: 0.01\n" in text


def snapshot(folder: Path) -> dict[str, int]:
    """Every file below a folder, with its date."""
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}
