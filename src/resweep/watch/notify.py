"""Notify a command and a webhook when a build ends; nothing that goes wrong fails a study.

{"study": ..., "status": "ended" | "failed", "text": ..., "report": ..., "model": ..., ...}
->  a command: on stdin as JSON, and in its environment as RESWEEP_STUDY, RESWEEP_TEXT ...
->  a URL: by POST as JSON; `text` is what chat services show
"""

import json
import os
import queue
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import IO, Any
from urllib.parse import urlsplit

from resweep.credentials import HIDDEN, hide_secrets, secrets_of
from resweep.errors import one_line
from resweep.study.notify import FROM_ENVIRONMENT, Notify, is_web_address

SECONDS = 30.0  # that a command or a server may take
BEGIN, END = 80, 160  # characters that are shown of a fault; keys are hidden before it is cut
READ_BYTES = 65536  # of what a command printed, the last
MOST_BYTES = 16 << 20  # that a command may print
LOOK_SECONDS = 0.05  # between two looks at how much it is
PREFIX = "RESWEEP_"


def notify(to: Notify, message: Mapping[str, Any], seconds: float = SECONDS) -> Iterator[str]:
    """Send a message; yields a line for each receiver that did not get it.

    Args:
        to: Who gets it.
        message: What JSON can hold; has `status`.
        seconds: That each receiver may take.
    """
    if to.when == "failure" and message["status"] != "failed":
        return
    if to.command is not None and (fault := _run(to.command, message, seconds)):
        yield f"notify.command: {_shown(fault, to)}"
    if to.url is not None and (fault := _post(to.url, message, seconds)):
        yield f"notify.url: {_shown(fault, to)}"


def _shown(text: str, to: Notify) -> str:
    """Return a fault in one line, without keys; the URL and those of the environment included."""
    values = list(secrets_of(os.environ).values())
    if to.url is not None:
        values.append(os.environ.get(to.url.removeprefix(FROM_ENVIRONMENT), ""))
    for value in filter(None, map(str.strip, values)):
        text = text.replace(value, HIDDEN)
    text = one_line(hide_secrets(text))
    # Its last words say most, as those of a trace.
    return text if len(text) <= BEGIN + END else f"{text[:BEGIN]} ... {text[-END:]}"


def _run(command: str | list[str], message: Mapping[str, Any], seconds: float) -> str | None:
    """Run a command; returns what went wrong. Only a text is run by a shell."""
    named = {f"{PREFIX}{key.upper()}": _as_text(value) for key, value in message.items()}
    # A line may have anything in it; the first of several words is a program.
    title = "the command" if isinstance(command, str) else command[0]
    # Pipes would wait for what the command leaves in the background, and for what it does not read.
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
        given.write(f"{json.dumps(message)}\n".encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                command,
                shell=isinstance(command, str),
                env={**os.environ, **named},
                stdin=given,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            return f"{title}: {error.strerror}"
        try:
            fault = _wait(process, output, seconds)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # what a shell called as well
                process.wait()
        if fault is not None:
            return f"{title} {fault} and was stopped"
        if process.returncode == 0:
            return None
        output.seek(max(0, output.seek(0, os.SEEK_END) - READ_BYTES))
        said = " ".join(output.read().decode(errors="replace").split())
    return f"{title} ended with {process.returncode}" + (f": {said}" if said else "")


def _wait(process: subprocess.Popen[bytes], output: IO[bytes], seconds: float) -> str | None:
    """Wait for the end of a command; returns what it does too much of, or None."""
    end = time.monotonic() + seconds
    while True:
        try:
            process.wait(min(LOOK_SECONDS, max(0.0, end - time.monotonic())))
            return None
        except subprocess.TimeoutExpired:
            if os.fstat(output.fileno()).st_size > MOST_BYTES:
                return f"printed more than {MOST_BYTES >> 20} MB"
            if time.monotonic() >= end:
                return f"took longer than {seconds:g} s"


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: urllib would ask for the other page, without the message."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _post(url: str, message: Mapping[str, Any], seconds: float) -> str | None:
    """Send the message to a URL; returns what went wrong, without the URL, which may be secret."""
    if url.startswith(FROM_ENVIRONMENT):
        name = url.removeprefix(FROM_ENVIRONMENT)
        url = os.environ.get(name, "").strip()
        if not url:
            return f"{name} is not set; set it to the URL where snakemake is called"
        if not is_web_address(url):
            return f"{name} should hold a URL that begins with http:// or https://"
    host = urlsplit(url).hostname
    faults: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # urllib's own limit is one for each part of an answer, and none for the name of the host.
    threading.Thread(target=lambda: faults.put(_send(url, message, seconds)), daemon=True).start()
    try:
        fault = faults.get(timeout=seconds)
    except queue.Empty:
        fault = f"no answer within {seconds:g} s"
    return f"{host}: {fault}" if fault else None


def _send(url: str, message: Mapping[str, Any], seconds: float) -> str | None:
    request = urllib.request.Request(
        url, json.dumps(message).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=seconds):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return _answer_fault(error.code)
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            return f"its certificate is not valid: {reason.verify_message}"
        return str(getattr(reason, "strerror", None) or reason)
    except (OSError, ValueError, HTTPException) as error:
        return f"no answer that can be read ({type(error).__name__})"


def _answer_fault(code: int) -> str:
    known = [f"{code} {one.phrase}" for one in HTTPStatus if one == code]
    fault = f"answered {(known or [str(code)])[0]}"
    is_redirect = 300 <= code < 400
    return f"{fault}; redirects are not followed, set the final URL" if is_redirect else fault
