"""The fields of a training's configuration, with types, bounds and defaults.

Unknown keys are hyperparameters of the user's own: carried, part of the run's identity, a column
in every table. Fields marked `LABEL` do not change the numbers of a run and are left out of its
identity (`resweep.store.identity`). A field added later carries `AsBefore(value)`: while it has
that value it is left out too, so that the names of older runs stay. Fields of one kind of model
alone are marked `OnlyFor(kind)`, and are no part of the others.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

LABEL = "label"  # marks a field that is no part of a run's identity
BYTE_TOKENS = 257  # 256 bytes and an end of text: the smallest vocabulary there is


@dataclass(frozen=True)
class AsBefore:
    """The value with which a field added later leaves all numbers as they were without it."""

    value: Any


@dataclass(frozen=True)
class OnlyFor:
    """The one kind of model that has this field."""

    kind: str


def _whole_number(value: Any) -> Any:
    """Take 100.0 for 100: sampled and computed step counts arrive as floats."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _as_tuple(value: Any) -> Any:
    """Take a list, or one string alone, for a tuple of strings."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


Int = Annotated[int, BeforeValidator(_whole_number)]
Positive = Annotated[Int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Base of all sections: immutable, strict types, unknown keys kept."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, allow_inf_nan=False)


class Model(Section):
    """A causal language model: a GPT of our own, or any that transformers has."""

    name: Annotated[str | None, LABEL] = Field(None, description="label for tables")
    kind: Literal["gpt", "hf"] = Field(
        "gpt", description="gpt: as GPT-2, pre-norm, GELU-tanh, tied embeddings; hf: transformers'"
    )
    n_layer: Annotated[Positive, OnlyFor("gpt")] = Field(4, description="gpt: transformer blocks")
    n_head: Annotated[Positive, OnlyFor("gpt")] = Field(
        4, description="gpt: attention heads; n_embd is a multiple of it"
    )
    n_embd: Annotated[Positive, OnlyFor("gpt")] = Field(128, description="gpt: width")
    config: Annotated[dict[str, Any], OnlyFor("hf")] = Field(
        {}, description="hf: as in config.json, model_type and what differs from its defaults"
    )
    name_or_path: Annotated[str | None, LABEL, OnlyFor("hf")] = Field(
        None, min_length=1, description="hf: weights to start from: a folder, or a name on the hub"
    )
    context_length: Positive = Field(128, description="tokens per sequence")
    vocab_size: Annotated[Int, Field(ge=BYTE_TOKENS)] | None = Field(
        None, description="at least the data's; null: that of the weights, or the data's"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="on embeddings, attention and residual branches"
    )
    bias: Annotated[bool, OnlyFor("gpt")] = Field(
        True, description="gpt: biases in linear layers and layer norms"
    )
    lora_rank: Annotated[Positive | None, OnlyFor("hf"), AsBefore(None)] = Field(
        None, description="hf: train adapters of this rank on frozen weights; null: all weights"
    )
    lora_alpha: Annotated[float, Field(gt=0), OnlyFor("hf"), AsBefore(16.0)] = Field(
        16.0, description="hf: adapters are scaled by lora_alpha / lora_rank"
    )
    lora_dropout: Annotated[float, Field(ge=0, lt=1), OnlyFor("hf"), AsBefore(0.0)] = Field(
        0.0, description="hf: on what adapters read"
    )
    lora_targets: Annotated[
        tuple[str, ...] | None, BeforeValidator(_as_tuple), OnlyFor("hf"), AsBefore(None)
    ] = Field(None, description="hf: names of layers, or all-linear; null: peft's choice")

    @model_validator(mode="after")
    def _fields_fit_kind(self) -> "Model":
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            for mark in field.metadata:
                if isinstance(mark, OnlyFor) and mark.kind != self.kind and value != field.default:
                    raise ValueError(f"{name} = {value!r} is for kind: {mark.kind}")
        return self

    @model_validator(mode="after")
    def _lora_fields_need_a_rank(self) -> "Model":
        if self.lora_rank is None:
            for name in ("lora_alpha", "lora_dropout", "lora_targets"):
                value = getattr(self, name)
                if value != type(self).model_fields[name].default:
                    raise ValueError(f"{name} = {value!r} needs lora_rank")
        return self

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "Model":
        if self.n_embd % self.n_head:
            raise ValueError(
                f"n_embd = {self.n_embd} should be a multiple of n_head = {self.n_head}"
            )
        return self


class Data(Section):
    """Where text comes from, how it is split and turned into tokens."""

    source: Literal["python-docs", "text", "jsonl", "hub"] = Field(
        "python-docs",
        description="Python's own documentation, text files, JSON lines, or a data set of the "
        "Hugging Face hub",
    )
    paths: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        (), description="files or globs, for text and jsonl"
    )
    dataset: Annotated[str | None, AsBefore(None)] = Field(
        None, min_length=1, description="hub: name there, or path of a local copy"
    )
    dataset_config: Annotated[str | None, AsBefore(None)] = Field(
        None, description="hub: which of its configurations"
    )
    dataset_split: Annotated[str, AsBefore("train")] = Field(
        "train", description="hub: which of its splits is read (and then split by `split`)"
    )
    dataset_revision: Annotated[str | None, AsBefore(None)] = Field(
        None, description="hub: branch, tag or commit; null: what is there when it is read"
    )
    text_field: str = Field(
        "text", description="jsonl, hub: the key or column that holds a document's text"
    )
    documents: Literal["file", "blank_line"] = Field(
        "file", description="text: what one document is"
    )
    split: Literal["document", "contiguous"] = Field(
        "document",
        description="whole documents go to one split; contiguous: the head of all text trains, "
        "the tail validates and tests (for a single long text)",
    )
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        0.1, description="share of bytes for validation"
    )
    test_fraction: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.05, description="share of bytes for the test"
    )
    tokens: Literal["bytes", "bpe", "tokenizer"] = Field(
        "bytes",
        description="bytes: 256 and an end of text; bpe: trained on the training split; "
        "tokenizer: a model's own",
    )
    bpe_vocab_size: Annotated[Int, Field(ge=BYTE_TOKENS), AsBefore(4096)] = Field(
        4096, description="bpe: entries; fewer where the text is too small"
    )
    tokenizer: Annotated[str | None, AsBefore(None)] = Field(
        None, min_length=1, description="tokenizer: folder, or name on the hub"
    )

    @model_validator(mode="after")
    def _paths_fit_source(self) -> "Data":
        if self.source == "python-docs" and self.paths:
            raise ValueError("paths are for source: text or jsonl; python-docs is built in")
        if self.source == "hub" and self.paths:
            raise ValueError("paths are for source: text or jsonl; hub takes dataset: NAME or PATH")
        if self.source in ("text", "jsonl") and not self.paths:
            raise ValueError(f"source: {self.source} needs paths: [FILE or GLOB, ...]")
        if self.source == "hub" and self.dataset is None:
            raise ValueError("source: hub needs dataset: NAME or PATH")
        if self.source != "hub" and self.dataset is not None:
            raise ValueError(f"dataset is for source: hub, not {self.source}")
        return self

    @model_validator(mode="after")
    def _tokenizer_fits_tokens(self) -> "Data":
        if self.tokens == "tokenizer" and self.tokenizer is None:
            raise ValueError("tokens: tokenizer needs tokenizer: NAME or PATH")
        if self.tokens != "tokenizer" and self.tokenizer is not None:
            raise ValueError(f"tokenizer is for tokens: tokenizer, not {self.tokens}")
        return self


class Training(Section):
    """The optimizer steps of a run: how long, how large, how fast."""

    seed: Annotated[Int, Field(ge=0, lt=2**63)] = Field(
        0, description="initialisation, data order, dropout"
    )
    batch_size: Positive = Field(16, description="sequences per accumulated batch")
    gradient_accumulation_steps: Positive = Field(
        1, description="batches of batch_size per optimizer step"
    )
    max_gpu_batch_size: Annotated[Positive | None, LABEL] = Field(
        None, description="sequences per forward; larger batches are accumulated"
    )
    eval_batch_size: Annotated[Positive, LABEL] = Field(
        32, description="sequences per forward in evaluations"
    )
    max_steps: Positive | None = Field(None, description="optimizer steps: the schedule's horizon")
    num_epochs: Positive | None = Field(None, description="passes over the data, for max_steps")
    optimizer: Literal["adamw"] = Field("adamw", description="decoupled weight decay on matrices")
    learning_rate: Annotated[float, Field(gt=0)] = Field(1e-3, description="peak learning rate")
    scheduler: Literal["constant", "linear", "cosine", "wsd"] = Field(
        "cosine", description="after warmup; wsd: constant, then linear over decay_fraction"
    )
    warmup_steps: Annotated[Int, Field(ge=0)] | None = Field(
        None, description="linear warmup in steps"
    )
    pct_warmup: Fraction | None = Field(None, description="linear warmup as fraction of the run")
    min_lr_ratio: Fraction = Field(0.0, description="final learning rate over its peak")
    decay_fraction: Fraction = Field(0.2, description="wsd: last part of the run that decays")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.1, description="on matrices only")
    beta1: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="of the gradient's mean")
    beta2: Annotated[float, Field(ge=0, lt=1)] = Field(0.95, description="of its square's mean")
    adam_eps: Annotated[float, Field(gt=0)] = Field(1e-8, description="Adam's epsilon")
    grad_clip: Annotated[float, Field(ge=0)] = Field(1.0, description="global norm; 0 is off")
    log_steps: Positive = Field(10, description="steps between lines of metrics.jsonl")
    eval_steps: Positive = Field(100, description="steps between evaluations")
    eval_sequences: Positive | None = Field(
        None, description="sequences per evaluation, from the start of the split; null: all"
    )
    save_steps: Annotated[Positive | None, LABEL] = Field(
        None,
        description="save every so many steps, and keep them; null: once a minute, for a resume",
    )
    keep_last: Annotated[Positive | None, LABEL] = Field(
        None, description="checkpoints that stay, the newest; null: all of save_steps"
    )
    keep_best: Annotated[Positive | None, LABEL] = Field(
        None,
        description="save evaluations with the lowest val/loss so far; so many stay; null: none",
    )
    save_gradients: Annotated[bool, LABEL] = Field(
        False, description="each checkpoint has gradients.pt: those of the step that led to it"
    )
    gradient_samples: Annotated[Positive | None, LABEL] = Field(
        None, description="and gradient_samples.pt: those of so many equal parts of its batch"
    )
    distributed: Annotated[Literal["none", "ddp", "zero1", "zero2", "zero3"], LABEL] = Field(
        "none", description="how processes share the work; zero: DeepSpeed's stages"
    )
    processes: Annotated[Positive, LABEL] = Field(
        1, description="that train one run together, each on a GPU of its own or on a core"
    )
    nodes: Annotated[Positive, LABEL] = Field(1, description="machines that the processes are on")
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32", description="of matrix products; tf32: on GPUs that have it; bf16: autocast"
    )
    compile: bool = Field(False, description="torch.compile of the loss and its gradients")
    cuda_graphs: Annotated[bool, LABEL] = Field(
        False, description="replay what was compiled as one launch; a GPU's, needs compile: true"
    )
    gradient_checkpointing: Annotated[bool, LABEL] = Field(
        False, description="keep each block's input alone, and compute the rest again in backward"
    )

    @model_validator(mode="after")
    def _processes_share_the_batch(self) -> "Training":
        if self.distributed == "none" and self.processes * self.nodes > 1:
            raise ValueError(f"processes = {self.processes} need distributed: ddp, or zero1 to 3")
        if self.processes % self.nodes:
            raise ValueError(
                f"processes = {self.processes} should be a multiple of nodes = {self.nodes}"
            )
        sequences = self.batch_size * self.gradient_accumulation_steps
        if sequences % self.processes:
            raise ValueError(
                f"batch_size * gradient_accumulation_steps = {sequences} should be a multiple of "
                f"processes = {self.processes}"
            )
        return self

    @model_validator(mode="after")
    def _graphs_are_of_what_is_compiled(self) -> "Training":
        if self.cuda_graphs and not self.compile:
            raise ValueError("cuda_graphs = True needs compile: true")
        if self.cuda_graphs and self.distributed not in ("none", "ddp"):
            raise ValueError(
                f"cuda_graphs = True needs distributed: none or ddp, not {self.distributed}"
            )
        return self

    @model_validator(mode="after")
    def _samples_share_the_batch(self) -> "Training":
        if self.gradient_samples is None:
            return self
        asked = f"gradient_samples = {self.gradient_samples}"
        if not self.save_gradients:
            raise ValueError(f"{asked} needs save_gradients: true")
        if self.distributed not in ("none", "ddp"):
            raise ValueError(f"{asked} needs distributed: none or ddp, not {self.distributed}")
        sequences = self.batch_size * self.gradient_accumulation_steps
        if sequences % (self.gradient_samples * self.processes):
            raise ValueError(
                f"batch_size * gradient_accumulation_steps = {sequences} should be a multiple of "
                f"gradient_samples * processes = {self.gradient_samples * self.processes}"
            )
        return self

    @model_validator(mode="after")
    def _one_length_one_warmup(self) -> "Training":
        if (self.max_steps is None) == (self.num_epochs is None):
            raise ValueError("give either max_steps or num_epochs")
        if self.warmup_steps is not None and self.pct_warmup is not None:
            raise ValueError("give either warmup_steps or pct_warmup")
        return self


class Initialization(Section):
    """How weights start, and what the width changes about it."""

    init_type: Annotated[Literal["normal", "gaussian"], AsBefore("normal")] = Field(
        "normal",
        description="of matrices; normal: N(0, init_std), projections into the residual stream "
        "over sqrt(2 n_layer); gaussian: N(init_mean, init_std), all alike",
    )
    init_mean: Annotated[float, AsBefore(0.0)] = Field(0.0, description="for gaussian")
    init_std: Annotated[float, Field(gt=0)] = Field(0.02, description="standard deviation")
    scale_residual: Annotated[bool | None, AsBefore(None)] = Field(
        None, description="whether sqrt(2 n_layer) divides; null: for normal, not for gaussian"
    )
    weight_seed: Annotated[Annotated[Int, Field(ge=0, lt=2**63)] | None, AsBefore(None)] = Field(
        None, description="of the initial weights alone; null: training.seed"
    )
    mup_base_width: Annotated[Positive | None, AsBefore(None)] = Field(
        None, description="muP: the n_embd at which nothing is scaled; null: off"
    )

    @model_validator(mode="after")
    def _mean_fits_type(self) -> "Initialization":
        if self.init_mean and self.init_type == "normal":
            raise ValueError(f"init_mean = {self.init_mean} is for init_type: gaussian")
        return self


class EarlyStopping(Section):
    """Monitors that stop a trial; where a trial stops is no part of a run, so all are labels.

    No keys of the user's own: a misnamed one would leave its monitor off in silence.
    """

    model_config = ConfigDict(extra="forbid")

    loss_patience: Annotated[Annotated[Int, Field(ge=2)] | None, LABEL] = Field(
        None, description="stop when train/loss rose, or stayed flat, over so many lines; null: off"
    )
    loss_relative_flat_tolerance: Annotated[float, Field(ge=0), LABEL] = Field(
        0.005, description="flat: each change from line to line is at most this share of the loss"
    )
    loss_min_steps_before_check: Annotated[Int, Field(ge=0), LABEL] = Field(
        1000, description="neither rising nor flat counts before this step"
    )
    loss_smoothing: Annotated[float, Field(ge=0, lt=1), LABEL] = Field(
        0.9, description="of train/loss: weight of a line over that of the next, in a mean; 0: raw"
    )
    plateau_patience: Annotated[Positive | None, LABEL] = Field(
        None, description="stop after so many evaluations without improvement; null: off"
    )
    plateau_metric: Annotated[Literal["val/loss", "val/perplexity"], LABEL] = Field(
        "val/loss", description="what should improve"
    )
    plateau_min_delta: Annotated[float, Field(ge=0), LABEL] = Field(
        0.0, description="an improvement is more than this below the best so far"
    )
    divergence_factor: Annotated[Annotated[float, Field(gt=1)] | None, LABEL] = Field(
        None,
        description="diverged: train/loss above so many times its lowest mean; null: off",
    )

    @property
    def on(self) -> bool:
        """Whether any monitor is."""
        switches = (self.loss_patience, self.plateau_patience, self.divergence_factor)
        return any(switch is not None for switch in switches)


class Run(Section):
    """What a run is called, and what it starts from."""

    name: Annotated[str | None, LABEL] = Field(None, description="label for tables")
    checkpoint: Annotated[str | None, LABEL] = Field(
        None, min_length=1, description="weights to start from: a folder, RUN_ID or RUN_ID/STEP"
    )
    weights: Annotated[str | None, AsBefore(None)] = Field(
        None, description="their digest: filled in; if given, they have to have it"
    )


class Config(Section):
    """Everything that one training is given."""

    model: Model = Model()
    data: Data = Data()
    training: Training
    initialization: Initialization = Initialization()
    early_stopping: EarlyStopping = EarlyStopping()
    run: Run = Run()

    @model_validator(mode="after")
    def _sections_fit_each_other(self) -> "Config":
        weights = self.run.checkpoint or self.model.name_or_path
        if self.model.kind == "hf" and not weights and "model_type" not in self.model.config:
            raise ValueError(
                "model.kind: hf needs model.config.model_type, or weights to start from: "
                "model.name_or_path or run.checkpoint"
            )
        if self.model.kind != "gpt" and self.initialization.mup_base_width is not None:
            raise ValueError("initialization.mup_base_width is for model.kind: gpt")
        if self.model.lora_rank is not None and not weights:
            raise ValueError("model.lora_rank needs weights: model.name_or_path or run.checkpoint")
        return self


SECTIONS: dict[str, type[Section]] = {
    "model": Model,
    "data": Data,
    "training": Training,
    "initialization": Initialization,
    "early_stopping": EarlyStopping,
    "run": Run,
}
FIELDS: dict[str, list[str]] = {}  # flat name of a field -> its paths
for _name, _section in SECTIONS.items():
    for _field in _section.model_fields:
        FIELDS.setdefault(_field, []).append(f"{_name}.{_field}")
PATHS = frozenset(path for paths in FIELDS.values() for path in paths)
OPEN = ("model.config",)  # mappings whose keys are not ours: each is set by itself


def is_known(path: str) -> bool:
    """Whether the training reads what stands at a path."""
    return path in PATHS or path.startswith(tuple(f"{open}." for open in OPEN))
