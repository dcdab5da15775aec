"""Texts that look like passwords and keys of services: they are refused, and never shown."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

HIDDEN = "(hidden)"
HINT = (
    "looks like a key or a password; remove it, and name it in the environment instead, "
    "as WANDB_API_KEY or HF_TOKEN"
)
# Forms that services give their keys, wherever they stand.
_FORMS = re.compile(
    r"""(?x)
    (?<![A-Za-z0-9])(?:
        hf_[A-Za-z0-9]{16,}                          # Hugging Face
      | (?:sk|rk|pk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9]{16,}    # OpenAI, Anthropic, Stripe
      | (?:AKIA|ASIA)[A-Z0-9]{16}                    # AWS
      | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_\w{20,} | glpat-[\w-]{16,}
      | xox[abprs]-[\w-]{10,}                        # Slack
      | AIza[\w-]{30,}                               # Google
      | wandb_v\d+_\w{20,}
      | https://hooks\.slack\.com/(?:services|workflows|triggers)/\S+
      | https://(?:\w+\.)?discord(?:app)?\.com/api/webhooks/\S+
      | https://[\w.-]+\.webhook\.office\.com/\S+          # Teams
      | eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}        # JSON web tokens
    )
    | -----BEGIN[A-Z ]*PRIVATE\ KEY-----
    | \b[a-z][a-z0-9+.-]*://[^\s/:@"']*:[^\s/@"']+@  # a URL with a password
    """
)
_OF_A_KEY = re.compile(r"(?i)(?:key|token|secret|credential)s?(?:\.\d+)*$")
_OF_A_PASSWORD = re.compile(
    r"(?i)(?:^|[._-])(?:password|passwd|secret|api_?key|access_?key|secret_?key|credentials?)"
    r"(?:$|[._-])"
)
_LONG = re.compile(r"(?:[\w.]+-)?(?:[0-9a-fA-F]{32,}|(?=\w*\d)\w{40,})")
_SET_IN_ENVIRONMENT = re.compile(r"(?i)(?:key|token|secret|password|passwd)$")
LEAST_LENGTH = 12  # of a value in the environment that can be told from ordinary text


def is_secret(key: str, value: Any) -> bool:
    """Whether a value looks like a key or a password.

    Args:
        key: The name that it is given; 40 hexadecimal digits alone are a commit.
        value: Of any type.
    """
    if not isinstance(value, str) or not value.strip():
        return False
    if _FORMS.search(value) or _OF_A_PASSWORD.search(key):
        return True
    return bool(_OF_A_KEY.search(key) and _LONG.fullmatch(value.strip()))


def find_secrets(content: Any, key: str = "") -> Iterator[str]:
    """Yield the path of each value that looks like a key or a password: `set.api_key`.

    Args:
        content: What JSON can hold.
        key: Its own path.
    """
    if isinstance(content, Mapping):
        for name, value in content.items():
            yield from find_secrets(value, f"{key}.{name}" if key else str(name))
            if is_secret("", str(name)):
                yield f"{key}.{HIDDEN}" if key else HIDDEN
    elif isinstance(content, list | tuple):
        for position, value in enumerate(content):
            yield from find_secrets(value, f"{key}.{position}")
    elif is_secret(key, content):
        yield key


def has_secret_form(text: str) -> bool:
    """Whether a text has a key of a known form in it."""
    return _FORMS.search(text) is not None


def hide_secrets(text: str) -> str:
    """Return a text without keys of known forms."""
    return _FORMS.sub(HIDDEN, text)


def secrets_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of an environment that hold a key or a password: name -> value."""
    return {
        name: value
        for name, value in environment.items()
        if _SET_IN_ENVIRONMENT.search(name) and len(value) >= LEAST_LENGTH
    }
