"""Analyses of a study that saved gradients: the target of a trial, and the commands."""

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from resweep import yaml12
from resweep.analysis.curvature import curvature
from resweep.analysis.trajectories import split_sentences
from resweep.data.store import ensure
from resweep.paths import Layout
from resweep.replay.rank_correlation import rank_correlation
from tests.conftest import Checkout, tiny_study
from tests.support.language import SYSTEM
from tests.support.learners import make_learner

pytestmark = pytest.mark.xdist_group("analyze")
PNG = b"\x89PNG\r\n\x1a\n"
RATES = (1e-4, 1e-3, 1e-2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Three trials of a model of two layers, with gradients at steps 10 and 20."""
    checkout = Checkout.new(tmp_path_factory.mktemp("analyze") / "checkout")
    saved = {"model.n_layer": 2, "training.save_steps": 10}
    saved |= {"training.save_gradients": True, "training.gradient_samples": 2}
    study = tiny_study("tiny")
    sweep = study["phases"][0]
    checkout.write_study(set={**study["set"], **saved}, phases=[sweep], keep="all")
    checkout.write_sweep(learning_rate=list(RATES))
    checkout.snakemake()
    return checkout


def trials(made: Checkout) -> dict[str, Path]:
    """The run of each trial."""
    records = sorted(made.path.glob("results/tiny/sweep/records/*.json"))
    return {record.stem: record.resolve().parent.parent for record in records}


def analyze(made: Checkout, what: str, *words: str) -> Any:
    """The JSON of a command."""
    script = f"workflow/scripts/analyze_{what}.py"
    return json.loads(made.run("python", script, *words, "--format", "json").stdout)


def test_the_target_of_a_trial_has_numbers_and_figures(made: Checkout) -> None:
    trial, run = next(iter(trials(made).items()))
    place = made.path / "results/tiny/sweep/gradients"
    made.snakemake(f"results/tiny/sweep/gradients/{trial}.png")
    assert (place / f"{trial}.png").read_bytes().startswith(PNG)
    found = json.loads((place / f"{trial}.json").read_text())
    assert [one["step"] for one in found["checkpoints"]] == [10, 20]
    for one in found["checkpoints"]:
        gradients = torch.load(run / one["folder"] / "gradients.pt")
        norms = {name: torch.norm(gradient).item() for name, gradient in gradients.items()}
        read = {name: numbers["norm"] for name, numbers in one["parameters"].items()}
        assert read == pytest.approx(norms, rel=1e-5)
        blocks = {name: numbers["norm"] for name, numbers in one["layers"].items()}
        assert blocks.keys() == {
            f"transformer.{name}" for name in ("wte", "wpe", "h.0", "h.1", "ln_f")
        }
        assert math.hypot(*blocks.values()) == pytest.approx(one["norm"], rel=1e-9)
    first, last = (torch.load(run / f"checkpoint_{step}/gradients.pt") for step in (10, 20))
    flat = [torch.cat([one[name].flatten() for name in sorted(one)]) for one in (first, last)]
    cosine = torch.nn.functional.cosine_similarity(*flat, dim=0).item()
    assert found["between_checkpoints"]["values"][0][1] == pytest.approx(cosine, abs=1e-5)
    assert "Nothing to be done" in made.snakemake("-n").stdout


def test_a_trial_without_gradients_names_the_setting(built_once: Checkout) -> None:
    target = "results/tiny/rerun/gradients/01.json"
    done = built_once.snakemake(target, check=False)
    errors = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert done.returncode and len(errors) == 1
    assert "save_gradients: true" in errors[0] and "Traceback" not in done.stdout


def test_a_layer_is_followed_over_checkpoints(made: Checkout, tmp_path: Path) -> None:
    run = next(iter(trials(made).values()))
    words = ("--layer", "h.1.mlp.c_fc.weight", "--output-dir", str(tmp_path))
    found = analyze(made, "gradients", run.name, *words)
    name = "transformer.h.1.mlp.c_fc.weight"
    assert found["layer"] == name
    first, last = (torch.load(run / f"checkpoint_{step}/gradients.pt")[name] for step in (10, 20))
    cosine = torch.nn.functional.cosine_similarity(first.flatten(), last.flatten(), dim=0)
    assert found["between_checkpoints"]["values"][1][0] == pytest.approx(cosine.item(), abs=1e-5)
    pictures = {path.name for path in tmp_path.iterdir() if path.read_bytes().startswith(PNG)}
    assert pictures == {"gradient_norms.png", "gradient_evolution.png", "gradient_cosines.png"}
    saved = json.loads((tmp_path / "gradients.json").read_text())
    assert saved.pop("checksum") and saved == found


def test_other_forms_and_one_checkpoint(made: Checkout) -> None:
    run = next(iter(trials(made).values()))
    script = "workflow/scripts/analyze_gradients.py"
    folder = f"{run.relative_to(made.path)}/checkpoint_10"
    table = made.run("python", script, folder, "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(table)))
    assert {row["step"] for row in rows} == {"10"}
    by_name = {row["name"]: row for row in rows}
    samples = torch.load(run / "checkpoint_10/gradient_samples.pt")["transformer.wpe.weight"]
    variance = float(by_name["transformer.wpe.weight"]["variance"])
    assert variance == pytest.approx(samples.var(0).sum().item(), rel=1e-4)
    text = made.run("python", script, run.name, "--checkpoints", "20").stdout
    assert "step 20" in text and "step 10" not in text
    wrong = made.run("python", script, run.name, "--checkpoints", "15", check=False).stdout
    assert re.search(r"^error: .*--checkpoints = 15.*10, 20$", wrong, re.M)
    wrong = made.run("python", script, run.name, "--layer", "h.0.mlp.c_fx", check=False).stdout
    assert re.search(r"^error: .*--layer = 'h.0.mlp.c_fx'", wrong, re.M)


def test_gradients_are_correlated_with_results(made: Checkout) -> None:
    found = analyze(made, "gradients", "--study", "tiny", "--phase", "sweep")
    assert (found["metric"], found["goal"], found["trials"], found["of"]) == (
        "val/loss",
        "minimize",
        3,
        3,
    )
    norms, finals = [], []
    for trial, run in trials(made).items():
        gradients = torch.load(run / "checkpoint_20/gradients.pt").values()
        norms.append(math.hypot(*(torch.norm(gradient).item() for gradient in gradients)))
        finals.append(made.record("tiny", "sweep", trial)["metrics"]["val/loss"])
    by_feature = {one["feature"]: one for one in found["correlations"]}
    assert by_feature["norm"] == {
        "feature": "norm",
        "correlation": pytest.approx(rank_correlation(norms, finals)),
        "trials": 3,
    }
    assert "norm of h.1" in by_feature
    wrong = ("--study", "tiny", "--phase", "rerun")
    script = "workflow/scripts/analyze_gradients.py"
    assert "there are: sweep" in made.run("python", script, *wrong, check=False).stdout


def test_curvature_of_a_run_is_beside_that_of_its_initial_weights(
    made: Checkout, tmp_path: Path
) -> None:
    run = list(trials(made).values())[-1]
    words = ("--sentences", "7", "--output-dir", str(tmp_path))
    found = analyze(made, "curvature", run.name, *words)
    assert [one["name"] for one in found["models"]] == ["untrained", "step 10", "step 20"]
    assert {len(one["mean"]) for one in found["models"]} == {3}  # embeddings and two blocks
    assert (tmp_path / "curvature.png").read_bytes().startswith(PNG)
    # The embeddings again, from our own model.
    config = yaml12.load_mapping(run / "config.yaml")
    data = ensure(SYSTEM, config["data"], Layout(made.path / "results"))
    sentences = split_sentences(SYSTEM.validation_texts(data))
    chosen = [sentences[place * len(sentences) // 7] for place in range(7)]
    inner = make_learner(config, data).objective.model.transformer
    states = [
        (inner.wte.weight[list(text.encode()[:16])] + inner.wpe.weight).detach() for text in chosen
    ]
    expected = np.mean([curvature(one).item() for one in states])
    assert found["models"][0]["mean"][0] == pytest.approx(expected, abs=1e-3)
    assert found["models"][0]["change"][0] == 0.0
