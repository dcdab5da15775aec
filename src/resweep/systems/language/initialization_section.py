"""The initialization: how weights start."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from resweep.config.section import AsBefore, Int, Positive, Section


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
