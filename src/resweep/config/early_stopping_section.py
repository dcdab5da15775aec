"""Early stopping: the monitors of a trial."""

from typing import Annotated

from pydantic import ConfigDict, Field

from resweep.config.section import LABEL, Int, Positive, Section


class EarlyStopping(Section):
    """Monitors that stop a trial; where a trial stops is no part of a run, so all are labels.

    No keys of the user's own: a misnamed one would leave its monitor off in silence.
    """

    model_config = ConfigDict(extra="forbid")

    loss_patience: Annotated[Annotated[Int, Field(ge=2)] | None, LABEL] = Field(
        None,
        description="stop when the training loss rose, or was flat, over N lines; null: off",
    )
    loss_relative_flat_tolerance: Annotated[float, Field(ge=0), LABEL] = Field(
        0.005, description="flat: each change from line to line is at most this share of the loss"
    )
    loss_min_steps_before_check: Annotated[Int, Field(ge=0), LABEL] = Field(
        1000, description="neither rising nor flat counts before this step"
    )
    loss_smoothing: Annotated[float, Field(ge=0, lt=1), LABEL] = Field(
        0.9, description="of the training loss: a line's weight over the next one's; 0: raw"
    )
    plateau_patience: Annotated[Positive | None, LABEL] = Field(
        None, description="stop after N evaluations without improvement; null: off"
    )
    plateau_metric: Annotated[str | None, LABEL] = Field(
        None, description="what should improve; null: the one that the system compares by"
    )
    plateau_min_delta: Annotated[float, Field(ge=0), LABEL] = Field(
        0.0, description="an improvement is better than the best so far by more than this"
    )
    divergence_factor: Annotated[Annotated[float, Field(gt=1)] | None, LABEL] = Field(
        None, description="diverged: training loss above N times its lowest mean; null: off"
    )

    @property
    def on(self) -> bool:
        """Whether any monitor is."""
        switches = (self.loss_patience, self.plateau_patience, self.divergence_factor)
        return any(switch is not None for switch in switches)
