"""The parts of a study file that are the same for the study and its phases."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from resweep.config.section import Int, Positive

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"


# One zero: -0.0 has no canonical form.
Weight = Annotated[float, AfterValidator(lambda value: value + 0.0)]


class Part(BaseModel):
    """Base of all parts of a study file: immutable, strict types, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Score(Part):
    """How trials are ranked: by the final value alone, unless the early slope has a weight.

    Formulas: `resweep.ranking.scores`.
    """

    metric: str | None = Field(
        None, description="whose final value counts; null: the sweep's, or the system's"
    )
    goal: Literal["minimize", "maximize"] | None = Field(
        None, description="direction of the metric; null: the sweep's, or the metric's own"
    )
    early_metric: str | None = Field(
        None, description="whose early slope counts; null: the training loss"
    )
    early_steps: Positive = Field(
        100, description="the early slope is over the steps up to this one"
    )
    slope_weight: Weight = Field(
        0.0, description="weight of the early slope; 0 ranks by the final value alone"
    )
    final_weight: Weight = Field(1.0, description="weight of the final value")
    normalize: Literal["zscore", "raw"] = Field(
        "raw", description="zscore: standardise slope and final value over the phase first"
    )


class Tracking(Part):
    """Where metrics are sent, besides the files."""

    wandb: Literal["offline", "online", "disabled"] = Field("offline", description="W&B mode")
    project: str = Field("resweep", description="W&B project")
    entity: str | None = Field(None, description="W&B user or team; null: the account's default")


class Publish(Part):
    """What is published as a versioned artifact."""

    configs: bool = Field(True, description="the trial files of each rerun")
    models: Literal["best", "none"] = Field("best", description="the last phase's best model")


class Resources(Part):
    """What one training asks a cluster for; null is estimated from the trial (docs/slurm.md)."""

    gpus: Annotated[Int, Field(ge=0)] = Field(
        1, description="GPUs per node, at least one per process; 0 trains on CPU nodes"
    )
    gpu_model: str | None = Field(None, description="the cluster's name for it: a100")
    cpus: Positive = Field(1, description="cores per process, of which it computes on one")
    mem_mb: Positive | None = Field(None, description="main memory per node")
    runtime: Positive | None = Field(None, description="minutes")
    partition: str | None = Field(None, description="null: chosen by partitions.yaml")
    slurm_extra: str | None = Field(
        None, description="more sbatch options; null: --signal=USR1@120, a signal to save"
    )


Keep = Literal["best", "all", "none"]
