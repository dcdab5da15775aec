"""The parts of a study file that are the same for the study and its phases."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from resweep.config.section import MOST, MOST_SIZE, Count, Positive, Size
from resweep.study.names import WandbName
from resweep.study.publish_target import TARGET_SCHEMA, check_target
from resweep.study.sbatch_options import read_sbatch_options

MOST_OF_A_PACK = 1000
# One zero: -0.0 has no canonical form. Bounded: products with metrics are numbers.
Weight = Annotated[float, Field(ge=-MOST, le=MOST), AfterValidator(lambda value: value + 0.0)]


def _check_sbatch_options(text: str) -> str:
    read_sbatch_options(text)
    return text


def _check_gpu_model(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.]+", text):
        raise ValueError("should be letters, digits, _ and ., all that the SLURM plugin accepts")
    return text


def _check_partition(text: str) -> str:
    if not re.fullmatch(r"[\w.][\w.,:@+-]*", text):
        raise ValueError("should be the name of a partition, or several with commas between")
    return text


Limit = Annotated[float, Field(ge=0, le=MOST), AfterValidator(lambda value: value + 0.0)]
GpuModel = Annotated[str, AfterValidator(_check_gpu_model)]
Partition = Annotated[str, AfterValidator(_check_partition)]
Target = Annotated[Any, AfterValidator(check_target), WithJsonSchema(TARGET_SCHEMA)]
SbatchText = Annotated[str, AfterValidator(_check_sbatch_options)]


class Part(BaseModel):
    """Base of all parts of a study file: immutable, strict types, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Score(Part):
    """How trials are ranked: by the final value alone, unless the early slope has a weight.

    Formulas: `resweep.ranking.scores`.
    """

    metric: str | None = Field(
        None,
        description="metric whose final value is ranked; null: the sweep's, or the system's",
    )
    goal: Literal["minimize", "maximize"] | None = Field(
        None, description="direction of the metric; null: the sweep's, or the metric's own"
    )
    early_metric: str | None = Field(
        None, description="metric for the early slope; null: the training loss"
    )
    early_steps: Positive = Field(100, description="the early slope is fitted up to this step")
    slope_weight: Weight = Field(
        0.0, description="weight of the early slope; 0 ranks by the final value alone"
    )
    final_weight: Weight = Field(1.0, description="weight of the final value")
    normalize: Literal["zscore", "raw"] = Field(
        "raw", description="zscore: first standardise slope and final value over the phase"
    )


class Tracking(Part):
    """Where metrics are sent, besides the files."""

    wandb: Literal["offline", "online", "disabled"] = Field("offline", description="W&B mode")
    project: WandbName = Field("resweep", description="W&B project")
    entity: WandbName | None = Field(None, description="W&B user or team; null: yours")


class Publish(Part):
    """What is published as a versioned artifact."""

    configs: bool = Field(True, description="the trial files of each rerun")
    models: Literal["best", "none"] = Field("best", description="the study's best model")
    scores: bool = Field(True, description="all rankings, runs.csv and study.yaml")
    report: bool = Field(True, description="the report")
    code: bool = Field(True, description="the code that the jobs ran, its commit and versions")
    to: list[Target] = Field(
        [], description="further places: a folder, a URL of fsspec, {hub: FOLDER}"
    )


class Resources(Part):
    """What one training asks a cluster for; null is estimated from the trial (docs/slurm.md)."""

    pack: Annotated[Size, Field(le=MOST_OF_A_PACK)] | Literal["auto"] = Field(
        "auto", description="trials in one job (packs.md); auto packs small trainings"
    )
    workers: Size = Field(8, description="trainings of a pack that run at once, if there are cores")
    gpus: Annotated[Count, Field(le=MOST_SIZE)] = Field(
        1, description="GPUs per node, at least one per process; 0 trains on CPU nodes"
    )
    gpu_model: GpuModel | None = Field(None, description="the cluster's name for it: a100")
    cpus: Size = Field(1, description="cores per process; it computes on one of them")
    mem_mb: Positive | None = Field(None, description="main memory per node")
    runtime: Positive | None = Field(None, description="minutes")
    partition: Partition | None = Field(None, description="null: chosen by partitions.yaml")
    slurm_extra: SbatchText | None = Field(
        None, description="more options for sbatch; --signal=USR1@120 is added unless one is given"
    )


class Budget(Part):
    """What a study may take in all; a build beyond a limit does not start. null: no limit."""

    gpu_hours: Limit | None = Field(
        None, description="GPU hours, or hours of training on CPUs, including those already spent"
    )
    disk_gb: Limit | None = Field(
        None, description="GB (10^9 bytes) of its runs in the store, including those already there"
    )
    trials: Count | None = Field(None, description="trials of all phases")

    @property
    def has_limits(self) -> bool:
        """Whether it limits anything."""
        return any(value is not None for value in self.model_dump().values())


Keep = Literal["best", "all", "none"]
