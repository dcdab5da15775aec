"""The parts of a study file that are the same for the study and its phases."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from resweep.config.section import MOST, MOST_SIZE, Count, Positive, Size, Text

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"
MOST_LETTERS = 100  # of a name: file names have 255 bytes, for {study}.{phase}.{trial} and suffixes


# One zero: -0.0 has no canonical form. Bounded: products with metrics are numbers.
Weight = Annotated[float, Field(ge=-MOST, le=MOST), AfterValidator(lambda value: value + 0.0)]


def _fits_wandb(value: str) -> str:
    if value != value.strip() or not value.isprintable() or re.search(r"[/\\#?%:]", value):
        raise ValueError(
            "should have none of / \\ # ? % : and no spaces around it, as W&B wants it"
        )
    return value


WandbName = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_fits_wandb)]


def _fits_file_names(value: str) -> str:
    if len(value) > MOST_LETTERS:
        raise ValueError(f"has {len(value)} letters; at most {MOST_LETTERS} fit into file names")
    if not is_name(value):
        raise ValueError(
            "should consist of letters, digits, - and _, and start with a letter or digit"
        )
    return value


def is_name(text: str) -> bool:
    """Whether a study or a phase can have this name."""
    return len(text) <= MOST_LETTERS and re.fullmatch(NAME, text) is not None


Name = Annotated[str, AfterValidator(_fits_file_names)]


class Part(BaseModel):
    """Base of all parts of a study file: immutable, strict types, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Score(Part):
    """How trials are ranked; formulas in `resweep.ranking.scores`."""

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
    slope_weight: Weight = Field(1.0, description="weight of the early slope")
    final_weight: Weight = Field(1.0, description="weight of the final value")
    normalize: Literal["zscore", "raw"] = Field(
        "zscore", description="whether both are standardised over the phase first"
    )


class Tracking(Part):
    """Where metrics are sent, besides the files."""

    wandb: Literal["offline", "online", "disabled"] = Field("offline", description="W&B mode")
    project: WandbName = Field("resweep", description="W&B project")
    entity: WandbName | None = Field(None, description="W&B user or team; null: yours")


class Publish(Part):
    """What is published as a versioned artifact."""

    configs: bool = Field(True, description="the trial files of each rerun")
    models: Literal["best", "none"] = Field("best", description="the last phase's best model")


class Resources(Part):
    """What one training asks a cluster for; null is estimated from the trial (docs/slurm.md)."""

    gpus: Annotated[Count, Field(le=MOST_SIZE)] = Field(
        1, description="GPUs per node, at least one per process; 0 trains on CPU nodes"
    )
    gpu_model: Text | None = Field(None, description="the cluster's name for it: a100")
    cpus: Size = Field(1, description="cores per process, of which it computes on one")
    mem_mb: Positive | None = Field(None, description="main memory per node")
    runtime: Positive | None = Field(None, description="minutes")
    partition: Text | None = Field(None, description="null: chosen by partitions.yaml")
    slurm_extra: str | None = Field(
        None, description="more sbatch options; null: --signal=USR1@120, a signal to save"
    )


Keep = Literal["best", "all", "none"]
