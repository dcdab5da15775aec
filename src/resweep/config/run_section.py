"""The run: its label, and the weights that it starts from."""

from typing import Annotated

from pydantic import Field

from resweep.config.section import LABEL, PATH_ONLY, AsBefore, Section


class RunSection(Section):
    """What a run is called, and what it starts from."""

    name: Annotated[str | None, LABEL] = Field(None, description="label for tables")
    checkpoint: Annotated[str | None, LABEL, PATH_ONLY] = Field(
        None, min_length=1, description="weights to start from: a folder, RUN_ID or RUN_ID/STEP"
    )
    weights: Annotated[str | None, AsBefore(None), PATH_ONLY] = Field(
        None, description="digest of these weights: filled in; if given, they must match it"
    )
