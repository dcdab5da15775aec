"""What the tests share: a checkout of their own, and a study small enough to train in seconds."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from tests.support.warm import Running, is_warm, warm_process

ROOT = Path(__file__).resolve().parent.parent
# Of commands that tests start: this checkout's library, and what the tests share.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT / "src"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
)
# Of trainings here and in commands alike: sums of several threads differ in their last bits.
os.environ["OMP_NUM_THREADS"] = "1"
# No test cuts the power: waiting for disks was half of the time of those that write files.
os.fsync = lambda _: None
WORKFLOW = (
    *("Snakefile", "rules", "workflow", "config", "profiles", "envs", "src", "examples", "schemas"),
    ".vscode",
)
GENERATED = ("results", "logs", ".snakemake")  # in a folder of examples/
Process = Running | subprocess.Popen[str]


class Checkout:
    """A copy of the workflow in a folder of its own, and what can be done with it."""

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def new(cls, path: Path) -> "Checkout":
        """Copy the workflow's files, as they are now, without any results."""
        path.mkdir(parents=True)
        for name in WORKFLOW:
            source = ROOT / name
            if source.is_dir():
                # Compiled modules too, which have the dates of their sources.
                ignore = shutil.ignore_patterns("*.pyc.*", "*.egg-info", *GENERATED)
                shutil.copytree(source, path / name, symlinks=True, ignore=ignore)
            else:
                shutil.copy(source, path / name)
        return cls(path)

    def copy(self, path: Path) -> "Checkout":
        """Copy everything, results and dates included: a moved checkout."""
        shutil.copytree(self.path, path, symlinks=True)
        return Checkout(path)

    @property
    def env(self) -> dict[str, str]:
        """Environment of commands: this checkout's library, no cluster, no tracking account."""
        tools = str(Path(sys.executable).parent)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "WANDB_"))}
        return {
            **kept,
            "PATH": os.pathsep.join([tools, *os.get_exec_path()]),
            "PYTHONPATH": str(self.path / "src"),
        }

    def run(
        self, *command: str, env: Mapping[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout; shows its output when it fails."""
        process = self.start(*command, env=env)
        output, _ = process.communicate()
        code = process.returncode
        assert code is not None
        if check and code:
            pytest.fail(f"{' '.join(command)} ended with {code}:\n{output[-6000:]}")
        return subprocess.CompletedProcess(command, code, output)

    def start(self, *command: str, env: Mapping[str, str] | None = None) -> Process:
        """Start a command in the checkout.

        Scripts and Snakemake are run by a warm process, which has imported what is slow; so are
        those that a shell calls.
        """
        full = {**self.env, **(env or {})}
        if is_warm(command):
            return warm_process().start(command, self.path, full)
        if command[0] == "bash":
            full["PATH"] = os.pathsep.join([str(warm_process().commands), full["PATH"]])
        return subprocess.Popen(
            command,
            cwd=self.path,
            env=full,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Call Snakemake with one core."""
        return self.run("snakemake", "--cores", "1", *arguments, check=check)

    def write(self, name: str, content: Any) -> Path:
        """Write a YAML file."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml12.dump(content))
        return path

    def write_study(self, name: str = "tiny", **changes: Any) -> None:
        """Write a study of seconds, and make it the one that is built."""
        self.write(f"config/studies/{name}.yaml", tiny_study(name) | changes)
        self.write("config/config.yaml", {"studies": [name]})

    def write_sweep(self, name: str = "rates", **parameters: Any) -> None:
        """Write a grid."""
        self.write(
            f"config/sweep/{name}.yaml",
            {"method": "grid", "parameters": {k: {"values": v} for k, v in parameters.items()}},
        )

    def trainings(self) -> dict[str, int]:
        """How many times each run of the store was trained, or continued."""
        states = (json.loads(p.read_text()) for p in self.path.glob("results/runs/*/record.json"))
        return {state["run_id"]: len(state.get("attempts", [])) for state in states}

    def record(self, study: str, phase: str, trial: str) -> dict[str, Any]:
        """Read a trial's record."""
        path = self.path / "results" / study / phase / "records" / f"{trial}.json"
        return dict(json.loads(path.read_text()))


NOTHING: dict[str, Any] = {
    "configs": False, "models": "none", "scores": False, "report": False, "code": False
}  # fmt: skip


def tiny_study(name: str) -> dict[str, Any]:
    """Twenty steps of a one-layer model; a grid over `rates`, the best one rerun with two seeds."""
    return {
        "name": name,
        "base": {"model": "gpt-tiny", "data": "python-docs", "training": "quick"},
        "set": {
            "model.n_layer": 1,
            "model.n_embd": 16,
            "model.n_head": 2,
            "model.context_length": 16,
            "training.batch_size": 4,
            "training.max_steps": 20,
            "training.log_steps": 5,
            "training.eval_steps": 10,
            "training.eval_sequences": 32,
        },
        "phases": [
            {"name": "sweep", "kind": "sweep", "sweep": "rates"},
            {"name": "rerun", "kind": "rerun", "of": "sweep", "top": 1, "seeds": [1, 2]},
        ],
        "score": {"early_steps": 10, "slope_weight": 0.1},
        "tracking": {"wandb": "disabled"},
        "publish": NOTHING,
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """An empty checkout with the tiny study."""
    made = Checkout.new(tmp_path / "checkout")
    made.write_study()
    made.write_sweep(learning_rate=[1e-5, 1e-3])
    return made


@pytest.fixture(scope="session")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The tiny study, built; not to be changed."""
    made = Checkout.new(tmp_path_factory.mktemp("built") / "checkout")
    made.write_study()
    made.write_sweep(learning_rate=[1e-5, 1e-3])
    made.snakemake()
    return made


@pytest.fixture
def built(built_once: Checkout, tmp_path: Path) -> Checkout:
    """A copy of the built study, to be changed."""
    return built_once.copy(tmp_path / "checkout")
