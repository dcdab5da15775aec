"""Names in a study file: what fits into names of files, of rules, and of W&B."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from resweep.paths import NAME

MOST_LETTERS = 100  # file names have 255 bytes, for {study}.{phase}.{trial} and suffixes


def is_name(text: str) -> bool:
    """Whether a study or a phase can have this name."""
    return len(text) <= MOST_LETTERS and re.fullmatch(NAME, text) is not None


def _fits_file_names(value: str) -> str:
    if len(value) > MOST_LETTERS:
        raise ValueError(f"has {len(value)} letters; at most {MOST_LETTERS} fit into file names")
    if not is_name(value):
        raise ValueError(
            "should consist of letters, digits, - and _, and start with a letter or digit"
        )
    return value


def _fits_wandb(value: str) -> str:
    if value != value.strip() or not value.isprintable() or re.search(r"[/\\#?%:]", value):
        raise ValueError("should have none of / \\ # ? % : and no spaces around it, for W&B")
    return value


Name = Annotated[
    str,
    AfterValidator(_fits_file_names),
    Field(json_schema_extra={"pattern": f"^{NAME}$", "maxLength": MOST_LETTERS}),
]
WandbName = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_fits_wandb)]
