"""A copy of the workflow with one study of small trainings, which Snakemake builds there."""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.packs.process_tree import Usage, measure
from benchmarks.packs.workload import Workload
from benchmarks.throughput import ROOT
from resweep import yaml12
from resweep.paths import Layout, RunFolder
from resweep.study import files
from resweep.study.find import load_studies
from resweep.study.study import Phase
from resweep.trials.record import Status, read_record

WORKFLOW = ("Snakefile", "rules", "workflow", "config", "profiles", "envs", "src")
NAME, PHASE = "small", "sweep"
CORES = 2
# Of all contenders: this checkout's library, one thread a training, no account or cluster.
ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "WANDB_"))},
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]),
    "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
    "OMP_NUM_THREADS": "1",
}


class Workplace:
    """A study in a copy of the workflow, without results.

    Args:
        path: Where; must not exist.
        sweep: Content of its sweep file.
        overrides: Path -> value, over a small model and short runs.
        wandb: Mode of W&B.
        resources: Of the study.
    """

    def __init__(
        self,
        path: Path,
        sweep: Mapping[str, Any],
        overrides: Mapping[str, Any],
        *,
        wandb: str = "disabled",
        resources: Mapping[str, Any] | None = None,
    ):
        self.path = path
        path.mkdir(parents=True)
        for name in WORKFLOW:
            if (ROOT / name).is_dir():
                ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(ROOT / name, path / name, ignore=ignore)
            else:
                shutil.copy(ROOT / name, path / name)
        self._write(f"config/sweep/{NAME}.yaml", sweep)
        self._write("config/config.yaml", {"studies": [NAME]})
        self._study = {
            "name": NAME,
            "base": {"model": "gpt-tiny", "data": "python-docs", "training": "quick"},
            "set": dict(overrides),
            "phases": [{"name": PHASE, "kind": "sweep", "sweep": NAME}],
            "tracking": {"wandb": wandb},
        }
        self.ask_for(resources or {})

    def ask_for(self, resources: Mapping[str, Any]) -> None:
        """Set the study's resources."""
        self._study["resources"] = dict(resources)
        self._write(f"config/studies/{NAME}.yaml", self._study)
        self.__dict__.pop("phase", None)

    def _write(self, name: str, content: Any) -> None:
        (self.path / name).write_text(yaml12.dump(content))

    @cached_property
    def phase(self) -> Phase:
        """The only phase of the study."""
        file = self.path / f"config/studies/{NAME}.yaml"
        (study,) = load_studies({"study": str(file)}, self.path / "config")
        return study.phase(PHASE)

    @property
    def layout(self) -> Layout:
        """Its results."""
        return Layout(self.path / "results")

    @property
    def records(self) -> list[str]:
        """The trials' records, as Snakemake's targets."""
        return [str(record) for record in files.records(Layout(), self.phase)]

    def snakemake(self, *words: str) -> Usage:
        """Call Snakemake on two cores."""
        command = ["snakemake", "--cores", str(CORES), *words]
        return measure(command, self.path, ENVIRONMENT)

    def prepare_data(self) -> Path:
        """Prepare the data, and return its folder."""
        (stamp,) = files.data_stamps(Layout(), self.phase)
        self.snakemake(str(stamp))
        return self.layout.data(stamp.stem)

    def workload(self) -> Workload:
        """Prepare the data, and return what the study trains."""
        data, config = self.prepare_data(), self.phase.config
        trials = {
            trial: {path.removeprefix("training."): value for path, value in assigned.items()}
            for trial, assigned in ((name, self.phase.assigned(name)) for name in self.phase.trials)
        }
        return Workload(
            data=data, model=config["model"], training=config["training"], trials=trials
        )

    def losses(self) -> dict[str, float]:
        """Return the last loss of each trial.

        Raises:
            RuntimeError: A trial did not finish, or one of its run's files is missing.
        """
        found = {}
        for trial in self.phase.trials:
            record = read_record(self.layout.record(NAME, PHASE, trial))
            run = RunFolder(self.layout.run(str(record.run_id)))
            missing = [str(file) for file in _files_of(run) if not file.stat().st_size]
            if record.status is not Status.FINISHED or missing:
                raise RuntimeError(f"{trial}: {record.status}, empty: {missing}")
            last = json.loads(run.metrics.read_text().splitlines()[-1])
            found[trial] = float(last["val/loss"])
        return found

    def wandb_runs(self) -> set[str]:
        """Return the ids of the runs that W&B has files of."""
        folder = self.path / "results" / NAME / "wandb"
        return {file.stem.removeprefix("run-") for file in folder.rglob("run-*.wandb")}

    def forget_study(self) -> None:
        """Delete all that the study has, but not its runs."""
        for folder in (Path("results") / NAME, Path("logs"), Path(".snakemake")):
            shutil.rmtree(self.path / folder, ignore_errors=True)


def _files_of(run: RunFolder) -> Iterator[Path]:
    yield from (run.config, run.state, run.metrics, run.timing, run.log)
