"""Notify a command and a webhook when a build ends; nothing that goes wrong fails a study.

{"study": ..., "status": "ended" | "failed", "text": ..., "report": ..., "model": ..., ...}
->  a command: on stdin as JSON, and in its environment as RESWEEP_STUDY, RESWEEP_TEXT ...
->  a URL: by POST as JSON; `text` is what chat services show
"""

import json
import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from resweep.credentials import hide_secrets
from resweep.study.notify import FROM_ENVIRONMENT, Notify

SECONDS = 30.0  # that a command or a server may take
MOST_SHOWN = 200  # characters of what a command printed
PREFIX = "RESWEEP_"


def notify(to: Notify, message: Mapping[str, Any]) -> Iterator[str]:
    """Send a message; yields a line for each receiver that did not get it.

    Args:
        to: Who gets it.
        message: What JSON can hold; has `status`.
    """
    if to.when == "failure" and message["status"] != "failed":
        return
    if to.command is not None and (fault := _run(to.command, message)):
        yield f"notify.command: {fault}"
    if to.url is not None and (fault := _post(to.url, message)):
        yield f"notify.url: {fault}"


def _run(command: str | list[str], message: Mapping[str, Any]) -> str | None:
    """Run a command; returns what went wrong. Only a text is run by a shell."""
    named = {f"{PREFIX}{key.upper()}": _as_text(value) for key, value in message.items()}
    first = command.split()[0] if isinstance(command, str) else command[0]
    try:
        done = subprocess.run(
            command,
            shell=isinstance(command, str),
            input=json.dumps(message) + "\n",
            env={**os.environ, **named},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except OSError as error:
        return f"{first}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"{first} took longer than {SECONDS:.0f} s and was stopped"
    if done.returncode == 0:
        return None
    said = " ".join(hide_secrets(done.stdout).split())[-MOST_SHOWN:]
    return f"{first} ended with {done.returncode}" + (f": {said}" if said else "")


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _post(url: str, message: Mapping[str, Any]) -> str | None:
    """Send the message to a URL; returns what went wrong, without the URL, which may be secret."""
    if url.startswith(FROM_ENVIRONMENT):
        name = url.removeprefix(FROM_ENVIRONMENT)
        url = os.environ.get(name, "").strip()
        if not url:
            return f"{name} is not set; set it to the URL where snakemake is called"
        if urlsplit(url).scheme not in ("http", "https"):
            return f"{name} should hold a URL that begins with http:// or https://"
    host = urlsplit(url).hostname
    request = urllib.request.Request(
        url, json.dumps(message).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return f"{host} answered {error.code} {error.reason}"
    except urllib.error.URLError as error:
        return f"{host}: {error.reason}"
    except (OSError, ValueError) as error:
        return f"{host}: {type(error).__name__}"
