"""The initialization section."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from resweep.config.section import Above0, AsBefore, Misfit, Number, Section, Seed, Size


class Initialization(Section):
    """Initialization of weights, and its scaling with width."""

    init_type: Annotated[Literal["normal", "gaussian"], AsBefore("normal")] = Field(
        "normal",
        description="of matrices; normal: N(0, init_std), divided by sqrt(2 n_layer) for residual "
        "projections; gaussian: N(init_mean, init_std) for all",
    )
    init_mean: Annotated[Number, AsBefore(0.0)] = Field(0.0, description="gaussian: mean")
    init_std: Above0 = Field(0.02, description="standard deviation")
    scale_residual: Annotated[bool | None, AsBefore(None)] = Field(
        None, description="whether to divide by sqrt(2 n_layer); null: for normal only"
    )
    weight_seed: Annotated[Seed | None, AsBefore(None)] = Field(
        None, description="seed of the initial weights; null: training.seed"
    )
    mup_base_width: Annotated[Size | None, AsBefore(None)] = Field(
        None, description="muP: base width, the n_embd without scaling; null: off"
    )

    @model_validator(mode="after")
    def _mean_fits_type(self) -> "Initialization":
        if self.init_mean and self.init_type == "normal":
            hint = f"init_mean = {self.init_mean} is for init_type: gaussian"
            raise Misfit(hint, "init_mean", "init_type")
        return self
