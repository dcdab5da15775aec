"""The run: its label, and the weights that it starts from."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from resweep.config.section import LABEL, PATH_ONLY, AsBefore, Misfit, Section


def _digest(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("should be a SHA-256 digest: 64 hexadecimal digits")
    return value


Digest = Annotated[str, AfterValidator(_digest)]


class RunSection(Section):
    """What a run is called, and what it starts from."""

    name: Annotated[str | None, LABEL] = Field(None, description="label for tables")
    checkpoint: Annotated[str | None, LABEL, PATH_ONLY] = Field(
        None, min_length=1, description="weights to start from: a folder, RUN_ID or RUN_ID/STEP"
    )
    resume: Annotated[bool, AsBefore(False), PATH_ONLY] = Field(
        False,
        description="continue the run of this checkpoint with its optimizer, from its step on; "
        "false: take its weights alone",
    )
    weights: Annotated[Digest | None, AsBefore(None), PATH_ONLY] = Field(
        None, description="digest of these weights, filled in for you; if given, they must match it"
    )

    @model_validator(mode="after")
    def _resume_needs_a_checkpoint(self) -> "RunSection":
        if self.resume and self.checkpoint is None:
            hint = "resume: true needs checkpoint: RUN_ID or RUN_ID/STEP"
            raise Misfit(hint, "resume", "checkpoint")
        return self
