"""Predictive coding of images: `system: predictive_coding`.

A decoder predicts an image from latents, level by level. Each level is a free state that inference
moves between what the level above predicts and what explains the level below; weights learn from
these local errors. How well is an image reconstructed from its latents, and can its class be read
from them?
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resweep.canonical import canonical_json
from resweep.config.early_stopping_section import EarlyStopping
from resweep.config.metric import Logged, Metric
from resweep.config.run_section import RunSection
from resweep.config.section import Misfit
from resweep.data.store import Prepared
from resweep.errors import ConfigError, Problem
from resweep.systems.predictive_coding.checkpoint_files import RECONSTRUCTIONS
from resweep.systems.predictive_coding.cost import count_parameters, estimate_cost
from resweep.systems.predictive_coding.image_data import SHAPE, ImageData, prepare_images
from resweep.systems.predictive_coding.images import source_files
from resweep.systems.predictive_coding.pictures import reconstructions
from resweep.systems.predictive_coding.sections import (
    DIGITS_SIDE,
    Data,
    Inference,
    Model,
    PredictiveCodingTraining,
)
from resweep.systems.system import System
from resweep.systems.values import Cost, Pictures, Reference, TrainedRun, Weights

if TYPE_CHECKING:
    from resweep.training.learner import Learner
    from resweep.training.place import Place

# Increased by hand when equal configurations give different numbers; until then, the reference loss
# curve in tests/integration/systems/predictive_coding/test_reference_curve.py fails.
RECIPE = "predictive_coding/1"
OF_PROBE = ("val_probe_accuracy", "best_probe_accuracy", "test_probe_accuracy")
OF_TEST = ("test_mse", "test_probe_accuracy")
OF_TRAIN = ("best_train_mse", "final_train_mse")
OF_LOSS = ("loss-flat", "loss-rising", "divergence")  # monitors of train_energy
SHAPE_OF_IMAGE = ("height", "width", "channels")
# Fields of the model that determine the shapes of its weights.
SHAPE_OF_MODEL = ("num_blocks", "hidden_size", "mlp_ratio", "channels")
# Settings of training that need backpropagation, or several processes: value that leaves them off.
REFUSED: Mapping[str, tuple[Any, str]] = {
    "distributed": ("none", "it trains in one process"),
    "compile": (False, "inference and learning run without torch.compile"),
    "gradient_checkpointing": (False, "no gradient passes through more than one block"),
    "save_gradients": (False, "its weights learn from states that differ for each batch"),
}


class PredictiveCodingSystem(System):
    """A decoder of images that learns by local energies."""

    name = "predictive_coding"
    unit = "image"
    sections = {  # noqa: RUF012
        "data": Data,
        "model": Model,
        "inference": Inference,
        "training": PredictiveCodingTraining,
        "early_stopping": EarlyStopping,
        "run": RunSection,
    }
    aliases = {  # noqa: RUF012
        "epochs": "training.num_epochs",
        "T": "inference.steps",
        "inference_steps": "inference.steps",
        "inference_lr": "inference.rate",
        "inference_momentum": "inference.momentum",
    }
    synonyms = {  # noqa: RUF012
        "model.num_blocks": ("n_blocks", "n_layer", "num_layers", "depth"),
        "model.hidden_size": ("hidden_dim", "d_model", "n_embd", "width"),
        "model.num_heads": ("n_head", "n_heads", "heads"),
        "model.intermediate_l1_coeff": ("l1", "l1_coeff"),
        "model.intermediate_l2_coeff": ("l2", "l2_coeff"),
    }
    metrics = (
        Metric(name="train_energy", logged=Logged.LINE),
        Metric(name="val_mse", logged=Logged.EVALUATION),
        Metric(name="val_probe_accuracy", logged=Logged.EVALUATION, goal="maximize"),
        Metric(name="best_val_mse", logged=Logged.EVALUATION),
        Metric(name="best_train_mse", logged=Logged.EVALUATION),
        Metric(name="best_probe_accuracy", logged=Logged.EVALUATION, goal="maximize"),
        Metric(name="final_train_mse", logged=Logged.EVALUATION),
        Metric(name="test_mse", logged=Logged.END),
        Metric(name="test_probe_accuracy", logged=Logged.END, goal="maximize"),
        Metric(name="lr", logged=Logged.LINE),
        Metric(name="grad_norm", logged=Logged.LINE),
    )
    metric = "best_val_mse"
    training_loss = "train_energy"
    stop_column = "early_stop_reason"
    data_shape = SHAPE
    libraries = ("scipy",)
    weight_shape = (*(f"model.{name}" for name in SHAPE_OF_MODEL), "data.patch_size")
    more_model_files = (RECONSTRUCTIONS,)

    def logs(self, name: str, config: Mapping[str, Any]) -> bool:
        """Whether a configuration has classes for a probe, and test images."""
        if name in OF_PROBE and not config["data"]["labels"]:
            return False
        if name in OF_TEST and not config["data"]["test_fraction"]:
            return False
        return super().logs(name, config)

    def stop_text(self, status: str, rule: str | None, config: Mapping[str, Any]) -> str:
        """Return none, nan, train metric, validation metric; a trial without result has its status.

        A trial that a rung stopped has `rung`.
        """
        if rule == "plateau":
            watched = config["early_stopping"]["plateau_metric"] or self.metric
            return "train metric" if watched in OF_TRAIN else "validation metric"
        if rule in OF_LOSS:
            return "train metric"
        return {"finished": "none", "diverged": "nan", "stopped": "rung"}.get(status, status)

    def check(self, config: Any) -> None:
        """Refuse settings that need backpropagation or several processes."""
        training: PredictiveCodingTraining = config.training
        for name, (off, why) in REFUSED.items():
            value = getattr(training, name)
            if value != off:
                shown = str(value).lower() if isinstance(value, bool) else value
                hint = f"{name} = {shown} is not for {self.name}: {why}; remove it"
                raise Misfit(hint, name)
        if training.precision == "bf16":
            raise Misfit(
                f"precision = bf16 is not for {self.name}: small steps of the states would round "
                "away; use fp32 or tf32",
                "precision",
            )

    # Data

    def source_files(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return the files that images are read from."""
        return source_files(settings)

    def source_folders(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return the folder of the NPZ file, or that of the images."""
        if settings["path"] is None:
            return []
        path = Path(settings["path"]).expanduser()
        return [path if settings["source"] == "folder" else path.parent]

    def prepare_data(self, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Read and split images."""
        return prepare_images(settings, folder)

    def describe_data(self, data: Prepared) -> str:
        """Return the number and size of the images."""
        about = data.about
        counts = ", ".join(f"{count:,} {name}" for name, count in about["images"].items())
        size = f"{about['height']} x {about['width']} x {about['channels']}"
        classes = len(about["classes"])
        return f"{data.folder}: {counts} images of {size}, {classes or 'no'} classes"

    # Identity

    def resolve(self, config: dict[str, Any], data: Prepared, weights: Weights | None) -> None:
        """Fill in the shape of the images, and the steps of epochs."""
        model, training = config["model"], config["training"]
        for name in SHAPE_OF_IMAGE:
            found = data.about[name]
            if model[name] not in (None, found):
                hint = f"should be {found}, as in the data; remove it"
                raise ConfigError(Problem("trial", f"model.{name}", model[name], hint))
            model[name] = found
        if weights is not None:
            self._compare_shapes(config, weights)
        if training["max_steps"] is None:
            training["max_steps"] = self.steps_of(config, data)
            training["num_epochs"] = None

    def _compare_shapes(self, config: Mapping[str, Any], weights: Weights) -> None:
        theirs = weights.config.get("model")
        if not isinstance(theirs, dict):
            hint = f"holds no weights of {self.name}: its config.json has no model"
            raise ConfigError(Problem("trial", "run.checkpoint", str(weights.folder), hint))
        for name in SHAPE_OF_MODEL:
            if config["model"][name] != theirs.get(name):
                hint = f"should be {theirs.get(name)}, as in the initial weights"
                raise ConfigError(Problem("trial", f"model.{name}", config["model"][name], hint))
        patch = config["data"]["patch_size"]
        if patch != weights.config.get("patch_size"):
            hint = f"should be {weights.config.get('patch_size')}, as in the initial weights"
            raise ConfigError(Problem("trial", "data.patch_size", patch, hint))

    def steps_of(self, config: Mapping[str, Any], data: Prepared | None) -> int:
        """Return the horizon; an epoch has every training image once."""
        training = config["training"]
        if training["max_steps"] is not None or data is None:
            return super().steps_of(config, data)
        batch = training["batch_size"] * training["gradient_accumulation_steps"]
        images = ImageData(data).counts["train"]
        return int(-(-images * training["num_epochs"] // batch))

    def recipe(self, config: Mapping[str, Any]) -> str:
        """Return the version of model, inference and learning."""
        return RECIPE

    def cost(self, config: Mapping[str, Any], data: Prepared | None) -> Cost:
        """Estimate it from the settings; without bounds while the size of images is unknown."""
        model, known = self._with_shape(config, data)
        cost = estimate_cost(
            model,
            Inference.model_validate(config["inference"]),
            PredictiveCodingTraining.model_validate(config["training"]),
            config["data"]["patch_size"],
        )
        return cost if known else replace(cost, bounds=None)

    def _with_shape(self, config: Mapping[str, Any], data: Prepared | None) -> tuple[Model, bool]:
        """Return the section with the shape of images, and whether that is known or a guess."""
        side = max(DIGITS_SIDE, config["data"]["patch_size"])
        guess = {"height": side, "width": side, "channels": 1}
        shape = guess if data is None else data.about
        known = data is not None or config["data"]["source"] == "digits"
        filled = {name: config["model"][name] or shape[name] for name in SHAPE_OF_IMAGE}
        return Model.model_validate({**config["model"], **filled}), known

    def count_parameters(self, config: Mapping[str, Any]) -> int:
        """Return the size of a resolved configuration's decoder."""
        model = Model.model_validate(config["model"])
        return count_parameters(model, config["data"]["patch_size"])

    # Training

    def load(self, config: Mapping[str, Any]) -> None:
        """Import the learner."""
        import resweep.systems.predictive_coding.learner  # noqa: F401

    def learner(self, config: Mapping[str, Any], data: Prepared, place: "Place") -> "Learner":
        """Return a learner of a decoder; it trains in one process."""
        from resweep.systems.predictive_coding.learner import PredictiveCodingLearner

        typed = self.schema.validate(config)
        checkpoint = typed.run.checkpoint
        return PredictiveCodingLearner(
            model=typed.model,
            inference=typed.inference,
            training=typed.training,
            patch_size=typed.data.patch_size,
            data=ImageData(data),
            place=place,
            parent=None if checkpoint is None else Path(checkpoint),
        )

    # Reports

    def describe(self, run: TrainedRun) -> dict[str, str]:
        """Describe the decoder and its images."""
        model, data = run.config["model"], run.config["data"]
        shape = f"{model['height']} x {model['width']} x {model['channels']}"
        inference = run.config["inference"]
        return {
            "model": "decoder",
            "images": f"{data['source']}, {shape} in patches of {data['patch_size']}",
            "inference": f"{inference['steps']} steps a batch",
            "initial weights": run.asked["run"]["checkpoint"] or "random",
        }

    def references(self, described: Mapping[str, Any]) -> list[Reference]:
        """Return what somebody has who knows the images only on average."""
        mean = "error of the mean training image, for every image; trained models should be below"
        found = [
            Reference(
                metric=name,
                name="mean image",
                value=described["mean_image_mse"],
                meaning=mean,
            )
            for name in ("best_val_mse", "val_mse")
        ]
        if described["classes"]:
            meaning = "accuracy of always guessing the largest class; a probe should be above"
            found += [
                Reference(
                    metric=name,
                    name="largest class",
                    value=described["largest_class"],
                    meaning=meaning,
                )
                for name in ("best_probe_accuracy", "val_probe_accuracy")
            ]
        return found

    def figures(self, runs: Iterable[TrainedRun]) -> Sequence[Pictures]:
        """Return images beside what the best trial makes of them."""
        return reconstructions(runs)

    def load_line(self, folder: Path) -> str:
        """Return a line that loads it."""
        return (
            "from resweep.systems.predictive_coding.checkpoint import load_decoder; "
            f"decoder = load_decoder({canonical_json(str(folder))})"
        )


SYSTEM = PredictiveCodingSystem()
