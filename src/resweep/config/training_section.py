"""The training: the optimizer steps of a run, and what computes them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from resweep.config.section import (
    LABEL,
    PATH_ONLY,
    Above0,
    BelowOne,
    Count,
    Fraction,
    Misfit,
    NonNegative,
    Positive,
    ReadWith,
    Section,
    Seed,
    Size,
)


class Training(Section):
    """The optimizer steps of a run: how long, how large, how fast."""

    seed: Seed = Field(0, description="initialisation, data order, dropout")
    batch_size: Size = Field(16, description="examples per accumulated batch")
    gradient_accumulation_steps: Size = Field(
        1, description="batches of batch_size per optimizer step"
    )
    max_gpu_batch_size: Annotated[Size | None, LABEL] = Field(
        None, description="examples per forward pass; larger batches are accumulated"
    )
    eval_batch_size: Annotated[Size, LABEL] = Field(
        32, description="examples per forward pass in evaluations"
    )
    max_steps: Positive | None = Field(None, description="optimizer steps: the schedule's horizon")
    num_epochs: Positive | None = Field(
        None, description="passes over the data; instead of max_steps"
    )
    optimizer: Literal["adamw"] = Field("adamw", description="decoupled weight decay on matrices")
    learning_rate: Above0 = Field(1e-3, description="peak learning rate")
    scheduler: Literal["constant", "linear", "cosine", "wsd"] = Field(
        "cosine",
        description="learning rate after warmup; wsd: constant, then linear over decay_fraction",
    )
    warmup_steps: Count | None = Field(None, description="linear warmup in steps")
    pct_warmup: Fraction | None = Field(None, description="linear warmup as fraction of the run")
    min_lr_ratio: Annotated[Fraction, ReadWith("scheduler", ("linear", "cosine", "wsd"))] = Field(
        0.0, description="final learning rate as a fraction of its peak"
    )
    decay_fraction: Annotated[Fraction, ReadWith("scheduler", ("wsd",))] = Field(
        0.2, description="wsd: fraction of the run, at its end, over which the rate decays"
    )
    weight_decay: NonNegative = Field(0.1, description="on matrices only")
    beta1: BelowOne = Field(0.9, description="Adam: decay rate of the mean of gradients")
    beta2: BelowOne = Field(0.95, description="Adam: decay rate of the mean of squared gradients")
    adam_eps: Above0 = Field(1e-8, description="Adam's epsilon")
    grad_clip: NonNegative = Field(1.0, description="maximum global norm; 0: off")
    log_steps: Positive = Field(10, description="steps between lines of metrics.jsonl")
    eval_steps: Positive = Field(100, description="steps between evaluations")
    eval_sequences: Positive | None = Field(
        None, description="examples per evaluation, from the start of the split; null: all"
    )
    save_steps: Annotated[Positive | None, LABEL] = Field(
        None,
        description="save a checkpoint every N steps, and keep it; null: once a minute, to resume",
    )
    keep_last: Annotated[Positive | None, LABEL] = Field(
        None, description="keep the N newest checkpoints; null: all of save_steps"
    )
    keep_best: Annotated[Positive | None, LABEL] = Field(
        None,
        description="save a checkpoint at each best evaluation so far, and keep N; null: none",
    )
    save_gradients: Annotated[bool, LABEL] = Field(
        False, description="save gradients.pt in each checkpoint: those of its last step"
    )
    gradient_samples: Annotated[Size | None, LABEL] = Field(
        None, description="also save gradient_samples.pt: those of N equal parts of that batch"
    )
    distributed: Annotated[Literal["none", "ddp", "zero1", "zero2", "zero3"], LABEL] = Field(
        "none", description="how processes share the work; zero: DeepSpeed's stages"
    )
    processes: Annotated[Size, LABEL] = Field(
        1, description="processes that train one run together, each on its own GPU or core"
    )
    nodes: Annotated[Size, LABEL, PATH_ONLY] = Field(
        1, description="machines that the processes run on"
    )
    precision: Literal["fp32", "tf32", "bf16"] = Field(
        "fp32", description="for matrix products; tf32: on GPUs that have it; bf16: autocast"
    )
    compile: bool = Field(False, description="torch.compile of the loss and its gradients")
    cuda_graphs: Annotated[bool, LABEL] = Field(
        False, description="replay the compiled step as one launch; GPU only, needs compile: true"
    )
    gradient_checkpointing: Annotated[bool, LABEL] = Field(
        False,
        description="keep only the input of each block, recompute the rest in the backward pass",
    )

    @property
    def examples_per_step(self) -> int | None:
        """Examples of an optimizer step; a subclass returns None until the data is known."""
        return self.batch_size * self.gradient_accumulation_steps

    @model_validator(mode="after")
    def _processes_share_the_batch(self) -> "Training":
        if self.distributed == "none" and self.processes * self.nodes > 1:
            several = "processes" if self.processes > 1 else "nodes"
            raise Misfit(
                f"{several} = {getattr(self, several)} needs distributed: ddp, or zero1 to zero3",
                "processes",
                "nodes",
                "distributed",
            )
        if self.processes % self.nodes:
            raise Misfit(
                f"processes = {self.processes} should be a multiple of nodes = {self.nodes}",
                "processes",
                "nodes",
            )
        if self.examples_per_step is not None:
            self.require_shares(self.examples_per_step)
        return self

    def require_shares(self, examples: int, *fields: str) -> None:
        """Raise Misfit where the examples of a step cannot be split evenly over the processes.

        Args:
            examples: Of an optimizer step.
            fields: Others that determine them.
        """
        if examples % self.processes:
            raise Misfit(
                f"batch_size * gradient_accumulation_steps = {examples} should be a multiple of "
                f"processes = {self.processes}",
                *fields,
                "batch_size",
                "gradient_accumulation_steps",
                "processes",
            )
        samples = self.gradient_samples
        if samples is not None and examples % (samples * self.processes):
            raise Misfit(
                f"batch_size * gradient_accumulation_steps = {examples} should be a multiple of "
                f"gradient_samples * processes = {samples * self.processes}",
                *fields,
                "batch_size",
                "gradient_accumulation_steps",
                "gradient_samples",
                "processes",
            )

    @model_validator(mode="after")
    def _graphs_need_compile(self) -> "Training":
        if self.cuda_graphs and not self.compile:
            raise Misfit("cuda_graphs = True needs compile: true", "cuda_graphs", "compile")
        if self.cuda_graphs and self.distributed not in ("none", "ddp"):
            raise Misfit(
                f"cuda_graphs = True needs distributed: none or ddp, not {self.distributed}",
                "cuda_graphs",
                "distributed",
            )
        return self

    @model_validator(mode="after")
    def _samples_share_the_batch(self) -> "Training":
        if self.gradient_samples is None:
            return self
        samples = f"gradient_samples = {self.gradient_samples}"
        if not self.save_gradients:
            raise Misfit(
                f"{samples} needs save_gradients: true", "gradient_samples", "save_gradients"
            )
        if self.distributed not in ("none", "ddp"):
            raise Misfit(
                f"{samples} needs distributed: none or ddp, not {self.distributed}",
                "gradient_samples",
                "distributed",
            )
        return self

    @model_validator(mode="after")
    def _one_length_one_warmup(self) -> "Training":
        if (self.max_steps is None) == (self.num_epochs is None):
            raise Misfit("give either max_steps or num_epochs", "max_steps", "num_epochs")
        if self.warmup_steps is not None and self.pct_warmup is not None:
            raise Misfit("give either warmup_steps or pct_warmup", "warmup_steps", "pct_warmup")
        return self
