"""Early stopping: the monitors of a trial."""

from typing import Annotated

from pydantic import ConfigDict, Field

from resweep.config.section import (
    LABEL,
    LARGEST,
    MOST,
    BelowOne,
    Count,
    Int,
    NonNegative,
    Positive,
    Section,
)


class EarlyStopping(Section):
    """Monitors that stop a trial; where a trial stops is not part of a run, so all are labels.

    Unknown keys are refused: a misspelt one would silently leave its monitor off.
    """

    model_config = ConfigDict(extra="forbid")

    loss_patience: Annotated[Annotated[Int, Field(ge=2, le=MOST)] | None, LABEL] = Field(
        None,
        description="stop when the training loss was rising or flat over N log lines; null: off",
    )
    loss_relative_flat_tolerance: Annotated[NonNegative, LABEL] = Field(
        0.005, description="flat: each change between lines is at most this fraction of the loss"
    )
    loss_min_steps_before_check: Annotated[Count, LABEL] = Field(
        1000, description="a rising or flat loss is ignored before this step"
    )
    loss_smoothing: Annotated[BelowOne, LABEL] = Field(
        0.9, description="exponential smoothing of the training loss; 0: raw"
    )
    plateau_patience: Annotated[Positive | None, LABEL] = Field(
        None, description="stop after N evaluations without improvement; null: off"
    )
    plateau_metric: Annotated[str | None, LABEL] = Field(
        None, description="metric that should improve; null: the system's main metric"
    )
    plateau_min_delta: Annotated[NonNegative, LABEL] = Field(
        0.0, description="an evaluation improves if it beats the best so far by more than this"
    )
    divergence_factor: Annotated[Annotated[float, Field(gt=1, le=LARGEST)] | None, LABEL] = Field(
        None, description="diverged: smoothed training loss above N times its minimum; null: off"
    )

    @property
    def on(self) -> bool:
        """Whether any monitor is on."""
        switches = (self.loss_patience, self.plateau_patience, self.divergence_factor)
        return any(switch is not None for switch in switches)
