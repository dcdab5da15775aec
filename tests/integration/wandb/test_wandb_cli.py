"""W&B's own command line and our sweep files, as far as that goes without an account."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from wandb.sdk.launch.sweeps.utils import load_sweep_config

from resweep import yaml12
from resweep.jobs.train_by_hand import plan_by_hand
from resweep.sweep import load_sweep
from tests.integration.jobs.test_train_by_hand import TRAIN, tiny
from tests.support import wandb_runs
from tests.support.wandb_command import agent_command

ROOT = Path(__file__).resolve().parents[3]
SWEEPS = sorted((ROOT / "config/sweep").glob("*.yaml"))
ORACLE = ROOT / ".venv-oracle/bin/python"
OURS = "'seed' was unexpected"  # the one key that the format does not have: W&B warns
VIOLATIONS = """
import json, sys, yaml
from sweeps.config import schema_violations_from_proposed_config as violations
files = sys.argv[1:]
print(json.dumps({file: violations(yaml.safe_load(open(file))) for file in files}))
"""


@pytest.fixture(autouse=True)
def account(tmp_path, monkeypatch):
    wandb_runs.hide_account(monkeypatch, tmp_path)


def wandb(*words, **environment):
    """Call the command line; returns what it said and its exit code."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "wandb"), *words],
        env={**os.environ, **environment},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.stdout, done.returncode


@pytest.mark.parametrize("words", [["sweep", str(SWEEPS[0])], ["agent", "team/project/sweep"]])
def test_sweeps_of_wandb_need_an_account(words, tmp_path):
    output, code = wandb(*words, WANDB_MODE="offline", WANDB_DIR=str(tmp_path))
    assert code == 1 and "No API key" in output and "wandb login" in output


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: file.stem)
def test_wandb_reads_shipped_files_as_we_do(file):
    """Numbers are numbers under YAML 1.1 as well."""
    assert load_sweep_config(str(file)) == yaml12.load(file)


def sweeps_of(*, default_system):
    """The sweeps of shipped studies: an agent has no study that names another system."""
    studies = map(yaml12.load, sorted((ROOT / "config/studies").glob("*.yaml")))
    names = {
        phase["sweep"]
        for study in studies
        if ("system" not in study) == default_system
        for phase in study["phases"]
        if isinstance(phase.get("sweep"), str)
    }
    return [file for file in SWEEPS if file.stem in names]


def test_sweeps_that_no_agent_can_run_name_no_program():
    for file in sweeps_of(default_system=False):
        assert "program" not in yaml12.load(file), file


@pytest.mark.parametrize("file", sweeps_of(default_system=True), ids=lambda file: file.stem)
def test_agents_could_run_shipped_files(file, tmp_path):
    """The command of a point, as an agent would build it, is one that the script takes."""
    content = yaml12.load(file)
    assert (ROOT / content["program"]).is_file()
    point = {parameter.name: parameter.draw(0.5) for parameter in load_sweep(file).parameters}
    words = agent_command(content, point, tmp_path / "point.json", os.environ)
    position = words.index(content["program"]) + 1
    plan = plan_by_hand(words[position:], {}, ROOT / "config")
    assert sorted(plan.trial.assignments.values(), key=str) == sorted(point.values(), key=str)


@pytest.mark.long
@pytest.mark.skipif(not ORACLE.exists(), reason="needs W&B's engine: make oracle")
def test_shipped_files_fit_wandbs_schema():
    done = subprocess.run(
        [str(ORACLE), "-W", "ignore", "-c", VIOLATIONS, *map(str, SWEEPS)],
        text=True,
        capture_output=True,
        check=True,
    )
    for file, violations in json.loads(done.stdout).items():
        assert [text for text in violations if OURS not in text] == [], file


def test_sync_finds_an_agents_run(tmp_path):
    agent = {"WANDB_MODE": "offline", "WANDB_SWEEP_ID": "sweep1", "WANDB_RUN_ID": "run1"}
    subprocess.run(
        [sys.executable, str(TRAIN), *tiny(tmp_path / "results"), "--keep=none"],
        cwd=ROOT,
        env={**os.environ, **agent},
        check=True,
        capture_output=True,
    )
    output, code = wandb("sync", "--dry-run", str(tmp_path / "results/by-hand/wandb"))
    assert code == 0 and "Would sync 1 run" in output and "run-run1.wandb" in output
