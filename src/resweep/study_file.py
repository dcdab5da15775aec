"""The keys of a study file, `config/studies/NAME.yaml`, with types, bounds and defaults."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from resweep.config.schema import Int, Positive

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"


# One zero: -0.0 has no canonical form.
Weight = Annotated[float, AfterValidator(lambda value: value + 0.0)]


class Part(BaseModel):
    """Base of all parts of a study file: immutable, strict, nothing unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Score(Part):
    """How trials are ranked; formulas in `resweep.scores`."""

    metric: str | None = Field(None, description="final value; default: the sweep's, or val/loss")
    goal: Literal["minimize", "maximize"] | None = Field(None, description="of the metric")
    early_metric: str = Field("train/loss", description="whose early slope counts")
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

    gpus: Annotated[Int, Field(ge=0)] = Field(1, description="GPUs; 0 trains on CPU nodes")
    gpu_model: str | None = Field(None, description="as the cluster calls it: a100")
    cpus: Positive = Field(1, description="cores; the training itself computes on one")
    mem_mb: Positive | None = Field(None, description="main memory")
    runtime: Positive | None = Field(None, description="minutes")
    partition: str | None = Field(None, description="null: chosen by partitions.yaml")
    slurm_extra: str | None = Field(None, description="more sbatch options")


Keep = Literal["best", "all", "none"]


class PhaseFile(Part):
    """One phase, as written."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")] = Field(description="folder and rule names")
    kind: Literal["sweep", "rerun"] = Field(description="what its trials are")
    base: dict[str, Any] = Field({}, description="modules above the study's: section, name")
    set: dict[str, Any] = Field({}, description="values above all modules")
    keep: Keep | None = Field(None, description="null: the study's")
    resources: Resources | None = Field(None, description="null: the study's")
    sweep: str | None = Field(None, description="sweep: name in config/sweep/, or a path")
    trials: Positive | None = Field(None, description="sweep: at most so many; null: run_cap")
    seed: Annotated[Int, Field(ge=0)] | None = Field(
        None, description="sweep: of random draws; null: the sweep file's"
    )
    round_size: Positive | None = Field(
        None, description="sweep by bayes: trials proposed at once; null: 8"
    )
    warm_start: list[str] | None = Field(
        None, description="sweep by bayes: phases (PHASE, STUDY/PHASE) and CSV files to start from"
    )
    early_terminate: dict[str, Any] | Literal["off"] | None = Field(
        None, description="sweep: in place of the sweep file's; off: all trials train to the end"
    )
    of: Annotated[str | None, Field(validate_default=False)] = Field(
        None, description="rerun: the earlier phase whose best are trained"
    )
    top: Positive | None = Field(None, description="rerun: how many of them; null: 1")
    seeds: list[Annotated[Int, Field(ge=0)]] | None = Field(
        None, description="rerun: each is trained with all of these; null: training.seed"
    )


class StudyFile(Part):
    """A whole study, as written."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")] = Field(description="folder and rule names")
    description: str = Field("", description="for people")
    base: dict[str, Any] = Field(description="modules: section, name (or the content itself)")
    set: dict[str, Any] = Field({}, description="values above the modules")
    phases: Annotated[list[PhaseFile], Field(min_length=1)] = Field(description="in order")
    score: Score = Field(Score(), description="how trials are ranked")
    keep: Keep = Field("best", description="whose weights stay")
    tracking: Tracking = Field(Tracking(), description="W&B")
    publish: Publish = Field(Publish(), description="artifacts")
    resources: Resources = Field(Resources(), description="of one training")
    tolerate_failures: Annotated[Int, Field(ge=0)] = Field(
        0, description="failed trials of a phase that may be ranked without"
    )
