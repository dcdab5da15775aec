"""A study file, `config/studies/NAME.yaml`: its keys with types, bounds and defaults."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from resweep import yaml12
from resweep.config.section import Int, Positive
from resweep.config.spelling import nearest
from resweep.errors import ConfigError, Problem
from resweep.sweep.points import MOST_POINTS

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


class PhaseFile(Part):
    """One phase, as written."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")] = Field(description="folder and rule names")
    kind: Literal["sweep", "rerun"] = Field(description="what its trials are")
    base: dict[str, Any] = Field({}, description="modules above the study's: section, name")
    set: dict[str, Any] = Field({}, description="values above all modules")
    keep: Keep | None = Field(None, description="null: the study's")
    resources: Resources | None = Field(None, description="null: the study's")
    sweep: str | None = Field(None, description="sweep: name in config/sweep/, or a path")
    trials: Annotated[Positive, Field(le=MOST_POINTS)] | None = Field(
        None, description="sweep: at most so many; null: run_cap"
    )
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
    system: str | None = Field(None, description="what is trained; null: language models")
    base: dict[str, Any] = Field(description="modules: section, name (or the content itself)")
    set: dict[str, Any] = Field({}, description="values above the modules")
    own: list[str] = Field(
        [], description="hyperparameters of your own, which resweep does not read"
    )
    phases: Annotated[list[PhaseFile], Field(min_length=1)] = Field(description="in order")
    score: Score = Field(Score(), description="how trials are ranked")
    keep: Keep = Field("best", description="whose weights stay")
    tracking: Tracking = Field(Tracking(), description="W&B")
    publish: Publish = Field(Publish(), description="artifacts")
    resources: Resources = Field(Resources(), description="of one training")
    tolerate_failures: Annotated[Int, Field(ge=0)] = Field(
        0, description="failed trials of a phase that may be ranked without"
    )


def read_study_file(path: Path) -> tuple[StudyFile, list[Problem]]:
    """Read a study file.

    Returns:
        What it says without its unknown keys, and what is wrong with those.

    Raises:
        ConfigError: All that is wrong, where it is more than unknown keys.
    """
    content = yaml12.load_mapping(path)
    problems = []
    try:
        return StudyFile.model_validate(content), []
    except ValidationError as error:
        for details in error.errors():
            problems.append(_problem(path, dict(details)))
            if details["type"] == "extra_forbidden":
                _remove(content, details["loc"])
    try:  # to tell what else is wrong
        return StudyFile.model_validate(content), problems
    except ValidationError:
        raise ConfigError(problems) from None


def _problem(path: Path, details: dict[str, Any]) -> Problem:
    key = ".".join(str(part) for part in details["loc"])
    value, message = details["input"], re.sub(r"^(Value error, |Input )", "", details["msg"])
    if details["type"] == "extra_forbidden":
        message = "is no key of a study file" + _meant(details["loc"])
    elif details["type"] == "missing":
        value, message = None, "is missing"
    elif details["type"] == "string_pattern_mismatch":
        message = "should be letters, digits, - and _, the first a letter or digit"
    return Problem(str(path), key, None if isinstance(value, dict) else value, message)


def _meant(location: tuple[Any, ...]) -> str:
    parts: dict[str, type[Part]] = {
        "phases": PhaseFile,
        "score": Score,
        "tracking": Tracking,
        "publish": Publish,
        "resources": Resources,
    }
    around = [parts[name] for name in map(str, location[:-1]) if name in parts]
    holder = around[-1] if around else StudyFile
    meant = nearest(str(location[-1]), holder.model_fields)
    known = ", ".join(sorted(holder.model_fields))
    return f"; did you mean {meant}?" if meant else f"; there are: {known}"


def _remove(content: Any, location: tuple[Any, ...]) -> None:
    for part in location[:-1]:
        content = content[part]
    content.pop(location[-1], None)
