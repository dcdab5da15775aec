"""What a call can ask for by name: stages, single files, several studies; a folder to begin in."""

import json
import re
from pathlib import Path

from tests.conftest import Checkout


def planned(made: Checkout, *words: str) -> list[str]:
    """The rules of a plan."""
    output = made.snakemake("--dry-run", *words).stdout
    return re.findall(r"^(\w+) +\d+$", output[output.index("Job stats:") :], re.M)


def test_a_stage_is_built_without_what_follows(checkout: Checkout) -> None:
    checkout.snakemake("ranked_sweep")
    folder = checkout.path / "results/tiny"
    assert {path.name for path in (folder / "sweep").iterdir()} >= {
        "records",
        "scores.csv",
        "top1_best_configs.yaml",
    }
    assert not (folder / "rerun").exists() and not (folder / "report.html").exists()
    assert json.loads((folder / "build.json").read_text())["ended"]  # for those who watch it
    assert "Nothing to be done" in checkout.snakemake("ranked_sweep", "data").stdout
    # A record whose readers are there is missed too.
    next((folder / "sweep/records").iterdir()).unlink()
    assert "train_sweep" in planned(checkout, "trained_sweep")
    assert set(planned(checkout, "models_sweep")) >= {"train_sweep", "keep_sweep"}
    several = ["--config", "studies=[tiny,quickstart]"]
    assert {"train_quickstart__sweep", "train_tiny__sweep"} <= set(
        planned(checkout, "trained_sweep", *several)
    )
    assert not any("quickstart" in rule for rule in planned(checkout, "study_tiny", *several))


def test_a_wrong_target_is_one_line_with_the_close_one(checkout: Checkout) -> None:
    for target, named in (
        ("ranked_swep", "ranked_sweep?"),
        ("results/tiny/swep/models", "results/tiny/sweep?"),
    ):
        ended = checkout.snakemake("--dry-run", target, check=False)
        (line,) = (line for line in ended.stdout.splitlines() if line.startswith("error: "))
        assert ended.returncode == 1 and named in line and "Traceback" not in ended.stdout


def test_build_and_targets(checkout: Checkout) -> None:
    listed = checkout.run("python", "workflow/scripts/targets.py", "tiny").stdout
    names = re.findall(r"^  (\S+)", listed, re.M)
    assert "ranked_rerun" in names and "results/tiny/report.html" in names
    output = checkout.run(
        *("python", "workflow/scripts/build.py", "tiny", "--plan", "--targets", "ranked_sweep"),
        *("--set", "{training.max_steps: 10}", "--", "--version"),
    ).stdout
    assert output.splitlines()[0] == (
        "snakemake --dry-run ranked_sweep --version "
        "--config study=tiny 'set={training.max_steps: 10}'"
    )


def test_a_folder_of_ones_own(checkout: Checkout) -> None:
    folder = checkout.path.parent / "mine"
    for _ in range(2):  # again after an update
        checkout.run("python", "workflow/scripts/init.py", "../mine")
        (folder / "config/config.yaml").write_text("study: grid-search\n")
    assert (folder / "workflow").readlink() == Path("../checkout/workflow")
    mine = Checkout(folder)
    output = mine.run("snakemake", "--dry-run", env={"PYTHONPATH": checkout.env["PYTHONPATH"]})
    assert "train_sweep" in output.stdout and "train_rerun" not in output.stdout
