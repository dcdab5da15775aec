"""Log files beside the terminal: a fault of their disk is reported once, and stops no work."""

import logging
import sys
from pathlib import Path

from resweep.errors import describe

FORMAT = "%(asctime)s %(levelname)s %(message)s"

log = logging.getLogger(__name__)


class ScreenFormatter(logging.Formatter):
    """Puts `warning: ` or `error: ` before a message that is one.

    Args:
        lead: What each line begins with.
    """

    def __init__(self, lead: str = ""):
        super().__init__()
        self._lead = lead

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a message."""
        level = f"{record.levelname.lower()}: " if record.levelno > logging.INFO else ""
        return f"{self._lead}{level}{super().format(record)}"


class LogFile(logging.FileHandler):
    """Appends to a log file.

    Args:
        path: Made if missing, with its folder.
        format: Of its lines.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path, format: str = FORMAT):
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path)
        self.setFormatter(logging.Formatter(format))
        self._path = path
        self._warned = False

    def handleError(self, record: logging.LogRecord) -> None:
        """Warn of a full disk, once; other errors are bugs, and are shown."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._warned:
            self._warned = True
            named = OSError(error.errno, error.strerror, str(self._path))
            print(f"warning: {describe(named)}", file=sys.stderr)


def add_log_file(path: Path, format: str = FORMAT) -> LogFile | None:
    """Log to a file as well; returns the handler, None with a warning if it cannot be opened."""
    try:
        handler = LogFile(path, format)
    except OSError as error:
        log.warning("nothing is logged there: %s", describe(error))
        return None
    logging.getLogger().addHandler(handler)
    return handler
