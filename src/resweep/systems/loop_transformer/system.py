"""Reasoning by iteration: a transformer that loops over its states, on Sudoku.

`system: loop_transformer`. A model updates a few states several times in a forward pass, and over
several supervision steps on each puzzle. Which states there are, and how often each is updated, is
configuration.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resweep.canonical import canonical_json
from resweep.config.early_stopping_section import EarlyStopping
from resweep.config.metric import Logged, Metric
from resweep.config.nesting import assign_paths, find
from resweep.config.run_section import RunSection
from resweep.config.section import Misfit
from resweep.data.store import Prepared
from resweep.errors import ConfigError, Problem
from resweep.plurals import counted
from resweep.systems.loop_transformer.figures import solving_steps
from resweep.systems.loop_transformer.puzzle_data import SHAPE, PuzzleData, prepare_puzzles
from resweep.systems.loop_transformer.puzzles import files_of
from resweep.systems.loop_transformer.sections import Arch, Data, LoopTraining
from resweep.systems.loop_transformer.size import count_parameters, estimate_cost, inner_width
from resweep.systems.loop_transformer.symmetry import available
from resweep.systems.system import System, weight_misfit
from resweep.systems.values import Cost, Pictures, Reference, TrainedRun, Weights

if TYPE_CHECKING:
    from resweep.training.learner import Learner
    from resweep.training.place import Place

# Increased by hand when equal configurations give different numbers; until then, the reference loss
# curve in tests/integration/systems/loop_transformer/test_reference_curve.py fails.
RECIPE = "loop_transformer/1"
MOST_NAMED = 5  # trials, in a sentence


class LoopTransformerSystem(System):
    """A transformer that loops over its states, on Sudoku."""

    name = "loop_transformer"
    unit = "puzzle"
    sections = {  # noqa: RUF012
        "data": Data,
        "arch": Arch,
        "training": LoopTraining,
        "early_stopping": EarlyStopping,
        "run": RunSection,
    }
    open = ("arch.stages", "arch.states")
    replaced = (
        "arch.stages",
        "arch.states",
        "arch.num_layers",
        "arch.readout_state",
        "arch.halt_state",
        "arch.no_grad_cycles",
        "training.augmentations",
    )
    aliases = {  # noqa: RUF012
        "L_layers": "arch.num_layers",
        "epochs": "training.num_epochs",
        "eval_interval": "training.eval_steps",
        "global_batch_size": "training.batch_size",
        "grad_clip_norm": "training.grad_clip",
        "lr": "training.learning_rate",
        "lr_min_ratio": "training.min_lr_ratio",
        "lr_warmup_steps": "training.warmup_steps",
    }
    synonyms = {  # noqa: RUF012
        "arch.hidden_size": ("d_model", "width", "n_embd", "dim"),
        "arch.num_heads": ("n_head", "n_heads", "heads"),
        "arch.num_layers": ("n_layer", "n_layers", "layers", "depth"),
        "arch.outer_cycles": ("cycles", "n_cycles", "H_cycles"),
        "arch.halt_max_steps": ("max_halt_steps", "n_supervision", "supervision_steps"),
        "data.train_puzzles": ("n_train", "train_size"),
        "data.test_puzzles": ("n_test", "test_size"),
        "training.ema_rate": ("ema_decay",),
    }
    metrics = (
        Metric(name="train/loss", logged=Logged.LINE),
        Metric(name="exact_accuracy", logged=Logged.EVALUATION, goal="maximize"),
        Metric(name="accuracy", logged=Logged.EVALUATION, goal="maximize"),
        Metric(name="q_halt_accuracy", logged=Logged.EVALUATION, goal="maximize"),
        Metric(name="steps", logged=Logged.EVALUATION),
        Metric(name="lm_loss", logged=Logged.EVALUATION, column="final_valid_loss"),
        Metric(name="q_halt_loss", logged=Logged.EVALUATION),
        Metric(name="lr", logged=Logged.LINE),
        Metric(name="grad_norm", logged=Logged.LINE),
    )
    metric = "exact_accuracy"
    training_loss = "train/loss"
    data_shape = SHAPE
    weight_shape = ("arch.hidden_size", "arch.learned_positions", "data.size")

    def check(self, config: Any) -> None:
        """Check that the boards have the augmentations, and refuse what carried states rule out."""
        training: LoopTraining = config.training
        size = config.data.size
        lacking = [n for n in training.augmentations_of(size) if n not in available(size)]
        if lacking:
            raise Misfit(
                f"augmentations has {lacking[0]}, but boxes of size {size} are not square; there "
                f"are: {', '.join(available(size))}",
                "augmentations",
                "size",
            )
        if training.distributed == "zero3":
            raise Misfit(
                "distributed = zero3 is not supported here, since states are carried and weights "
                "averaged; use ddp, zero1 or zero2",
                "distributed",
            )
        if training.compile:
            raise Misfit(
                "compile = True is not supported here, since the loss writes the carried states",
                "compile",
            )

    def derive(self, config: dict[str, Any]) -> None:
        """Fill in the augmentations; their order has no effect."""
        training = config["training"]
        chosen = training["augmentations"]
        training["augmentations"] = [
            name for name in available(config["data"]["size"]) if chosen is None or name in chosen
        ]

    def source_files(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return the files of puzzles; none if they are generated."""
        data = Data.model_validate(settings)
        return [] if data.path is None else sorted(files_of(data))

    def source_folders(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return the folder of the files."""
        data = Data.model_validate(settings)
        return [] if data.path is None else [Path(data.path).expanduser()]

    def prepare_data(self, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Draw or read puzzles, and write them."""
        return prepare_puzzles(settings, folder)

    def describe_data(self, data: Prepared) -> str:
        """Return the numbers of puzzles."""
        about, counts = data.about, data.about["puzzles"]
        size = about["size"]
        return (
            f"{data.folder}: {counts['train']:,} puzzles of {size} x {size} to train on and "
            f"{counts['test']:,} to test, with {about['givens']:.1f} givens on average"
        )

    def resolve(self, config: dict[str, Any], data: Prepared, weights: Weights | None) -> None:
        """Fill in the steps of epochs."""
        training = config["training"]
        training["max_steps"], training["num_epochs"] = self.steps_of(config, data), None
        if (
            weights is not None
            and weights.config.get("size", data.about["size"]) != data.about["size"]
        ):
            hint = f"its weights are for puzzles of size {weights.config['size']}"
            raise ConfigError(Problem("trial", "data.size", data.about["size"], hint))

    def steps_of(self, config: Mapping[str, Any], data: Prepared | None) -> int:
        """Return the horizon; an epoch offers each puzzle once."""
        training = config["training"]
        settings = Data.model_validate(config["data"])
        if training["max_steps"] is not None:
            return int(training["max_steps"])
        if data is None and settings.path is not None:
            return 0
        puzzles = settings.train_puzzles if data is None else data.about["puzzles"]["train"]
        rows = training["batch_size"] * training["gradient_accumulation_steps"]
        return int(-(-puzzles * training["num_epochs"] // rows))

    def fit_to_run(
        self,
        config: dict[str, Any],
        trained: Mapping[str, Any],
        *,
        given: Collection[str],
        data: Path,
        forgetting: bool,
    ) -> list[str]:
        """Take the model of the run, with the entries of stages and states that are given."""
        entries = {
            path: find(config, path)
            for path in given
            if path.startswith(tuple(f"{of_list}." for of_list in self.open))
        }
        super().fit_to_run(config, trained, given=given, data=data, forgetting=forgetting)
        config["arch"] = assign_paths({"arch": config["arch"]}, entries)["arch"]
        return []

    def run_misfits(
        self, config: Mapping[str, Any], trained: Mapping[str, Any], given: Collection[str]
    ) -> Iterator[Problem]:
        """Yield the fields that give the weights other shapes than the run's."""
        yield from super().run_misfits(config, trained, given)
        arch, before = (Arch.model_validate(one["arch"]) for one in (config, trained))
        if "arch.expansion" in given and inner_width(arch) != inner_width(before):
            yield weight_misfit("arch.expansion", arch.expansion, before.expansion)
        counts = arch.states is before.states is None and "arch.num_layers" in given
        if counts and arch.num_layers != before.num_layers:  # else, states say how many
            yield weight_misfit("arch.num_layers", arch.num_layers, before.num_layers)

    def recipe(self, config: Mapping[str, Any]) -> str:
        """Return the version of puzzles, model and training."""
        return RECIPE

    def more_identity(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return stages and states as they are computed, however they were written.

        Empty fields are what they stand for. What a skipped stage would add has no effect; its
        state has one still: the initial vectors of all states are drawn together.
        """
        arch = Arch.model_validate(config["arch"])
        computed = {
            "stages": [stage.model_dump(mode="json") for stage in arch.stages if stage.repeat],
            "states": [state.model_dump(mode="json") for state in arch.known_states],
            "readout_state": arch.read_from,
            "halt_state": arch.halts_by,
            "no_grad_cycles": arch.free_cycles,
        }
        given = {name: value for name, value in config["arch"].items() if name != "num_layers"}
        return {"arch": {**given, **computed}}

    def cost(self, config: Mapping[str, Any], data: Prepared | None) -> Cost:
        """Estimate it from the settings alone; it grows linearly with repeats."""
        arch, of_data, training = self._sections_of(config)
        return estimate_cost(arch, of_data, training)

    def count_parameters(self, config: Mapping[str, Any]) -> int | None:
        """Return the number of weights."""
        arch, data, _ = self._sections_of(config)
        return count_parameters(arch, data.size)

    def _sections_of(self, config: Mapping[str, Any]) -> tuple[Arch, Data, LoopTraining]:
        return (
            Arch.model_validate(config["arch"]),
            Data.model_validate(config["data"]),
            LoopTraining.model_validate(config["training"]),
        )

    def load(self, config: Mapping[str, Any]) -> None:
        """Import the objective and the learner."""
        import resweep.systems.loop_transformer.objective
        import resweep.training.gradient_learner  # noqa: F401

    def learner(self, config: Mapping[str, Any], data: Prepared, place: "Place") -> "Learner":
        """Return a gradient learner of a loop transformer on the puzzles."""
        from resweep.systems.loop_transformer.objective import LoopObjective
        from resweep.training.gradient_learner import GradientLearner

        typed = self.schema.validate(config)
        checkpoint = typed.run.checkpoint
        objective = LoopObjective(
            arch=typed.arch,
            training=typed.training,
            data=PuzzleData(data),
            parent=None if checkpoint is None else Path(checkpoint),
            place=place,
        )
        return GradientLearner(objective, typed.training, place)

    def describe(self, run: TrainedRun) -> dict[str, str]:
        """Describe the stages, the puzzles and the initial weights."""
        arch, data, _ = self._sections_of(run.config)
        stages = " ".join(f"{stage.target}x{stage.repeat}" for stage in arch.stages)
        return {
            "model": f"loop transformer ({stages}, {counted(arch.outer_cycles, 'cycle')})",
            "puzzles": f"{data.size} x {data.size}",
            "initial weights": run.asked["run"]["checkpoint"] or "random",
        }

    def remarks(self, runs: Iterable[TrainedRun]) -> list[str]:
        """Name the trials whose stages keep the puzzle from the answer."""
        blind = [
            r.trial for r in runs if not Arch.model_validate(r.config["arch"]).sees_the_puzzle()
        ]
        if not blind:
            return []
        more = f" and {len(blind) - MOST_NAMED:,} more" if len(blind) > MOST_NAMED else ""
        return [
            f"The answers of {', '.join(blind[:MOST_NAMED])}{more} cannot depend on the puzzle: no "
            "stage with include_inputs and a repeat above 0 leads to the state that they are read "
            "from."
        ]

    def figures(self, runs: Iterable[TrainedRun]) -> list[Pictures]:
        """Return the solving steps of puzzles."""
        return solving_steps(runs)

    def references(self, described: Mapping[str, Any]) -> list[Reference]:
        """Return what a guess gets right that copies the givens."""
        size, givens = described["size"], described["givens"]
        cells = size * size
        return [
            Reference(
                metric="accuracy",
                name="givens and guesses",
                value=(givens + (cells - givens) / size) / cells,
                meaning="accuracy of copying the givens and guessing the rest; a model that has "
                "learned a rule is above",
            )
        ]

    def load_line(self, folder: Path) -> str:
        """Return a line that loads it."""
        return (
            "from resweep.systems.loop_transformer.checkpoint import load_network; "
            f"network = load_network({canonical_json(str(folder))})"
        )


SYSTEM = LoopTransformerSystem()
