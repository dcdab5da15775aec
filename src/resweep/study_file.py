"""The keys of a study file, `config/studies/NAME.yaml`, with types, bounds and defaults."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from resweep.config.schema import Int, Positive

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"


class Part(BaseModel):
    """Base of all parts of a study file: immutable, strict, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Score(Part):
    """How trials are ranked; formulas in `resweep.scores`."""

    metric: str | None = Field(None, description="final value; default: the sweep's, or val/loss")
    goal: Literal["minimize", "maximize"] | None = Field(None, description="of the metric")
    early_metric: str = Field("train/loss", description="whose early slope counts")
    early_steps: Positive = Field(100, description="the slope is over steps up to this one")
    slope_weight: float = 1.0
    final_weight: float = 1.0
    normalize: Literal["zscore", "raw"] = "zscore"


class Tracking(Part):
    """Where metrics are sent beside the files."""

    wandb: Literal["offline", "online", "disabled"] = "offline"
    project: str = "resweep"
    entity: str | None = None


class Publish(Part):
    """What becomes a versioned artifact."""

    configs: bool = True
    models: Literal["best", "none"] = "best"


class Resources(Part):
    """What one training asks a cluster for; null is estimated from the trial (docs/slurm.md)."""

    gpus: Annotated[Int, Field(ge=0)] = 1
    gpu_model: str | None = None
    cpus: Positive = 1
    mem_mb: Positive | None = None
    runtime: Positive | None = Field(None, description="minutes")
    partition: str | None = None
    slurm_extra: str | None = Field(None, description="more sbatch options")


Keep = Literal["best", "all", "none"]


class PhaseFile(Part):
    """One phase, as written."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    kind: Literal["sweep", "rerun"]
    base: dict[str, Any] = {}
    set: dict[str, Any] = {}
    keep: Keep | None = None
    resources: Resources | None = None
    sweep: str | None = None
    trials: Positive | None = None
    seed: Annotated[Int, Field(ge=0)] | None = None
    of: Annotated[str | None, Field(validate_default=False)] = None
    top: Positive | None = None
    seeds: list[Annotated[Int, Field(ge=0)]] | None = None


class StudyFile(Part):
    """A whole study, as written."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    description: str = ""
    base: dict[str, Any]
    set: dict[str, Any] = {}
    phases: Annotated[list[PhaseFile], Field(min_length=1)]
    score: Score = Score()
    keep: Keep = "best"
    tracking: Tracking = Tracking()
    publish: Publish = Publish()
    resources: Resources = Resources()
    tolerate_failures: Annotated[Int, Field(ge=0)] = 0
