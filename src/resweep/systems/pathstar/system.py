"""Planning in a path-star graph that the model memorizes: `system: pathstar`.

A model is trained on the edges of a graph and on some of its paths. Does it find the other paths,
from their leaf alone? The first step from the root is the hard one: nothing in the prompt is next
to it, and guessing is right once in `graph_d`.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resweep.canonical import canonical_json
from resweep.config.early_stopping_section import EarlyStopping
from resweep.config.metric import Logged, Metric, MetricGoal
from resweep.config.run_section import RunSection
from resweep.config.section import MOST_SIZE, Misfit
from resweep.data.store import Prepared
from resweep.systems.language.cost import estimate_cost
from resweep.systems.language.size import count_parameters
from resweep.systems.language.synonyms import SYNONYMS
from resweep.systems.language.system import DROPOUT_RECIPE
from resweep.systems.pathstar.figures import accuracy_by_token
from resweep.systems.pathstar.graph import Format
from resweep.systems.pathstar.graph_data import SHAPE, GraphData, prepare_graph
from resweep.systems.pathstar.model import language_model
from resweep.systems.pathstar.sections import Data, Examples, Model, PathStarTraining
from resweep.systems.system import System
from resweep.systems.values import Cost, Figure, Reference, TrainedRun, Weights

if TYPE_CHECKING:
    from resweep.training.learner import Learner
    from resweep.training.place import Place

# Increased by hand when equal configurations give different numbers; until then, the reference loss
# curve in tests/integration/systems/pathstar/test_reference_curve.py fails.
RECIPE = "pathstar/1"
BY_TOKEN = re.compile(r"val/(loss|accuracy)/token_([1-9][0-9]*|l)")
MOST_TOKENS = 10**9  # of all examples, which have to fit in memory
LINE_BYTES, TOKEN_BYTES = 1024, 128  # of metrics at most: of a line, and for each token of a path
OF_MODEL = ("n_layer", "n_head", "n_embd", "dropout", "bias")


def _metric_of_token(name: str) -> Metric | None:
    """Return the metric of one token of the path, 1 to graph_l; None for another name."""
    found = BY_TOKEN.fullmatch(name)
    if found is None:
        return None
    goal: MetricGoal = "minimize" if found[1] == "loss" else "maximize"
    return Metric(name=name, logged=Logged.EVALUATION, goal=goal)


class PathStarSystem(System):
    """A small GPT over the edges and paths of a path-star graph."""

    name = "pathstar"
    unit = "example"
    sections = {  # noqa: RUF012
        "data": Data,
        "model": Model,
        "training": PathStarTraining,
        "early_stopping": EarlyStopping,
        "run": RunSection,
    }
    aliases = {  # noqa: RUF012
        "epochs": "training.num_epochs",
        "eval_interval": "training.eval_steps",
        "warmup_frac": "training.pct_warmup",
    }
    synonyms = {  # noqa: RUF012
        **{f"model.{name}": SYNONYMS[f"model.{name}"] for name in OF_MODEL if name != "bias"},
        "data.graph_d": ("spokes", "degree", "n_paths", "d"),
        "data.graph_l": ("path_length", "path_len", "spoke_length"),
        "data.graph_vocab_size": ("vocab_size", "n_vocab"),
        "data.graph_holdout_percentage": ("holdout", "val_fraction", "holdout_fraction"),
        "data.num_pause_tokens": ("pause_tokens", "pauses", "n_pause"),
    }
    metrics = (
        Metric(name="train/loss/overall", logged=Logged.LINE),
        Metric(name="val/loss/overall", logged=Logged.EVALUATION, column="final_valid_loss"),
        Metric(name="val/loss/token_2", logged=Logged.EVALUATION),
        Metric(name="val/loss/token_l", logged=Logged.EVALUATION),
        Metric(name="val/accuracy/token_2", logged=Logged.EVALUATION, goal="maximize"),
        Metric(name="val/accuracy/token_l", logged=Logged.EVALUATION, goal="maximize"),
        Metric(name="val/accuracy/path", logged=Logged.EVALUATION, goal="maximize"),
        Metric(name="lr", logged=Logged.LINE),
        Metric(name="grad_norm", logged=Logged.LINE),
    )
    metric = "val/loss/overall"
    training_loss = "train/loss/overall"
    data_shape = SHAPE
    weight_shape = ("model.n_layer", "model.n_embd", "model.bias")

    def find_metric(self, name: str) -> Metric | None:
        """Return a metric by name; there are two for each token of the path."""
        return super().find_metric(name) or _metric_of_token(name)

    def logs(self, name: str, config: Mapping[str, Any]) -> bool:
        """Whether the paths of a configuration are long enough for a metric."""
        found = BY_TOKEN.fullmatch(name)
        if found is None or found[2] == "l":
            return super().logs(name, config)
        return int(found[2]) <= config["data"]["graph_l"]

    def check(self, config: Any) -> None:
        """Check that there are names, something to train on, and a batch that can be split."""
        data: Data = config.data
        training: PathStarTraining = config.training
        if data.names < data.vertices:
            raise Misfit(
                f"vocab_size must be >= d * (l-1) + 1 = {data.vertices:,}, the number of "
                f"vertices: graph_vocab_size = {data.names:,}, graph_d = {data.graph_d:,}, "
                f"graph_l = {data.graph_l:,}",
                "graph_vocab_size",
                "graph_d",
                "graph_l",
            )
        if data.vertices > MOST_SIZE:
            raise Misfit(
                f"graph_d * (graph_l - 1) + 1 = {data.vertices:,} vertices are more than "
                f"{MOST_SIZE:,}",
                "graph_d",
                "graph_l",
            )
        all_of, length = Examples.of(data), Format(data).length
        if (all_of.edges + data.graph_d) * length > MOST_TOKENS:
            raise Misfit(
                f"{all_of.edges:,} edges and {data.graph_d:,} paths, of {length:,} tokens each, "
                f"are more than {MOST_TOKENS:,} tokens",
                "graph_d",
                "graph_l",
                "num_pause_tokens",
            )
        if all_of.train == 0:
            raise Misfit(
                "graph_holdout_percentage = "
                f"{data.graph_holdout_percentage:g} holds out all {data.graph_d} paths, and "
                "train_on_edges: false leaves nothing to train on",
                "graph_holdout_percentage",
                "train_on_edges",
            )
        if training.batch_size is None:
            batch = Examples.of(data).batch_size
            examples = batch * training.gradient_accumulation_steps
            training.require_shares(examples, *Data.model_fields)

    def source_files(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return no files: graphs are drawn."""
        return []

    def prepare_data(self, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Draw a graph, and write its examples."""
        return prepare_graph(settings, folder)

    def describe_data(self, data: Prepared) -> str:
        """Return the size of the graph and of its parts."""
        about, counts = data.about, data.about["examples"]
        held_out = f"{about['held_out']:,} held out"
        if not about["held_out"]:
            held_out = "none held out: validation is on those of training"
        return (
            f"{data.folder}: {about['graph_d']:,} paths of {about['graph_l']} vertices, "
            f"{held_out}; {counts['edges']:,} edges, {about['vocab_size']:,} tokens"
        )

    def derive(self, config: dict[str, Any]) -> None:
        """Fill in the batch size and the steps of epochs: the graph's settings determine both."""
        training = config["training"]
        training["batch_size"] = self._batch_size(config)
        training["max_steps"], training["num_epochs"] = self.steps_of(config, None), None

    def resolve(self, config: dict[str, Any], data: Prepared, weights: Weights | None) -> None:
        """Do nothing: all follows from the settings."""

    def steps_of(self, config: Mapping[str, Any], data: Prepared | None) -> int:
        """Return the horizon, which follows from the settings of the graph."""
        training = config["training"]
        if training["max_steps"] is not None:
            return int(training["max_steps"])
        rows = self._batch_size(config) * training["gradient_accumulation_steps"]
        return int(-(-self._examples(config).train * training["num_epochs"] // rows))

    def recipe(self, config: Mapping[str, Any]) -> str:
        """Return the version of graph, model and training."""
        return RECIPE

    def more_identity(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the version of dropout, if used."""
        return {"dropout": DROPOUT_RECIPE} if config["model"]["dropout"] > 0 else {}

    def _batch_size(self, config: Mapping[str, Any]) -> int:
        given = config["training"]["batch_size"]
        return int(given or self._examples(config).batch_size)

    def _examples(self, config: Mapping[str, Any]) -> Examples:
        return Examples.of(Data.model_validate(config["data"]))

    def cost(self, config: Mapping[str, Any], data: Prepared | None) -> Cost:
        """Estimate it as of a language model, from the settings alone."""
        known = Format(Data.model_validate(config["data"]))
        section = language_model(Model.model_validate(config["model"]), known)
        given = {**config["training"], "batch_size": self._batch_size(config)}
        training = PathStarTraining.model_validate(given)
        cost = estimate_cost(section, training, known.vocab_size, most_tokens=known.vocab_size)
        rows = training.examples_per_step
        assert rows is not None, "the batch size was filled in"
        assert cost.bounds is not None, "it is our own GPT"
        line = LINE_BYTES + TOKEN_BYTES * known.data.graph_l
        return replace(cost, step_units=rows, bounds=replace(cost.bounds, line_bytes=line))

    def count_parameters(self, config: Mapping[str, Any]) -> int | None:
        """Return the size of the model."""
        known = Format(Data.model_validate(config["data"]))
        section = language_model(Model.model_validate(config["model"]), known)
        return count_parameters(section, known.vocab_size)

    def load(self, config: Mapping[str, Any]) -> None:
        """Import the objective and the learner."""
        import resweep.systems.pathstar.generation
        import resweep.systems.pathstar.objective
        import resweep.training.gradient_learner  # noqa: F401

    def learner(self, config: Mapping[str, Any], data: Prepared, place: "Place") -> "Learner":
        """Return a gradient learner of a GPT over the graph's examples."""
        from resweep.systems.pathstar.objective import PathStarObjective
        from resweep.training.gradient_learner import GradientLearner

        typed = self.schema.validate(config)
        checkpoint = typed.run.checkpoint
        objective = PathStarObjective(
            typed.model,
            typed.training,
            GraphData(data, typed.data),
            None if checkpoint is None else Path(checkpoint),
        )
        return GradientLearner(objective, typed.training, place)

    def describe(self, run: TrainedRun) -> dict[str, str]:
        """Describe the model and the graph."""
        data = Data.model_validate(run.config["data"])
        examples = Examples.of(data)
        edges = "in both directions" if data.use_undirected else "away from the root only"
        return {
            "model": "gpt",
            "graph": f"{data.graph_d:,} paths of {data.graph_l} vertices, "
            f"{examples.held_out:,} held out",
            "edges": edges if data.train_on_edges else "not in training",
            "initial weights": run.asked["run"]["checkpoint"] or "random",
        }

    def references(self, described: Mapping[str, Any]) -> list[Reference]:
        """Return what a model has that knows the graph, but does not plan."""
        spokes = described["graph_d"]
        return [
            Reference(
                metric="val/accuracy/token_2",
                name="chance",
                value=1 / spokes,
                meaning="accuracy of a guess among the root's neighbours; a model that plans is "
                "above",
            ),
            Reference(
                metric="val/loss/token_2",
                name="ln(graph_d)",
                value=math.log(spokes),
                meaning="loss of a guess among the root's neighbours; a model that plans is below",
            ),
        ]

    def figures(self, runs: Iterable[TrainedRun]) -> list[Figure]:
        """Return the accuracy of each token of the path over the steps of the best trial."""
        return accuracy_by_token(runs)

    def load_line(self, folder: Path) -> str:
        """Return a line that loads it with transformers."""
        return (
            "from transformers import AutoModelForCausalLM; "
            f"model = AutoModelForCausalLM.from_pretrained({canonical_json(str(folder))})"
        )


SYSTEM = PathStarSystem()
