"""Causal language models over text: `system: language`, the default."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resweep.canonical import canonical_json
from resweep.config.early_stopping_section import EarlyStopping
from resweep.config.metric import Logged, Metric
from resweep.config.run_section import RunSection
from resweep.config.section import Misfit
from resweep.config.training_section import Training
from resweep.data.store import Prepared
from resweep.errors import ConfigError, Problem
from resweep.systems.language import folder as model_folder
from resweep.systems.language import weights as language_weights
from resweep.systems.language.batches import steps_for_epochs
from resweep.systems.language.corpus import SPLITS, source_files, source_folders
from resweep.systems.language.cost import estimate_cost, find_vocab_size, most_of_tokenizer
from resweep.systems.language.data_section import Data
from resweep.systems.language.fine_tuning import fit_data, model_misfits
from resweep.systems.language.forgetting import (
    FIRST_LOSS,
    forgetting_figures,
    forgetting_lines,
)
from resweep.systems.language.initialization_section import Initialization
from resweep.systems.language.model_section import Model
from resweep.systems.language.size import count_parameters
from resweep.systems.language.synonyms import SYNONYMS
from resweep.systems.language.token_data import (
    SHAPE,
    TokenData,
    prepare_tokens,
    read_documents_of,
    recompute_digest,
)
from resweep.systems.language.tokens import TOKENIZER_FILES
from resweep.systems.system import System
from resweep.systems.values import Cost, Figure, Reference, TrainedRun, Weights

if TYPE_CHECKING:
    from resweep.training.learner import Learner
    from resweep.training.place import Place

# Increased by hand when equal configurations give different numbers; until then, the reference loss
# curve in tests/integration/systems/language/test_reference_curve.py fails.
RECIPES = {"gpt": "gpt/1", "hf": "hf/1"}
OF_FIRST_DATA = Metric(name=FIRST_LOSS, logged=Logged.EVALUATION)
DROPOUT_RECIPE = "per-sample/1"  # resweep.training.dropout


class LanguageSystem(System):
    """Our own GPT, or any causal model of transformers, over bytes or tokens of text."""

    name = "language"
    unit = "token"
    sections = {  # noqa: RUF012
        "model": Model,
        "data": Data,
        "training": Training,
        "initialization": Initialization,
        "early_stopping": EarlyStopping,
        "run": RunSection,
    }
    open = ("model.config", "data.first_data")
    synonyms = SYNONYMS
    metrics = (
        Metric(name="train/loss", logged=Logged.LINE),
        Metric(name="val/loss", logged=Logged.EVALUATION, column="final_valid_loss"),
        Metric(name="val/perplexity", logged=Logged.EVALUATION, column="final_valid_perplexity"),
        Metric(name="test/loss", logged=Logged.END, column="test_loss"),
        Metric(name="lr", logged=Logged.LINE),
        Metric(name="grad_norm", logged=Logged.LINE),
        Metric(name="tokens", logged=Logged.LINE, goal="maximize"),
    )
    metric = "val/loss"
    training_loss = "train/loss"
    libraries = ("transformers", "peft")
    data_shape = SHAPE
    more_model_files = (*TOKENIZER_FILES, "generation_config.json")
    card = {"library_name": "transformers", "pipeline_tag": "text-generation"}  # noqa: RUF012

    def check(self, config: Any) -> None:
        """Check that the model has an architecture or weights, and that muP and LoRA fit it."""
        weights = config.run.checkpoint or config.model.name_or_path
        if config.model.kind == "hf" and not weights and "model_type" not in config.model.config:
            raise Misfit(
                "model.kind: hf needs model.config.model_type, or initial weights from "
                "model.name_or_path or run.checkpoint",
                "kind",
                "config",
                "name_or_path",
                "checkpoint",
            )
        if config.model.kind != "gpt" and config.initialization.mup_base_width is not None:
            hint = "initialization.mup_base_width is for model.kind: gpt"
            raise Misfit(hint, "mup_base_width", "kind")
        if config.model.lora_rank is not None and not weights:
            hint = "model.lora_rank needs weights: model.name_or_path or run.checkpoint"
            raise Misfit(hint, "lora_rank", "name_or_path", "checkpoint")
        if config.model.lora_rank is not None and config.run.resume:
            hint = "run.resume continues a run with all of its weights, without model.lora_rank"
            raise Misfit(hint, "lora_rank", "resume")

    def unused(self, config: Mapping[str, Any]) -> Collection[str]:
        """Return the paths of fields for other kinds of models."""
        kind = config.get("model", {}).get("kind")
        if not kind:
            return ()
        return {f"model.{name}" for name in self.schema.of_other_kinds("model", {"kind": kind})}

    def source_files(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return the files that text and tokenizer are read from."""
        return source_files(settings)

    def source_folders(self, settings: Mapping[str, Any]) -> list[Path]:
        """Return where text and tokenizer are looked for, if they are local."""
        return source_folders(settings)

    def prepare_data(self, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
        """Read, split and tokenize text."""
        return prepare_tokens(settings, folder)

    def recompute_digest(self, folder: Path, described: Mapping[str, Any]) -> str | None:
        """Return the digest of the tokens and their vocabulary."""
        return recompute_digest(folder, described)

    def describe_data(self, data: Prepared) -> str:
        """Return the token counts."""
        tokens = TokenData(data)
        counts = ", ".join(f"{tokens.tokens[name]:,} {name}" for name in SPLITS)
        return f"{data.folder}: {counts} tokens, vocabulary {tokens.vocab_size}"

    def validation_texts(self, data: Prepared) -> list[str]:
        """Return the documents of the validation split."""
        return read_documents_of(data, "val")

    def resolve(self, config: dict[str, Any], data: Prepared, weights: Weights | None) -> None:
        """Fill in vocabulary size, architecture of the weights, and steps of epochs."""
        model, training, tokens = config["model"], config["training"], TokenData(data)
        tokens.require_tokens(model["context_length"])
        language_weights.fit_model(config, weights)
        model["vocab_size"] = _vocab_size(model, weights, tokens)
        if training["max_steps"] is None:
            training["max_steps"] = self.steps_of(config, data)
            training["num_epochs"] = None

    def steps_of(self, config: Mapping[str, Any], data: Prepared | None) -> int:
        """Return the horizon; epochs are counted in windows of the data."""
        training = config["training"]
        if training["max_steps"] is not None or data is None:
            return super().steps_of(config, data)
        return steps_for_epochs(
            TokenData(data).tokens["train"],
            config["model"]["context_length"],
            training["batch_size"] * training["gradient_accumulation_steps"],
            training["num_epochs"],
        )

    def recipe(self, config: Mapping[str, Any]) -> str:
        """Return the recipe of this kind of model."""
        return RECIPES[config["model"]["kind"]]

    def more_identity(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the version of dropout, if used."""
        model = config["model"]
        drops = max(model["dropout"], model.get("lora_dropout", 0.0)) > 0
        return {"dropout": DROPOUT_RECIPE} if drops else {}

    def cost(self, config: Mapping[str, Any], data: Prepared | None) -> Cost:
        """Estimate from the sizes of matrices."""
        model = Model.model_validate(config["model"])
        training = Training.model_validate(config["training"])
        tokens = None if data is None else TokenData(data)
        most_tokens, tokenizer_bytes = most_of_tokenizer(model, config["data"], tokens)
        return estimate_cost(
            model,
            training,
            find_vocab_size(model, tokens),
            most_tokens=most_tokens,
            tokenizer_bytes=tokenizer_bytes,
        )

    def count_parameters(self, config: Mapping[str, Any]) -> int | None:
        """Return the size of our own GPT."""
        model = Model.model_validate(config["model"])
        if model.kind != "gpt":
            return None
        assert model.vocab_size is not None, "resolved"
        return count_parameters(model, model.vocab_size)

    def weights_named(self, config: Mapping[str, Any]) -> tuple[str, str | None]:
        """Return run.checkpoint, else model.name_or_path."""
        return language_weights.weights_named(config)

    def locate_weights(self, key: str, name: str) -> Path | None:
        """Return a folder, or that of a model in the hub's cache."""
        return language_weights.locate(key, name)

    def weights_wanted(self, key: str) -> str:
        """Return what a name under a key may be."""
        if key == language_weights.NAME_OR_PATH:
            return "the folder of a model or a name on the hub"
        return super().weights_wanted(key)

    def fetch_weights(self, config: Mapping[str, Any]) -> None:
        """Download a model from the hub."""
        language_weights.fetch(config)

    def weight_files(self, folder: Path) -> list[Path]:
        """Return the weight files of a model folder of transformers."""
        if not (folder / model_folder.CONFIG).is_file():
            return []
        return model_folder.weight_files(folder)

    def rereads_weights(self, config: Mapping[str, Any]) -> bool:
        """Adapters need their base weights."""
        return config["model"].get("lora_rank") is not None

    def compare_weights(self, config: Mapping[str, Any], data: Prepared) -> str | None:
        """Return a warning if the weights were made with another tokenizer."""
        return language_weights.compare_tokens(config, TokenData(data))

    def fit_to_run(
        self,
        config: dict[str, Any],
        trained: Mapping[str, Any],
        *,
        given: Collection[str],
        data: Path,
        forgetting: bool,
    ) -> list[str]:
        """Take the model of the run, and the tokens that its weights know."""
        super().fit_to_run(config, trained, given=given, data=data, forgetting=forgetting)
        return fit_data(
            config["data"], trained["data"], given=given, folder=data, forgetting=forgetting
        )

    def run_misfits(
        self, config: Mapping[str, Any], trained: Mapping[str, Any], given: Collection[str]
    ) -> Iterable[Problem]:
        """Our GPT has the shape of its weights."""
        return model_misfits(config["model"], trained["model"], given)

    def find_metric(self, name: str) -> Metric | None:
        """Return a metric by name; the loss on first data is logged where there is some."""
        return OF_FIRST_DATA if name == OF_FIRST_DATA.name else super().find_metric(name)

    def logs(self, name: str, config: Mapping[str, Any]) -> bool:
        """Whether trainings of a configuration log a metric."""
        if name == OF_FIRST_DATA.name:
            return bool(config["data"]["first_data"])
        return super().logs(name, config)

    def load(self, config: Mapping[str, Any]) -> None:
        """Import the objective and the learner, and transformers for its models only."""
        import resweep.systems.language.objective
        import resweep.training.gradient_learner  # noqa: F401
        from resweep.systems.language.build import load_kind

        load_kind(Model.model_validate(config["model"]))

    def check_buildable(self, config: Mapping[str, Any]) -> None:
        """Check that transformers can build the model."""
        from resweep.systems.language.build import check_model

        model = Model.model_validate(config["model"])
        check_model(model, config["run"]["checkpoint"] is not None)

    def learner(self, config: Mapping[str, Any], data: Prepared, place: "Place") -> "Learner":
        """Return a gradient learner of the model over the tokens."""
        from resweep.systems.language.objective import LanguageObjective
        from resweep.training.gradient_learner import GradientLearner

        typed = self.schema.validate(config)
        checkpoint = typed.run.checkpoint
        objective = LanguageObjective(
            typed.model,
            typed.training,
            typed.initialization,
            TokenData(data),
            None if checkpoint is None else Path(checkpoint),
        )
        return GradientLearner(objective, typed.training, place)

    def describe(self, run: TrainedRun) -> dict[str, str]:
        """Describe the model, its tokens and its initial weights."""
        asked = self.schema.validate(run.asked)
        model, data = run.config["model"], asked.data
        is_hf = model["kind"] != "gpt"
        tokens = {
            "bytes": "bytes",
            "bpe": "BPE",
            "tokenizer": f"tokenizer {data.tokenizer}",
        }[data.tokens]
        # From the trial: the run's configuration only has their folder.
        start = asked.run.checkpoint or asked.model.name_or_path or "random"
        rank = model.get("lora_rank")
        return {
            "model": f"{model['config']['model_type']} (hf)" if is_hf else "gpt",
            "tokens": f"{tokens} (vocabulary {model['vocab_size']})",
            "initial weights": start + (f" + LoRA of rank {rank}" if rank is not None else ""),
        }

    def references(self, described: Mapping[str, Any]) -> list[Reference]:
        """Return the loss of a model that only sees the previous token."""
        floor = described.get("bigram_floor")
        if floor is None:
            return []
        name = "bigram baseline"
        meaning = (
            "loss of a model that only sees the previous token; trained models should be below"
        )
        return [Reference(metric=self.metric, name=name, value=floor, meaning=meaning)]

    def remarks(self, runs: Iterable[TrainedRun]) -> list[str]:
        """Say what fine-tunings forgot."""
        return forgetting_lines(runs)

    def figures(self, runs: Iterable[TrainedRun]) -> list[Figure]:
        """Draw what fine-tunings learnt and forgot."""
        return forgetting_figures(runs)

    def load_line(self, folder: Path) -> str:
        """Return a line that loads it with transformers."""
        return (
            "from transformers import AutoModelForCausalLM; "
            f"model = AutoModelForCausalLM.from_pretrained({canonical_json(str(folder))})"
        )


def _vocab_size(model: dict[str, Any], weights: Weights | None, data: TokenData) -> int:
    """Return the vocabulary size, and remove it from `model.config`."""
    sizes = {
        "model.vocab_size": model["vocab_size"],
        "model.config.vocab_size": model.get("config", {}).pop("vocab_size", None),
        "the initial weights": weights.config.get("vocab_size") if weights else None,
    }
    given = {key: value for key, value in sizes.items() if value is not None}
    key, size = next(iter(given.items()), ("model.vocab_size", data.vocab_size))
    for other, value in given.items():
        if value != size:
            raise ConfigError(Problem("trial", key, size, f"is {value} in {other}"))
    if size < data.vocab_size:
        hint = f"should be at least {data.vocab_size}, the vocabulary size of the data"
        raise ConfigError(Problem("trial", key, size, hint))
    return int(size)


SYSTEM = LanguageSystem()
