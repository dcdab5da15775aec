"""A system that shares nothing with language models: `system: blobs`.

Images of bright blobs are classified by prototypes that move towards what they see (Hebbian, no
backpropagation). It proves the seam of systems: an image-like data set, a metric to maximize, a
learner of its own with extra state in its checkpoint, a reference value, a figure.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from safetensors.numpy import load_file, save_file

from resweep.config.early_stopping_section import EarlyStopping
from resweep.config.metric import Logged, Metric
from resweep.config.run_section import RunSection
from resweep.config.section import Positive, Section
from resweep.config.training_section import Training
from resweep.data.store import Prepared
from resweep.systems.system import System
from resweep.systems.values import Cost, Figure, Reference, TrainedRun, Weights


class Arch(Section):
    """The classifier."""

    inertia: float = Field(0.0, description="share of the last move that is kept")


class Data(Section):
    """The images."""

    classes: Positive = Field(4, description="kinds of images")
    side: Positive = Field(6, description="pixels along an edge")


@dataclass(frozen=True)
class Snapshot:
    step: int
    tensors: dict[str, np.ndarray]

    def write(self, folder: Path) -> None:
        save_file({"prototypes": self.tensors["prototypes"]}, folder / "model.safetensors")
        save_file({"moves": self.tensors["moves"]}, folder / "moves.safetensors")
        (folder / "trainer.json").write_text(json.dumps({"step": self.step}))


class HebbianLearner:
    """Moves the prototype of each image's class towards the image."""

    step_flops = None

    def __init__(self, config: Mapping[str, Any], data: Prepared):
        self.training, self.inertia = config["training"], config["arch"]["inertia"]
        with np.load(data.folder / "images.npz") as arrays:
            self.arrays = dict(arrays)
        shape = (config["data"]["classes"], self.arrays["train_x"].shape[1])
        random = np.random.default_rng(self.training["seed"])
        self.prototypes = random.normal(0.0, 1.0, shape).astype(np.float32)
        self.moves = np.zeros(shape, np.float32)
        self.step = 0
        self.size, self.step_units = self.prototypes.size, self.training["batch_size"]

    def begin(self) -> None:
        pass

    def load(self, folder: Path) -> None:
        self.prototypes = load_file(folder / "model.safetensors")["prototypes"]
        self.moves = load_file(folder / "moves.safetensors")["moves"]
        self.step = json.loads((folder / "trainer.json").read_text())["step"]

    def snapshot(self) -> Snapshot:
        tensors = {"prototypes": self.prototypes.copy(), "moves": self.moves.copy()}
        return Snapshot(self.step, tensors)

    def train_step(self, keep_gradients: bool = False) -> None:
        random = np.random.default_rng([self.training["seed"], self.step])
        chosen = random.integers(0, len(self.arrays["train_x"]), self.training["batch_size"])
        self.moves *= self.inertia
        for x, y in zip(
            self.arrays["train_x"][chosen], self.arrays["train_y"][chosen], strict=True
        ):
            self.moves[y] += self.training["learning_rate"] * (x - self.prototypes[y])
        self.prototypes += self.moves
        self.step += 1

    def interval_metrics(self) -> dict[str, float]:
        return {"move": float(np.abs(self.moves).mean())}

    def evaluate(self) -> dict[str, float]:
        return {"val/accuracy": self._accuracy("val")}

    def conclude(self) -> dict[str, float]:
        return {"test/accuracy": self._accuracy("test")}

    def _accuracy(self, split: str) -> float:
        x, y = self.arrays[f"{split}_x"], self.arrays[f"{split}_y"]
        distances = np.square(x[:, None] - self.prototypes).sum(2)
        return float((distances.argmin(1) == y).mean())


class Blobs(System):
    name = "blobs"
    unit = "image"
    sections = {  # noqa: RUF012
        "arch": Arch,
        "data": Data,
        "training": Training,
        "early_stopping": EarlyStopping,
        "run": RunSection,
    }
    metrics = (
        Metric(name="move", logged=Logged.LINE),
        Metric(name="val/accuracy", logged=Logged.EVALUATION, goal="maximize", column="accuracy"),
        Metric(name="test/accuracy", logged=Logged.END, goal="maximize"),
    )
    metric = "val/accuracy"
    model_files = ("model.safetensors",)

    def source_files(self, settings: Mapping[str, Any]) -> list[Path]:
        return []

    def prepare_data(self, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        classes, side = settings["classes"], settings["side"]
        random = np.random.default_rng(7)
        centres = random.normal(0.0, 1.0, (classes, side * side))
        arrays = {}
        for split, count in (("train", 400), ("val", 100), ("test", 100)):
            labels = random.integers(0, classes, count)
            images = centres[labels] + random.normal(0.0, 2.0, (count, side * side))
            arrays |= {f"{split}_x": images.astype(np.float32), f"{split}_y": labels}
        np.savez(folder / "images.npz", **arrays)
        digest = hashlib.sha256(b"".join(array.tobytes() for array in arrays.values()))
        return {"digest": digest.hexdigest(), "images": 600, "classes": classes}

    def describe_data(self, data: Prepared) -> str:
        return f"{data.folder}: {data.about['images']} images"

    def resolve(self, config: dict[str, Any], data: Prepared, weights: Weights | None) -> None:
        pass

    def recipe(self, config: Mapping[str, Any]) -> str:
        return "blobs/1"

    def cost(self, config: Mapping[str, Any], data: Prepared | None) -> Cost:
        size = config["data"]["classes"] * config["data"]["side"] ** 2
        rows = config["training"]["batch_size"]
        return Cost(
            step_flops=float(size * rows),
            step_units=rows,
            process_bytes=8 * size,
            snapshot_bytes=8 * size,
        )

    def learner(self, config: Mapping[str, Any], data: Prepared, *_: Any) -> HebbianLearner:
        return HebbianLearner(config, data)

    def describe(self, run: TrainedRun) -> dict[str, str]:
        return {"model": "prototypes", "images": f"{run.config['data']['classes']} classes"}

    def references(self, described: Mapping[str, Any]) -> list[Reference]:
        chance = 1 / described["classes"]
        meaning = "accuracy of random guessing; trained models should be above"
        return [Reference(metric=self.metric, name="chance level", value=chance, meaning=meaning)]

    def figures(self, runs: Iterable[TrainedRun]) -> list[Figure]:
        name = "test/accuracy"
        points = [(run.trial, run.metrics[name]) for run in runs if name in run.metrics]
        caption = "Images that no prototype has seen."
        return [
            Figure(
                title="Test accuracy",
                caption=caption,
                kind="bars",
                x="trial",
                y="accuracy",
                series={"test": points},
            )
        ]


SYSTEM = Blobs()
