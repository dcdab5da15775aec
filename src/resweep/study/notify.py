"""`notify` of a study: who gets word when its build ends."""

import re
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, model_validator

from resweep.canonical import text_fault
from resweep.study.schema import Part

FROM_ENVIRONMENT = "env:"  # before the name of a variable that holds a URL
_ENVIRONMENT = re.compile(rf"{FROM_ENVIRONMENT}[A-Za-z_][A-Za-z0-9_]*")
_KEY = re.compile(r"(?i)key|token|secret|sig|pass|auth")


def _check_text(text: str) -> str:
    if not text.strip() or text_fault(text):
        raise ValueError("should be a command")
    return text


def is_web_address(text: str) -> bool:
    """Whether a text is a URL that a message can be posted to: of http or https, without a user."""
    try:
        url = urlsplit(text)
        is_whole = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
    return is_whole and url.username is None and not re.search(r"[^!-~]", text)


def _check_url(text: str) -> str:
    if _ENVIRONMENT.fullmatch(text):
        return text
    if not is_web_address(text):
        raise ValueError("should be http://..., https://..., or env:NAME, a variable that holds it")
    if any(map(_KEY.search, parse_qs(urlsplit(text).query))):
        raise ValueError("has a key in it; write env:NAME, and set the variable NAME to the URL")
    return text


Word = Annotated[str, AfterValidator(_check_text)]


class Notify(Part):
    """Whom to notify when the build of a study ends; at most one command and one URL."""

    command: Word | Annotated[list[Word], Field(min_length=1)] | None = Field(
        None, description="run with the message on stdin; a list of words, or a line for a shell"
    )
    url: Annotated[str, AfterValidator(_check_url)] | None = Field(
        None, description="gets the message by POST; env:NAME takes it from the environment"
    )
    when: Literal["always", "failure"] = Field(
        "always", description="always, or only when a job failed"
    )

    @property
    def has_receiver(self) -> bool:
        """Whether anybody is notified."""
        return self.command is not None or self.url is not None

    @model_validator(mode="after")
    def _has_a_receiver(self) -> "Notify":
        if self.when != "always" and not self.has_receiver:
            raise ValueError("needs a command or a url")
        return self
