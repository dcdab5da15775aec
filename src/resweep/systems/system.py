"""The interface of a system: everything that is specific to one kind of training.

    plan      schema, metrics, source_files, prepare_data, resolve, recipe, cost     without torch
    train     learner                                                                with torch
    read      describe, references, figures, load_line, columns                      without torch

A system is a folder of this package with a module `system` that defines `SYSTEM`, an instance of a
subclass. Planning imports it in every cluster job, so modules that use torch are only imported
where needed. Data flows through a system like this:

    settings of the data section  ->  prepare_data    ->  results/data/{id}/, data.json
    a trial's configuration       ->  resolve         ->  the run's configuration, its identity
    the run's configuration       ->  learner         ->  metrics.jsonl, checkpoints
    records and curves            ->  describe, references, figures  ->  report and summary
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import TypeAdapter

from resweep.canonical import canonical_json
from resweep.config.metric import Logged, Metric
from resweep.config.nesting import assign_paths, find, leaves
from resweep.config.schema import Schema
from resweep.config.section import Misfit, Section
from resweep.config.training_section import Training
from resweep.config.training_synonyms import TRAINING_SYNONYMS
from resweep.data.store import Prepared
from resweep.errors import DataError, Problem, shortened
from resweep.json_files import MAPPING
from resweep.systems.values import Cost, Figure, Pictures, Reference, TrainedRun, Weights

if TYPE_CHECKING:
    from resweep.training.learner import Learner
    from resweep.training.place import Place

DEFAULT = "language"  # of configurations that do not name a system
CHECKPOINT = "run.checkpoint"
SHARED = frozenset({"data", "training", "early_stopping", "run"})  # sections beside the model's


def weight_misfit(path: str, value: Any, before: Any) -> Problem:
    """Return the problem of a field that weights of an earlier phase do not fit."""
    hint = f"should be {canonical_json(before)}, as in the runs whose weights it takes; remove it"
    return Problem("trial", path, value, hint)


class System(ABC):
    """A model, its data, its metrics and its way to learn.

    Attributes:
        name: Of its folder, for `system:` in a study.
        unit: What training progress is counted in: token, image, puzzle.
        sections: Its own sections and the shared ones (training, early_stopping, run) by name, in
            the order of files and tables; a shared one may be a subclass.
        open: Paths of mappings with arbitrary keys, like `model.config`.
        replaced: Paths of fields, or lists, that `derive` and `more_identity` replace by what they
            come to: runs that differ there may be one run.
        weight_shape: Paths of fields whose value weights have to be trained with: `run_misfits`.
        aliases: Other short names of fields, under which a study or sweep may give them: name ->
            path.
        synonyms: What other trainers call the fields of its own sections: path -> names. A sweep of
            one of them is an error, unless it is a field here or the user's own.
        metrics: What trainings log, some of it with some settings only (`logs`); `find_metric` may
            know more.
        metric: Name of the metric that compares trials by default.
        training_loss: Name of the loss that training minimizes and that is in each line of metrics,
            or None. Its monitors watch it, and early slopes are computed from it.
        stop_column: Name of the column of runs.csv, and of W&B's summary, that says in the words of
            `stop_text` why a training ended; None: no such column.
        data_format: Increased when equal settings and sources give different data.
        data_shape: Type of what `prepare_data` returns; other keys are allowed.
        libraries: Libraries besides torch and numpy whose versions can change numbers.
        model_files: Files of a checkpoint that make up the model without its training state.
        more_model_files: Patterns of its further files that a user of the model needs.
        card: Metadata of its model cards, by the names of Hugging Face's hub.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    sections: ClassVar[Mapping[str, type[Section]]]
    open: ClassVar[tuple[str, ...]] = ()
    replaced: ClassVar[tuple[str, ...]] = ()
    weight_shape: ClassVar[tuple[str, ...]] = ()
    aliases: ClassVar[Mapping[str, str]] = {}
    synonyms: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    metrics: ClassVar[tuple[Metric, ...]]
    metric: ClassVar[str]
    training_loss: ClassVar[str | None] = None
    stop_column: ClassVar[str | None] = None
    data_format: ClassVar[int] = 1
    data_shape: ClassVar[TypeAdapter[Any]] = MAPPING
    libraries: ClassVar[tuple[str, ...]] = ()
    model_files: ClassVar[tuple[str, ...]] = ("model.safetensors", "config.json")
    more_model_files: ClassVar[tuple[str, ...]] = ()
    card: ClassVar[Mapping[str, str]] = {}

    @cached_property
    def schema(self) -> Schema:
        """The sections of its configurations, with all checks."""
        return Schema(
            system=self.name,
            implied=self.name == DEFAULT,
            sections=self.sections,
            open=self.open,
            synonyms={**TRAINING_SYNONYMS, **self.synonyms},
            aliases=self.aliases,
            check=self._check,
        )

    def find_metric(self, name: str) -> Metric | None:
        """Return a metric by name; None if no training logs it.

        A system whose metrics depend on the configuration, as one for each token of a path, finds
        more here than `metrics` lists.
        """
        return next((metric for metric in self.metrics if metric.name == name), None)

    def logs(self, name: str, config: Mapping[str, Any]) -> bool:
        """Whether trainings of a complete configuration log a metric."""
        return self.find_metric(name) is not None

    def stop_text(self, status: str, rule: str | None, config: Mapping[str, Any]) -> str:
        """Return why a training ended, for `stop_column`.

        Args:
            status: Of its record: finished, stopped, diverged ...
            rule: The monitor that stopped it: loss-flat, loss-rising, plateau, divergence; or None.
            config: Of the trial, complete.
        """
        return rule or status

    def metrics_logged(self, when: Logged) -> list[str]:
        """Return the names of the metrics that are logged then."""
        return [metric.name for metric in self.metrics if metric.logged is when]

    def _check(self, config: Any) -> None:
        stopping = config.early_stopping
        name = stopping.plateau_metric
        metric = None if name is None else self.find_metric(name)
        if name is not None and (metric is None or metric.logged is not Logged.EVALUATION):
            known = self.metrics_logged(Logged.EVALUATION)
            hint = f"plateau_metric = {shortened(repr(name))} should be one of {', '.join(known)}"
            raise Misfit(hint, "plateau_metric")
        if name is not None and not self.logs(name, config.model_dump()):
            hint = f"plateau_metric = {shortened(repr(name))} is not logged with the other settings"
            raise Misfit(hint, "plateau_metric")
        for switch in ("loss_patience", "divergence_factor"):
            if self.training_loss is None and getattr(stopping, switch) is not None:
                raise Misfit(f"{switch} needs a training loss, but {self.name} logs none", switch)
        self.check(config)

    def check(self, config: Any) -> None:  # noqa: B027 (nothing, unless a system has something)
        """Check that values of different sections fit together.

        Args:
            config: Typed sections as attributes: `config.model.n_layer`.

        Raises:
            Misfit: Names the fields and the fix.
        """

    def unused(self, config: Mapping[str, Any]) -> Collection[str]:
        """Return the paths of fields that a configuration's kind of model does not have."""
        return ()

    # Data

    @abstractmethod
    def source_files(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return the local files that the data is made from, sorted.

        Args:
            settings: The data section, complete.

        Raises:
            DataError: One is missing.
        """

    def source_folders(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return where the source files are looked for, whether it exists or not.

        If none of it exists (a disk that is not mounted), what was prepared stays as it is; if any
        does, files that are missing there count as removed. By default, it is the folders of the
        files if these are complete.
        """
        try:
            return [file.parent for file in self.source_files(settings)]
        except DataError:
            return []

    @abstractmethod
    def prepare_data(self, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Write prepared data into a folder; equal settings and sources give equal bytes.

        Args:
            settings: The data section, complete.
            folder: An empty folder.

        Returns:
            Content of data.json; `digest` is SHA-256 of everything that trainings read.

        Raises:
            DataError: The sources are missing, empty or invalid.
        """

    def recompute_digest(self, folder: Path, described: Mapping[str, Any]) -> str | None:
        """Return the digest of prepared data from its files; None if that is not possible.

        For data of older versions, which noted no digests of files.

        Args:
            folder: Where the files are.
            described: What `prepare_data` returned.

        Raises:
            DamagedFile, OSError: A file cannot be what was written.
        """
        return None

    @abstractmethod
    def describe_data(self, data: Prepared) -> str:
        """Return a one-line description of prepared data."""

    def validation_texts(self, data: Prepared) -> list[str]:
        """Return the documents of the validation split, for analyses; none if data is not text.

        Raises:
            DamagedFile, DataError: A file is not what was written.
        """
        return []

    # Identity

    def derive(self, config: dict[str, Any]) -> None:  # noqa: B027 (as above)
        """Fill in, in place, what other settings determine, without the data.

        Args:
            config: Complete; its empty fields are what this fills in.
        """

    @abstractmethod
    def resolve(self, config: dict[str, Any], data: Prepared, weights: Weights | None) -> None:
        """Fill in, in place, what data and weights determine: vocabulary size, steps of epochs.

        `derive` was called before.

        Afterwards `training.max_steps` is a number.

        Args:
            config: The complete configuration of a trial; changed in place.
            data: Its data.
            weights: Its initial weights, or None.

        Raises:
            ConfigError: Fields do not fit the data or the weights.
            DataError: There is too little data.
        """

    @abstractmethod
    def recipe(self, config: Mapping[str, Any]) -> str:
        """Return the version of the code that determines a run's numbers: `gpt/1`.

        Increased by hand when equal configurations give different numbers than before.
        """

    def more_identity(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what else determines a run's numbers, besides its configuration and recipe."""
        return {}

    @abstractmethod
    def cost(self, config: Mapping[str, Any], data: Prepared | None) -> Cost:
        """Estimate the cost of a training.

        Args:
            config: Complete, maybe not resolved.
            data: None if not prepared yet.
        """

    def count_parameters(self, config: Mapping[str, Any]) -> int | None:
        """Return the exact size of a resolved configuration's model; None if it must be built."""
        return None

    def training_of(self, config: Mapping[str, Any]) -> Training:
        """Return the `training` section of a configuration; raises ValueError."""
        training = self.schema.sections["training"].model_validate(config["training"])
        assert isinstance(training, Training), "systems share the section, or subclass it"
        return training

    def steps_of(self, config: Mapping[str, Any], data: Prepared | None) -> int:
        """Return the horizon in optimizer steps; 0 if it depends on data not prepared yet."""
        return int(config["training"]["max_steps"] or 0)

    # Initial weights

    def weights_named(self, config: Mapping[str, Any]) -> tuple[str, str | None]:
        """Return the key that names initial weights, and the name; None without any."""
        name = config["run"]["checkpoint"]
        return CHECKPOINT, None if name is None else str(name)

    def locate_weights(self, key: str, name: str) -> Path | None:
        """Return the folder that a name refers to, existing or not; None if not downloaded yet.

        Args:
            key: Where the name was given.
            name: Not a run id: the store resolves those.
        """
        return Path(name).expanduser().absolute()

    def weights_wanted(self, key: str) -> str:
        """Return what a name under a key may be, for messages."""
        return "the folder of a model, RUN_ID or RUN_ID/STEP"

    def fetch_weights(self, config: Mapping[str, Any]) -> None:  # noqa: B027 (as above)
        """Download missing weights; raises StoreError if that fails."""

    def weight_files(self, folder: Path) -> list[Path]:
        """Return the weight files of a folder, in a fixed order; empty without any."""
        file = folder / "model.safetensors"
        return [file] if file.is_file() else []

    def rereads_weights(self, config: Mapping[str, Any]) -> bool:
        """Whether resuming a training still needs its initial weights."""
        return False

    def compare_weights(self, config: Mapping[str, Any], data: Prepared) -> str | None:
        """Return a warning if the initial weights were made for other data; None if they fit."""
        return None

    def fit_to_run(
        self,
        config: dict[str, Any],
        trained: Mapping[str, Any],
        *,
        given: Collection[str],
        data: Path,
        forgetting: bool,
    ) -> list[str]:
        """Fit a fine-tuning, in place, to the run whose weights it starts from.

        By default its model is that of the run, apart from what the fine-tuning sets itself: all
        sections but the data's and those that every system has.

        Args:
            config: Of the fine-tuning, complete.
            trained: Of the run's trial, complete.
            given: Paths that the fine-tuning sets itself.
            data: Folder of the run's prepared data, whether it is there yet or not.
            forgetting: Whether to measure how much worse it becomes on the run's data, if the
                system can.

        Returns:
            Warnings.

        Raises:
            ConfigError: They do not fit together.
        """
        for section in self.sections:
            if section in SHARED or section not in trained:
                continue
            lost = self.schema.of_other_kinds(section, config[section])
            own = {
                path: value
                for path, value in leaves({section: config[section]})
                if any(path == name or path.startswith(f"{name}.") for name in given)
            }
            theirs = {
                path: value
                for path, value in leaves({section: trained[section]})
                if path.split(".")[1] not in lost and path not in own
            }
            fitted = assign_paths({section: config[section]}, {**theirs, **own})
            config[section] = fitted[section]
        return []

    def run_misfits(
        self, config: Mapping[str, Any], trained: Mapping[str, Any], given: Collection[str]
    ) -> Iterable[Problem]:
        """Yield what a phase sets that no weights of an earlier one can fit.

        By default, it is the fields of `weight_shape` that differ.

        Args:
            config: Of the phase that starts from weights, complete.
            trained: Of the runs that have them, complete.
            given: Paths that the phase sets itself, and that neither of the two varies.
        """
        for path in self.weight_shape:
            value, before = find(config, path), find(trained, path)
            if path in given and value != before:
                yield weight_misfit(path, value, before)

    # Training

    def load(self, config: Mapping[str, Any]) -> None:  # noqa: B027 (as above)
        """Import what a training of a resolved configuration needs.

        Trainings that are forked from one process share what it has imported. So this must not
        start a thread or touch a GPU. What it leaves out, each training imports for itself.
        """

    def check_buildable(self, config: Mapping[str, Any]) -> None:  # noqa: B027 (as above)
        """Check that the model can be built, before a device is used; raises ConfigError."""

    @abstractmethod
    def learner(self, config: Mapping[str, Any], data: Prepared, place: "Place") -> "Learner":
        """Return a new learner at step 0, with random weights; `begin` was not called.

        Args:
            config: Resolved.
            data: Its data.
            place: Where to compute; each of several processes builds a learner.
        """

    # Reports

    @abstractmethod
    def describe(self, run: TrainedRun) -> dict[str, str]:
        """Describe a run, title -> text: {"model": "gpt", "initial weights": ...}.

        The first entry is the model; reports add its size.
        """

    def references(self, described: Mapping[str, Any]) -> list[Reference]:
        """Return values to compare results on a data set with.

        Args:
            described: Its data.json.
        """
        return []

    def remarks(self, runs: Iterable[TrainedRun]) -> list[str]:
        """Return sentences about a phase besides its ranking, from its trained trials, best first.

        Report and summary show them.
        """
        return []

    def figures(self, runs: Iterable[TrainedRun]) -> Sequence[Figure | Pictures]:
        """Return additional figures for a phase, from its trained trials, best first."""
        return []

    def load_line(self, folder: Path) -> str | None:
        """Return a line of Python that loads a checkpoint's model, or None."""
        return None
