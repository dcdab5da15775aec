"""A further place that artifacts are published to, as `publish.to` of a study names it.

backup/models            a folder
s3://bucket/models       a URL of fsspec
{hub: my-model}          a Hugging Face model folder, for the best model alone
"""

import re
from typing import Any

from resweep.canonical import text_fault
from resweep.credentials import HINT, is_secret

HUB = "hub"
TARGET_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "properties": {HUB: {"type": "string", "minLength": 1}},
            "required": [HUB],
            "additionalProperties": False,
        },
    ]
}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


def check_target(target: Any) -> Any:
    """Return a target if it can be one; raises ValueError, whose text is a predicate."""
    path = target[HUB] if isinstance(target, dict) and list(target) == [HUB] else target
    if not isinstance(path, str) or not path.strip() or text_fault(path):
        raise ValueError("should be a folder, a URL of fsspec, or {hub: FOLDER}")
    if is_secret("", path):
        raise ValueError(HINT)
    scheme = scheme_of(path)
    if scheme is not None and path is not target:
        raise ValueError(f"{HUB} should be a folder of this machine, to be uploaded from")
    if scheme is not None:
        _check_scheme(scheme)
    return target


def scheme_of(path: str) -> str | None:
    """Return the protocol of a URL; None for a folder."""
    found = _URL.fullmatch(path)
    return None if found is None else found[1]


def _check_scheme(scheme: str) -> None:
    from fsspec import get_filesystem_class

    try:
        get_filesystem_class(scheme)
    except ValueError:
        raise ValueError(f"{scheme}:// is not a protocol that fsspec knows") from None
    except ImportError as error:
        raise ValueError(f"{scheme}:// needs a package: {error}") from None
