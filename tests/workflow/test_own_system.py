"""The guide to a system of one's own: its files make a system, and its commands work."""

import csv
import json
import re
import shlex
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT, Checkout

pytestmark = pytest.mark.xdist_group("own_system")

PAGE = ROOT / "docs/systems.md"
FOLDER = "src/resweep/systems/waves"
PACKS = "resources: {pack: 6}\n"


def write_files(made: Checkout) -> list[str]:
    """Write the files of the page; returns their names."""
    names = []
    blocks = re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    for name, content in blocks:
        file = made.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        names.append(name)
    (made.path / FOLDER / "__init__.py").touch()
    return names


def commands() -> list[str]:
    """The commands of the page, in their order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout where the page was followed to its end, with fewer steps and seeds."""
    made = Checkout.new(tmp_path_factory.mktemp("waves") / "checkout")
    names = write_files(made)
    assert [name for name in names if name.startswith(f"{FOLDER}/")] == [
        f"{FOLDER}/{part}.py" for part in ("sections", "system", "objective")
    ]
    study = made.path / "config/studies/waves.yaml"
    shorter = study.read_text().replace("max_steps: 400", "max_steps: 100")
    shorter = shorter.replace("top: 2, seeds: [1, 2, 3]", "top: 1, seeds: [1, 2]")
    study.write_text(f"{shorter}publish: {{configs: false, models: none}}\n{PACKS}")
    for command in commands():
        made.run(*shlex.split(command), env={"WANDB_MODE": "disabled"})
    return made


def scores(made: Checkout, phase: str) -> list[dict[str, str]]:
    with (made.path / f"results/waves/{phase}/scores.csv").open() as file:
        return list(csv.DictReader(file))


def test_its_trials_are_ranked_and_the_best_rerun(waves: Checkout) -> None:
    ranked = [float(row["final"]) for row in scores(waves, "sweep")]
    assert len(ranked) == 6 and ranked == sorted(ranked)
    best = scores(waves, "sweep")[:1]
    again = {(row["model.width"], row["training.learning_rate"]) for row in scores(waves, "rerun")}
    assert again == {(row["model.width"], row["training.learning_rate"]) for row in best}


def test_networks_learn_and_the_summary_says_what_they_are_compared_with(waves: Checkout) -> None:
    assert float(scores(waves, "sweep")[0]["final"]) < 0.2  # of a variance of 0.44
    said = waves.run("python", "workflow/scripts/summarize.py", "waves").stdout
    assert "below the variance of the wave of 0.4418" in said


def losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line["train/loss"] for line in lines if "train/loss" in line]


def test_two_processes_have_the_losses_of_one(waves: Checkout) -> None:
    (two,) = waves.path.glob("results/two/runs/*")
    assert losses(two) == pytest.approx(losses(waves.path / "results/runs" / two.name), rel=1e-4)
    state = json.loads((two / "record.json").read_text())
    assert [part["processes"] for part in state["segments"]] == [2]


@pytest.mark.long
def test_a_training_that_is_killed_ends_the_same(waves: Checkout) -> None:
    """Without a line of it about resuming: the weights are those of a run that was left alone."""
    words = ("--study=waves", "width=8", "max_steps=1000", "save_steps=100", "--device=cpu")
    quiet = {"WANDB_MODE": "disabled"}
    killed = waves.start("python", "workflow/scripts/train.py", *words, "results=killed", env=quiet)
    while not list(waves.path.glob("killed/runs/*/checkpoint_*/trainer.json")):
        assert killed.poll() is None
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    for results in ("killed", "calm"):
        waves.run("python", "workflow/scripts/train.py", *words, f"results={results}", env=quiet)
    (one,) = waves.path.glob("killed/runs/*")
    other = waves.path / "calm/runs" / one.name
    assert json.loads((one / "record.json").read_text())["segments"][0]["from_step"] > 0
    for file in ("metrics.jsonl", "checkpoint_1000/model.safetensors"):
        assert (one / file).read_bytes() == (other / file).read_bytes()


def test_what_it_refuses_is_one_line(waves: Checkout) -> None:
    for word, said in (
        ("frequency=0", "data.frequency"),
        ("num_epochs=3", "num_epochs"),
        ("run.checkpoint=results", "checkpoint"),
    ):
        done = waves.run(
            *("python", "workflow/scripts/train.py", "--study=waves", word), check=False
        )
        assert done.returncode == 1
        (line,) = done.stdout.splitlines()
        assert line.startswith("error: ") and said in line


def test_called_again_nothing_is_to_do(waves: Checkout) -> None:
    assert "Nothing to be done" in waves.snakemake("--config", "study=waves").stdout
