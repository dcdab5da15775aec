"""What a system is to the rest of the library: everything that is not about training in general.

    plan      schema, metrics, source_files, prepare_data, resolve, recipe, cost     without torch
    train     learner                                                                with torch
    read      describe, references, figures, load_line, columns                      without torch

A system is a folder of this package with a module `system` that holds `SYSTEM`, an instance of a
subclass. Planning imports it, also in each job of a cluster: modules that import torch are imported
where they are used. Data flows through a system like this:

    settings of the data section  ->  prepare_data    ->  results/data/{id}/, data.json
    a trial's configuration       ->  resolve         ->  the run's configuration, its identity
    the run's configuration       ->  learner         ->  metrics.jsonl, checkpoints
    records and curves            ->  describe, references, figures  ->  report and summary
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from resweep.config.metric import Logged, Metric
from resweep.config.schema import Schema
from resweep.config.section import Section
from resweep.data.store import Prepared

if TYPE_CHECKING:
    import torch

    from resweep.training.learner import Learner
    from resweep.training.micro_batch_limit import MicroBatchLimit
    from resweep.training.processes import Processes

DEFAULT = "language"  # of configurations that name no system
CHECKPOINT = "run.checkpoint"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one training of a configuration takes, as far as it can be said without building it.

    Attributes:
        parameters: Of the model; exact or estimated.
        step_flops: Floating-point operations of an optimizer step, all processes together.
        step_units: What a step trains on, in the system's unit.
        process_bytes: Main memory of each process beside Python and torch: weights, gradients,
            moments, activations of one micro-batch.
        snapshot_bytes: What rank 0 copies in addition when it saves.
    """

    parameters: int
    step_flops: float
    step_units: int
    process_bytes: float
    snapshot_bytes: float


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A value that results are worth comparing with: a simple baseline, or chance.

    Attributes:
        metric: Name of the metric that it is a value of.
        name: What has this value: `bigram baseline`.
        value: The value.
        meaning: Which side of it is good, and why, in one sentence.
    """

    metric: str
    name: str
    value: float
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights that a run starts from.

    Attributes:
        folder: Where they are, or were.
        digest: SHA-256 of the weights.
        config: What lies beside them in config.json; empty where nothing does.
    """

    folder: Path
    digest: str
    config: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """A trial that was trained, as reports see it.

    Attributes:
        trial: Its name.
        asked: The trial's configuration.
        config: The run's: resolved.
        folder: The run's folder.
        step: Where the trial ended.
        metrics: Final values by name.
    """

    trial: str
    asked: Mapping[str, Any]
    config: Mapping[str, Any]
    folder: Path
    step: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A picture for the report, as data: the report draws it.

    Attributes:
        title: Of its card.
        caption: One or two sentences: what is shown, and what to look for.
        kind: How points are drawn: joined by lines, or as bars.
        x, y: Titles of the axes.
        series: Name -> points (x, y); x is a number, or text for bars.
    """

    title: str
    caption: str
    kind: Literal["lines", "bars"]
    x: str
    y: str
    series: Mapping[str, Sequence[tuple[float | str, float]]]


class System(ABC):
    """A model, its data, its metrics and its way to learn.

    Attributes:
        name: Of its folder; what `system:` names in a study.
        unit: What trainings are counted in: token, image, puzzle.
        sections: Its own sections and the shared ones (training, early_stopping, run) by name, in
            the order of files and tables; a shared one may be a subclass.
        open: Paths of mappings whose keys are not ours, like `model.config`.
        metrics: What trainings log.
        metric: Name of the one that trials are compared by unless a study says otherwise.
        training_loss: Name of the loss that each line of metrics has and that training minimizes,
            or None: what the monitors of the training loss watch, and early slopes are of.
        data_format: Raised when equal settings and sources would give other data.
        model_files: Files of a checkpoint that are a model without its training.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    sections: ClassVar[Mapping[str, type[Section]]]
    open: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[tuple[Metric, ...]]
    metric: ClassVar[str]
    training_loss: ClassVar[str | None] = None
    data_format: ClassVar[int] = 1
    model_files: ClassVar[tuple[str, ...]] = ("model.safetensors", "config.json")

    @cached_property
    def schema(self) -> Schema:
        """The sections of its configurations, checked on their own and together."""
        return Schema(
            system=self.name,
            implied=self.name == DEFAULT,
            sections=self.sections,
            open=self.open,
            check=self._check,
        )

    def find_metric(self, name: str) -> Metric | None:
        """Return the metric of a name; None if trainings log no such metric."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    def metrics_logged(self, when: Logged) -> list[str]:
        """Return the names of metrics that have values then."""
        return [metric.name for metric in self.metrics if metric.logged is when]

    def _check(self, config: Any) -> None:
        stopping = config.early_stopping
        name = stopping.plateau_metric
        known = self.metrics_logged(Logged.EVALUATION)
        if name is not None and name not in known:
            raise ValueError(f"plateau_metric = {name!r} should be one of {', '.join(known)}")
        for switch in ("loss_patience", "divergence_factor"):
            if self.training_loss is None and getattr(stopping, switch) is not None:
                raise ValueError(f"{switch} needs a training loss, and {self.name} logs none")
        self.check(config)

    def check(self, config: Any) -> None:  # noqa: B027 (nothing, unless a system has something)
        """Refuse values of different sections that do not fit together.

        Args:
            config: Typed sections by attribute: `config.model.n_layer`.

        Raises:
            ValueError: Names the fields, and says what to do.
        """

    def unused(self, config: Mapping[str, Any]) -> Collection[str]:
        """Return the paths of fields that a configuration's kind of model does not have."""
        return ()

    # Data

    @abstractmethod
    def source_files(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return the local files that data is prepared from, sorted.

        Args:
            settings: The data section, complete.

        Raises:
            DataError: One is missing.
        """

    @abstractmethod
    def prepare_data(self, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Write prepared data into a folder, equal bytes for equal settings and sources.

        Args:
            settings: The data section, complete.
            folder: An empty folder.

        Returns:
            What data.json says of it; `digest` is SHA-256 of everything that trainings read.

        Raises:
            DataError: The sources are missing, empty or unfit.
        """

    @abstractmethod
    def describe_data(self, data: Prepared) -> str:
        """Return one line about prepared data, for people."""

    # Identity

    @abstractmethod
    def resolve(self, config: dict[str, Any], data: Prepared, weights: Weights | None) -> None:
        """Fill in, in place, what only data and weights determine: vocabulary, steps of epochs.

        Afterwards `training.max_steps` is a number.

        Args:
            config: A trial's, complete, of its own for this call.
            data: Its data.
            weights: What it starts from.

        Raises:
            ConfigError: Fields that do not fit the data or the weights.
            DataError: There is too little data.
        """

    @abstractmethod
    def recipe(self, config: Mapping[str, Any]) -> str:
        """Return the version of what computes a run's numbers: `gpt/1`.

        Raised by hand when equal configurations give other numbers than before.
        """

    def more_identity(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what else determines a run's numbers, beside its configuration and recipe."""
        return {}

    @abstractmethod
    def cost(self, config: Mapping[str, Any], data: Prepared | None) -> Cost:
        """Estimate what a training takes.

        Args:
            config: Complete, maybe not resolved.
            data: None while it is not prepared.
        """

    def count_parameters(self, config: Mapping[str, Any]) -> int | None:
        """Return the exact size of a resolved configuration's model; None if it must be built."""
        return None

    def steps_of(self, config: Mapping[str, Any], data: Prepared | None) -> int:
        """Return the horizon in optimizer steps; 0 where it follows from data not prepared yet."""
        return int(config["training"]["max_steps"] or 0)

    # Weights to start from

    def weights_named(self, config: Mapping[str, Any]) -> tuple[str, str | None]:
        """Return the key that names weights to start from, and the name; None for none."""
        name = config["run"]["checkpoint"]
        return CHECKPOINT, None if name is None else str(name)

    def locate_weights(self, key: str, name: str) -> Path | None:
        """Return the folder that a name means, there or not; None for what was not downloaded.

        Args:
            key: Where the name was given.
            name: Not the id of a run: those are found by the store.
        """
        return Path(name).expanduser().absolute()

    def fetch_weights(self, config: Mapping[str, Any]) -> None:  # noqa: B027 (as above)
        """Download weights that are not here; raises StoreError where that fails."""

    def weight_files(self, folder: Path) -> list[Path]:
        """Return the files that hold a folder's weights, in a fixed order; none if it has none."""
        file = folder / "model.safetensors"
        return [file] if file.is_file() else []

    def rereads_weights(self, config: Mapping[str, Any]) -> bool:
        """Whether a training that continues still needs the weights that it once started from."""
        return False

    def compare_weights(self, config: Mapping[str, Any], data: Prepared) -> str | None:
        """Return a warning where weights to start from do not know this data; None if they do."""
        return None

    # Training

    def check_buildable(self, config: Mapping[str, Any]) -> None:  # noqa: B027 (as above)
        """Refuse, before a device is used for it, what cannot be built; raises ConfigError."""

    @abstractmethod
    def learner(
        self,
        config: Mapping[str, Any],
        data: Prepared,
        device: "torch.device",
        processes: "Processes",
        most_rows: int | None,
        limit: "MicroBatchLimit | None",
    ) -> "Learner":
        """Return a new learner at step 0; weights are drawn, `begin` was not called.

        Args:
            config: Resolved.
            data: Its data.
            device: Where to compute.
            processes: Those that train together; all of them build one.
            most_rows: Examples per forward and process that are known to fit; None: unknown.
            limit: Where one of several processes notes that they do not.
        """

    # Reports

    @abstractmethod
    def describe(self, run: TrainedRun) -> dict[str, str]:
        """Return what was trained, title -> text: {"model": "gpt", "initial weights": ...}.

        The first entry is the model; reports add its size.
        """

    def references(self, described: Mapping[str, Any]) -> list[Reference]:
        """Return values that results on a data set are worth comparing with.

        Args:
            described: Its data.json.
        """
        return []

    def figures(self, runs: Iterable[TrainedRun]) -> list[Figure]:
        """Return figures of a phase's trained trials, best first, beside those all systems have."""
        return []

    def load_line(self, folder: Path) -> str | None:
        """Return a line of Python that loads a checkpoint's model; None if there is none."""
        return None
