"""What a process that trains answers to the one that started it, as plain values for JSON."""

from typing import cast

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from resweep.errors import (
    DataError,
    Interrupted,
    LeaseLost,
    LockTimeout,
    ProcessLost,
    ResweepError,
    StoreError,
)

_KINDS = (DataError, Interrupted, LeaseLost, LockTimeout, ProcessLost, StoreError)
_BY_NAME = {kind.__name__: kind for kind in _KINDS}


class Answer(TypedDict):
    """Whether anything was trained; or the error that was raised: its type and its text."""

    trained: bool
    error: str | None
    text: str


ANSWER = TypeAdapter(Answer)


def answer_of(trained: bool) -> Answer:
    """Return the answer of a process whose trial has its record."""
    return {"trained": trained, "error": None, "text": ""}


def answer_of_error(error: BaseException, text: str) -> Answer:
    """Return the answer of a process that raised an error, with its text for people."""
    return {"trained": False, "error": type(error).__name__, "text": text}


def trained(answer: Answer) -> bool:
    """Return whether anything was trained.

    Raises:
        ResweepError: What the process raised, by its type where that matters.
    """
    if answer["error"] is None:
        return answer["trained"]
    kind = cast("type[ResweepError]", _BY_NAME.get(answer["error"], ResweepError))
    raise kind(answer["text"])
