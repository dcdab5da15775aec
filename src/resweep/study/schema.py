"""The parts of a study file that are the same for the study and its phases."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from resweep.config.section import Int, Positive

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"


# One zero: -0.0 has no canonical form.
Weight = Annotated[float, AfterValidator(lambda value: value + 0.0)]


class Part(BaseModel):
    """Base of all parts of a study file: immutable, strict, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Score(Part):
    """How trials are ranked; formulas in `resweep.ranking.scores`."""

    metric: str | None = Field(None, description="final value; null: the sweep's, or the system's")
    goal: Literal["minimize", "maximize"] | None = Field(
        None, description="of the metric; null: the sweep's, or the metric's own"
    )
    early_metric: str | None = Field(
        None, description="whose early slope counts; null: the training loss"
    )
    early_steps: Positive = Field(100, description="the slope is over steps up to this one")
    slope_weight: Weight = Field(1.0, description="of the early slope")
    final_weight: Weight = Field(1.0, description="of the final value")
    normalize: Literal["zscore", "raw"] = Field(
        "zscore", description="whether both are standardised over the phase first"
    )


class Tracking(Part):
    """Where metrics are sent beside the files."""

    wandb: Literal["offline", "online", "disabled"] = Field("offline", description="mode of W&B")
    project: str = Field("resweep", description="project there")
    entity: str | None = Field(None, description="user or team; null: the account's own")


class Publish(Part):
    """What becomes a versioned artifact."""

    configs: bool = Field(True, description="the trial files of each rerun")
    models: Literal["best", "none"] = Field("best", description="the last phase's best model")


class Resources(Part):
    """What one training asks a cluster for; null is estimated from the trial (docs/slurm.md)."""

    gpus: Annotated[Int, Field(ge=0)] = Field(
        1, description="GPUs of a node, at least one for each process; 0 trains on CPU nodes"
    )
    gpu_model: str | None = Field(None, description="as the cluster calls it: a100")
    cpus: Positive = Field(1, description="cores of each process, which computes on one")
    mem_mb: Positive | None = Field(None, description="main memory of a node")
    runtime: Positive | None = Field(None, description="minutes")
    partition: str | None = Field(None, description="null: chosen by partitions.yaml")
    slurm_extra: str | None = Field(
        None, description="more sbatch options; null: --signal=USR1@120, a notice to save"
    )


Keep = Literal["best", "all", "none"]
