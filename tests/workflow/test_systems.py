"""A system of one's own runs through a whole study, without an edit elsewhere.

The system is `tests/support/blobs`; the library is a copy without the language models, so that
whatever knew them would break.
"""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT, Checkout

BLOBS = ROOT / "tests/support/blobs"
STUDY: dict[str, Any] = {
    "name": "shapes",
    "system": "blobs",
    "base": {},
    "set": {
        "max_steps": 24,
        "log_steps": 2,
        "eval_steps": 4,
        "batch_size": 4,
        "keep_best": 1,
        "training.seed": 3,
    },
    "phases": [
        {"name": "sweep", "kind": "sweep", "sweep": "rates"},
        {"name": "rerun", "kind": "rerun", "of": "sweep", "top": 1, "seeds": [1, 2]},
    ],
    "score": {"slope_weight": 0},
    "tracking": {"wandb": "disabled"},
    "publish": {"configs": True, "models": "best"},
}
SWEEP = {
    "method": "grid",
    "parameters": {
        "learning_rate": {"values": [1e-5, 1e-3, 1e-2, 1e-1]},
        "inertia": {"values": [0.0, 0.5]},
    },
    "early_terminate": {"type": "hyperband", "min_iter": 2, "eta": 2},
}


def add_blobs(made: Checkout) -> None:
    """Add the system to a copy of the library: its folder, nothing else."""
    shutil.copytree(BLOBS, made.path / "src/resweep/systems/blobs")
    made.write("config/studies/shapes.yaml", STUDY)
    made.write("config/sweep/rates.yaml", SWEEP)
    made.write("config/config.yaml", {"studies": ["shapes"]})


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The study of blobs, built by a library without language models."""
    made = Checkout.new(tmp_path_factory.mktemp("shapes") / "checkout")
    add_blobs(made)
    shutil.rmtree(made.path / "src/resweep/systems/language")
    made.snakemake()
    return made


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_is_ranked_by_its_own_metric_upwards(shapes: Checkout) -> None:
    folder = shapes.path / "results/shapes/sweep"
    ranked = [row for row in rows(folder / "scores.csv") if row["status"] == "finished"]
    finals = [float(row["final"]) for row in ranked]
    assert len(ranked) > 1 and finals == sorted(finals, reverse=True)
    described = yaml.safe_load((shapes.path / "results/shapes/study.yaml").read_text())
    assert described["system"] == "blobs"
    score = described["phases"][0]["score"]
    assert (score["metric"], score["goal"]) == ("val/accuracy", "maximize")


def test_rungs_let_the_highest_continue(shapes: Checkout) -> None:
    decided = rows(shapes.path / "results/shapes/sweep/decisions/b1.csv")
    going = [float(row["value"]) for row in decided if row["decision"] == "promote"]
    stopped = [float(row["value"]) for row in decided if row["decision"] == "stop"]
    assert going and stopped and min(going) >= max(stopped)


def test_no_step_is_trained_twice_and_promotions_continue_from_extra_state(
    shapes: Checkout,
) -> None:
    states = [json.loads(p.read_text()) for p in shapes.path.glob("results/runs/*/record.json")]
    for state in states:
        ends = [part["to_step"] for part in state["segments"]]
        starts = [part["from_step"] for part in state["segments"]]
        assert starts == [0, *ends[:-1]]
        assert state["identity"]["system"] == "blobs"
        assert state["identity"]["recipe"] == "blobs/1"
    assert any(len(state["segments"]) > 1 for state in states)
    promoted = next(state for state in states if len(state["segments"]) > 1)
    run = shapes.path / "results/runs" / promoted["run_id"]
    whole = whole_curve(shapes, promoted)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert lines == whole


def whole_curve(shapes: Checkout, state: dict[str, Any]) -> list[dict[str, Any]]:
    """Train the same run at once, elsewhere, and return its lines."""
    config = yaml.safe_load(
        (shapes.path / "results/runs" / state["run_id"] / "config.yaml").read_text()
    )
    rate, inertia = config["training"]["learning_rate"], config["arch"]["inertia"]
    shapes.run(
        "python",
        "workflow/scripts/train.py",
        "--results=results/elsewhere",
        f"learning_rate={rate}",
        f"inertia={inertia}",
        f"seed={config['training']['seed']}",
    )
    run = shapes.path / "results/elsewhere/runs" / state["run_id"]
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_the_best_checkpoint_is_the_highest(shapes: Checkout) -> None:
    for path in shapes.path.glob("results/runs/*/record.json"):
        (best,) = json.loads(path.read_text())["best_checkpoints"] or [None]
        if best is None:
            continue
        lines = (path.parent / "metrics.jsonl").read_text().splitlines()
        values = {line["step"]: line.get("val/accuracy") for line in map(json.loads, lines)}
        known = {step: value for step, value in values.items() if value is not None and step}
        assert best["val/accuracy"] == max(known.values())


def test_reports_and_tables_speak_its_language(shapes: Checkout) -> None:
    report = (shapes.path / "results/shapes/report.html").read_text()
    for words in ("chance", "Test accuracy", "no prototype has seen", "prototypes", "4 classes"):
        assert words in report
    summary = shapes.run("python", "workflow/scripts/summarize.py", "shapes").stdout
    assert "above the chance level of 0.2500" in summary and "transformers" not in summary
    table = rows(shapes.path / "results/shapes/runs.csv")
    assert {"accuracy", "arch.inertia"} <= table[0].keys()
    assert not any("val/loss" in column or "valid" in column for column in table[0])


def test_the_audit_counts_its_units(shapes: Checkout) -> None:
    text = shapes.run("python", "workflow/scripts/audit.py", "shapes").stdout
    assert "images" in text and "tokens" not in text
    total = next(line for line in text.splitlines() if line.startswith("total")).split()
    assert total[4] == "0"  # to train


def test_its_best_model_is_published(shapes: Checkout) -> None:
    stamp = json.loads((shapes.path / "results/shapes/artifacts/rerun-model.json").read_text())
    assert list(stamp["files"]) == ["model.safetensors"]


def test_called_again_nothing_is_to_do(shapes: Checkout) -> None:
    assert "Nothing to be done" in shapes.snakemake().stdout


def test_a_configuration_that_names_no_system_needs_the_default_one(shapes: Checkout) -> None:
    shapes.write("config/studies/other.yaml", {k: v for k, v in STUDY.items() if k != "system"})
    done = shapes.run("python", "workflow/scripts/audit.py", "other", check=False)
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert "system = 'language'" in line and "blobs" in line


def test_it_stands_beside_language_models(checkout: Checkout) -> None:
    add_blobs(checkout)
    checkout.write(
        "config/studies/bad.yaml",
        STUDY | {"name": "bad", "set": {"n_layer": 3, "system": "language", "max_steps": 4}},
    )
    plan = checkout.snakemake("-n", "--config", "studies=[tiny,shapes]").stdout
    assert "train_tiny__sweep" in plan and "train_shapes__sweep" in plan
    done = checkout.run("python", "workflow/scripts/audit.py", "bad", check=False)
    assert done.returncode == 1 and "system = 'language'" in done.stdout


def test_a_system_cannot_be_swept(checkout: Checkout) -> None:
    add_blobs(checkout)
    checkout.write_sweep("rates", system=["blobs", "language"])
    done = checkout.run("python", "workflow/scripts/audit.py", "shapes", check=False)
    assert done.returncode == 1
    assert "system" in done.stdout and "Traceback" not in done.stdout
