"""The fields of a training's configuration, with types, bounds and defaults.

Unknown keys are hyperparameters of the user's own: carried, part of the run's identity, a column
in every table. Fields marked `LABEL` do not change the numbers of a run and are left out of its
identity (`resweep.store.identity`). A field added later carries `AsBefore(value)`: while it has
that value it is left out too, so that the names of older runs stay. Fields of one kind of model
alone are marked `OnlyFor(kind)`, and are no part of the others.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from resweep.config.section import LABEL, AsBefore, Int, Positive, Section
from resweep.config.training_section import Training
from resweep.systems.language.data_section import Data
from resweep.systems.language.model_section import Model


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


class RunSection(Section):
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
    run: RunSection = RunSection()

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
    "run": RunSection,
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
