"""Rankings of the phase that decides, one after another; checkpoints have a few bytes."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.paths import Layout
from resweep.ranking.keep import keep_models
from resweep.ranking.score_table import write_scores
from resweep.ranking.scores import rank_trials
from resweep.ranking.trial_result import SEED, TrialResult
from resweep.store import checkpoints as checkpoint
from resweep.store.lasting_claims import Why
from resweep.store.retention import claim
from resweep.store.run import Run
from resweep.study.metric import PhaseScore
from resweep.trials.record import Record, Status
from tests.support.language import score as made_score

STEP = 20
FILES = ("model.safetensors", "config.json", "trainer.json")


@dataclass
class Ranked:
    """A phase whose trials come and go: each ranking keeps and drops weights as the workflow does.

    Attributes:
        root: Folder of the results.
        study, phase: Names.
        data: Digest of the data of new runs.
    """

    root: Path
    study: str = "mine"
    phase: str = "rerun"
    data: str = "text"
    score: PhaseScore = field(default_factory=made_score)

    @property
    def layout(self) -> Layout:
        """Of the results folder."""
        return Layout(self.root)

    def rank(
        self, values: dict[str, float | None], *, keep: str = "best", decides: bool = True
    ) -> list[dict[str, Any]]:
        """Rank the phase; returns the decisions about weights.

        Args:
            values: Final values by run; names that differ in the last character alone are seeds of
                one configuration. None: it diverged.
            keep: The policy.
            decides: Whether it is the phase that decides.
        """
        self.describe(**{self.phase: "sweep"})
        results = [
            self.trial(f"{n:02}", run, value) for n, (run, value) in enumerate(values.items())
        ]
        folder = self.layout.phase(self.study, self.phase)
        write_scores(folder.scores, rank_trials(results, self.score))
        for link in folder.models.glob("*"):
            link.unlink()
        return keep_models(
            study=self.study,
            phase=self.phase,
            scores_path=folder.scores,
            policy=keep,
            top=1,
            models=folder.models,
            layout=self.layout,
            best_of_study=self.score if decides else None,
        )

    def describe(self, **phases: str) -> None:
        """Write study.yaml, of phases with their kinds."""
        for phase in phases:
            self.layout.phase(self.study, phase).path.mkdir(parents=True, exist_ok=True)
        parts = [{"name": phase, "kind": kind} for phase, kind in phases.items()]
        content = {"phases": parts, "tracking": {"wandb": "disabled", "project": "resweep"}}
        self.layout.study(self.study).described.write_text(yaml12.dump(content))

    def trial(self, slot: str, run_id: str, value: float | None) -> TrialResult:
        """Train a run, unless the store has it, and return a trial's result."""
        run = Run(self.layout.run(run_id))
        if not run.path.exists():
            run.update(identity={"data": {"digest": self.data}, "training": {}})
            self.save(run_id)
        if value is not None:
            claim(run, self.study, self.phase, slot)
        record = Record(
            run_id=run_id,
            status=Status.DIVERGED if value is None else Status.FINISHED,
            stop_reason=None,
            step=STEP,
            metrics={},
        )
        assignments = {"rate": f"r{run_id[:-1]}", SEED: run_id[-1]}
        return TrialResult(
            trial=slot, record=record, assignments=assignments, early_slope=None, final=value
        )

    def save(self, run_id: str) -> None:
        """Write the run's checkpoint, as `train.py --weights` restores it."""

        def write(folder: Path) -> None:
            for name in FILES:
                (folder / name).write_text(f"{name} of {run_id}")

        folder = self.layout.run(run_id) / checkpoint.folder_name(STEP)
        checkpoint.write_checkpoint(folder, write, lambda: None)

    @property
    def kept(self) -> set[str]:
        """Runs that have weights."""
        return {path.parent.name for path in self.layout.runs.glob("*/checkpoint_*")}

    def claimed(self, why: Why = Why.BEST) -> set[str]:
        """Runs that the study claims by itself."""
        paths = self.layout.lasting_claims(self.study)
        return {path.parents[2].name for path in paths if path.parent.name == why}

    def standing(self, run_id: str, why: Why = Why.BEST) -> dict[str, Any]:
        """Content of a claim."""
        path = Run(self.layout.run(run_id)).folder.lasting_claim(why, self.study)
        return dict(json.loads(path.read_text()))
