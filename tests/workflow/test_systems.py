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

from tests.conftest import ROOT, Checkout, tiny_study

pytestmark = pytest.mark.xdist_group("systems")  # they share what they build

BLOBS = ROOT / "tests/support/blobs"
PATIENCE = 2
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
        {
            "name": "search",
            "kind": "sweep",
            "sweep": "search",
            "round_size": 3,
            "set": {"early_stopping.plateau_patience": PATIENCE},
        },
        {"name": "rerun", "kind": "rerun", "of": "sweep", "top": 1, "seeds": [1, 2]},
    ],
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
SEARCH = {
    "method": "bayes",
    # No goal: it has its own. No accuracy is as high as the target, every one is lower.
    "metric": {"name": "val/accuracy", "target": 1.5},
    "run_cap": 6,
    "seed": 1,
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1},
        "inertia": {"values": [0.0, 0.5]},
    },
}


def add_blobs(made: Checkout) -> None:
    """Add the system to a copy of the library: its folder, nothing else."""
    shutil.copytree(BLOBS, made.path / "src/resweep/systems/blobs")
    made.write("config/studies/shapes.yaml", STUDY)
    made.write("config/sweep/rates.yaml", SWEEP)
    made.write("config/sweep/search.yaml", SEARCH)
    made.write("config/config.yaml", {"studies": ["shapes"]})


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The study of blobs, built by a library without language models."""
    made = Checkout.new(tmp_path_factory.mktemp("shapes") / "checkout")
    add_blobs(made)
    for system in ("language", "pathstar"):  # the latter trains the GPT of the former
        shutil.rmtree(made.path / f"src/resweep/systems/{system}")
    made.snakemake()
    return made


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def accuracies(run: Path) -> dict[int, float]:
    """The evaluations of a run: step -> accuracy."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line["val/accuracy"] for line in lines if "val/accuracy" in line}


@pytest.mark.parametrize("number", [0, 1], ids=["sweep", "search"])
def test_it_is_ranked_by_its_own_metric_upwards(number: int, shapes: Checkout) -> None:
    """The sweep file of the first names no metric; that of the second names one without a goal."""
    described = yaml.safe_load((shapes.path / "results/shapes/study.yaml").read_text())
    assert described["system"] == "blobs"
    phase = described["phases"][number]
    assert (phase["score"]["metric"], phase["score"]["goal"]) == ("val/accuracy", "maximize")
    scored = rows(shapes.path / "results/shapes" / phase["name"] / "scores.csv")
    finals = [float(row["final"]) for row in scored if row["status"] == "finished"]
    assert len(set(finals)) > 1 and finals == sorted(finals, reverse=True)


def test_ranked_by_hand_without_a_goal_it_is_upwards_too(shapes: Checkout) -> None:
    records = shapes.path / "results/shapes/sweep/records"
    table = shapes.path / "by_hand.csv"
    shapes.run(
        *("python", "workflow/scripts/score.py", "--study=shapes", f"--scores={table}"),
        *("--records", *map(str, sorted(records.glob("*.json")))),
    )
    finals = [float(row["final"]) for row in rows(table) if row["status"] == "finished"]
    assert len(set(finals)) > 1 and finals == sorted(finals, reverse=True)


def test_a_search_continues_up_to_its_target(shapes: Checkout) -> None:
    folder = shapes.path / "results/shapes/search"
    first, second = (
        json.loads((folder / f"rounds/r0{number}.json").read_text()) for number in (1, 2)
    )
    assert (first["sampler"], second["sampler"]) == ("sobol", "gp")
    scored = {row["trial"]: float(row["final"]) for row in rows(folder / "scores.csv")}
    assert len(scored) == 6
    observed = sorted(row["value"] for row in second["observations"])
    assert observed == sorted(scored[f"r01-0{slot}"] for slot in (1, 2, 3))


def test_a_trial_is_stopped_once_it_no_longer_rises(shapes: Checkout) -> None:
    stopped = risen = 0
    for path in (shapes.path / "results/shapes/search/records").glob("*.json"):
        record = json.loads(path.read_text())
        best, without, end = 0.0, 0, record["max_steps"]
        for step, value in accuracies(shapes.path / "results/runs" / record["run_id"]).items():
            without = 0 if value > best else without + 1
            best = max(best, value)
            if without == PATIENCE:
                end = min(end, step)
                break
            risen += step > 0 and without == 0
        assert record["step"] == end
        if end < record["max_steps"]:
            assert (record["status"], record["rule"]) == ("stopped", "plateau")
            assert f"without improving on {best:.5g}" in record["stop_reason"]
            stopped += 1
    assert stopped and risen, "some are stopped, some rise: monitors of falls would stop others"


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
    compared = 0
    for path in shapes.path.glob("results/runs/*/record.json"):
        for best in json.loads(path.read_text())["best_checkpoints"]:
            evaluated = accuracies(path.parent)
            highest = max(value for step, value in evaluated.items() if step)
            assert best["val/accuracy"] == evaluated[best["step"]] == highest
            compared += 1
    assert compared


def test_without_flops_there_is_no_utilization(shapes: Checkout) -> None:
    files = list(shapes.path.glob("results/runs/*/timing.jsonl"))
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert lines and not any("mfu" in line for line in lines)


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
    total = next(line for line in text.splitlines() if line.startswith("total")).split()
    assert total[-1] == "0"  # to train
    shapes_again = ("--set", "{training.seed: 7}")
    text = shapes.run("python", "workflow/scripts/audit.py", "shapes", *shapes_again).stdout
    assert "images" in text and "tokens" not in text
    assert "unknown" in text  # its cost has no bounds


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
    checkout.write("config/studies/tiny.yaml", tiny_study("tiny") | {"own": ["inertia"]})
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
