"""A pack of tiny trainings in a folder, trained in a fork of the test's process."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.errors import Interrupted
from resweep.jobs import forked_trainings
from resweep.jobs.options import JobOptions
from resweep.jobs.train_pack import PackJob
from resweep.jobs.train_trial import train_trial
from resweep.machine.memory import JobMemory
from resweep.machine.signals import watch_signals
from resweep.paths import Layout
from resweep.training.gradient_learner import GradientLearner
from resweep.trials.pack import Asked, PackFile
from tests.support.in_fork import in_fork
from tests.support.tiny import BASE, LANGUAGE

RATE = "training.learning_rate"
STEPS = 12
TEXT = "\n\n".join(f"Sentence {n} is about the number {n * n}." for n in range(200))
MEASURED = ("seconds", "gpu_seconds", "checksum")
AtStep = Callable[[float, int], None]


def _nothing(rate: float, step: int) -> None:
    pass


class PackPlace:
    """A results folder, and the text that its trainings read.

    Args:
        path: The folder, which exists.
        changes: Of the configuration, path -> value.
    """

    def __init__(self, path: Path, **changes: Any):
        self.path = path
        self.received: list[int] = []  # in a child: the signals that it got
        self.layout = Layout(path / "results")
        text = path / "text.txt"
        text.write_text(TEXT)
        source = {"source": "text", "paths": [str(text)], "documents": "blank_line"}
        flat = BASE | {f"data.{name}": value for name, value in source.items()}
        flat |= {name.replace("__", "."): value for name, value in changes.items()}
        self.config, problems = compose.validate(Composed(nest(flat), {}), "here", LANGUAGE)
        assert not problems, problems

    def pack(self, *rates: float) -> PackFile:
        """A pack that trains these learning rates; a trial's name is its rate's."""
        return PackFile(
            study="s",
            phase="p",
            folder="",
            trials=tuple(dict.fromkeys(self.name(rate) for rate in rates)),
            config=self.config,
            asked=tuple(Asked(assignments={RATE: rate}, stop=None) for rate in rates),
        )

    @staticmethod
    def name(rate: float) -> str:
        return f"{rate:g}".replace(".", "_")

    def options(self, **changes: Any) -> JobOptions:
        given = {"results": self.layout.root, "device": "cpu", "tracking": {"wandb": "disabled"}}
        return JobOptions(**given | changes)

    def train(
        self,
        pack: PackFile,
        at_step: AtStep = _nothing,
        at_once: int = 2,
        before: Callable[[PackJob], None] = lambda pack: None,
        events: Path | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Train a pack; returns how it ended.

        Args:
            pack: Which trials.
            at_step: Called in a child, before each step that it trains, with its rate.
            at_once: How many at once.
            before: Called in the process of the pack, before it begins.
            events: Where the kernel counts what it killed.
            options: Of the job.
        """

        def work() -> dict[str, Any]:
            signals = watch_signals()
            self._watch_steps(at_step)
            job = PackJob(pack, self.options(**options), at_once, lambda: bool(signals))
            if events is not None:
                job._trainings.memory = JobMemory(events)
            before(job)
            try:
                done: bool | None = job.train()
            except Interrupted:
                done = None
            left = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            return {"done": done, "failed": job.failed, "at_once": job.at_once, "left": left}

        return dict(in_fork(work))

    def train_alone(self, pack: PackFile) -> None:
        """Train each of its trials by itself, as a job each would."""
        for trial in pack.known_trials():
            train_trial(trial, self.layout.record("s", "p", trial.trial), self.options())

    def _watch_steps(self, at_step: AtStep) -> None:
        """Write each step that is trained into a file, as: rate, process, step."""
        usual = GradientLearner.train_step

        def watch() -> list[int]:
            self.received = watch_signals()
            return self.received

        forked_trainings.watch_signals = watch  # type: ignore[attr-defined]

        def train_step(learner: GradientLearner, *more: Any) -> None:
            rate, step = learner.training.learning_rate, learner.step + 1
            at_step(rate, step)
            usual(learner, *more)
            with (self.path / "steps").open("a") as file:
                file.write(f"{rate} {os.getpid()} {step}\n")

        GradientLearner.train_step = train_step  # type: ignore[method-assign]

    def steps(self) -> list[tuple[float, int, int]]:
        """The steps that were trained, in their order: rate, process, step."""
        file = self.path / "steps"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(float(a), int(b), int(c)) for a, b, c in map(str.split, lines)]

    def steps_of(self, rate: float) -> list[int]:
        """The steps that were trained with a rate, in their order."""
        return [step for one, _, step in self.steps() if one == rate]

    def record(self, rate: float) -> dict[str, Any]:
        """The record of a trial."""
        return dict(json.loads(self.layout.record("s", "p", self.name(rate)).read_text()))

    def state(self, rate: float) -> dict[str, Any]:
        """The state of a trial's run, which may have no record yet."""
        for file in self.layout.runs.glob("*/record.json"):
            state = dict(json.loads(file.read_text()))
            if state["identity"]["training"]["learning_rate"] == rate:
                return state
        raise LookupError(rate)

    def ends(self, rate: float) -> list[str | None]:
        """How the attempts of a trial's run ended."""
        return [attempt["end"] for attempt in self.state(rate)["attempts"]]

    def results(self) -> dict[str, Any]:
        """All that is determined: records, metrics, weights."""
        found: dict[str, Any] = {}
        for file in self.layout.root.rglob("*"):
            name = str(file.relative_to(self.layout.root))
            if file.name == "metrics.jsonl" or file.suffix == ".safetensors":
                found[name] = file.read_bytes()
            elif file.parent.name == "records" and file.is_file():
                record = json.loads(file.read_text())
                found[name] = {k: v for k, v in record.items() if k not in MEASURED}
        return found
