"""What a training job shows and logs."""

import logging
import sys
from pathlib import Path

from resweep.errors import Interrupted, ResweepError, describe
from resweep.machine.log_file import ScreenFormatter, add_log_file
from resweep.paths import RunFolder

log = logging.getLogger(__name__)


def show_log(lead: str, file: Path | None = None, level: int = logging.INFO) -> None:
    """Log to stderr, and to a file.

    Args:
        lead: What each line on stderr begins with.
        file: The file, if any.
        level: The lowest that stderr shows.
    """
    shown = logging.StreamHandler(sys.stderr)
    shown.setFormatter(ScreenFormatter(lead))
    shown.setLevel(level)
    logging.basicConfig(level=logging.INFO, handlers=[shown])
    if file:
        add_log_file(file)


def log_in_store(run: Path) -> None:
    """Log to a run's own log as well."""
    add_log_file(RunFolder(run).log)


def report(error: ResweepError | OSError) -> None:
    """Log what ended a training; that it was asked to stop is not an error."""
    log.log(logging.INFO if isinstance(error, Interrupted) else logging.ERROR, text_of(error))


def text_of(error: ResweepError | OSError) -> str:
    """Return the error for users; raises it again if it is a bug."""
    if isinstance(error, ResweepError):
        return str(error)
    if error.filename is None:
        raise error
    return describe(error)


def line_of(error: Exception) -> str:
    """Return what ended a training, for users; logs the trace of a bug."""
    if isinstance(error, ResweepError) or (isinstance(error, OSError) and error.filename):
        return text_of(error)
    if isinstance(error, MemoryError):
        return str(error) or "out of memory"
    log.error("training failed", exc_info=error)
    return f"{type(error).__name__}: {error}"
