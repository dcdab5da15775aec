"""Work that the training does not wait for: one piece at a time, in a thread."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)


class Writer:
    """Does work in the background: `with Writer() as writer: ...` leaves when it is done.

    An error of the work is raised by the next call, or on leaving; it hides no other error.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "writer")
        self._work: Future[None] | None = None

    def begin(self, work: Callable[[], None]) -> None:
        """Do this next, after what is under way."""
        self.wait()
        self._work = self._thread.submit(work)

    def wait(self) -> None:
        """Wait until the work is done; raises what it raised."""
        work, self._work = self._work, None
        if work is not None:
            work.result()

    def check(self) -> None:
        """Raise what the work raised, if it is done."""
        if self._work is not None and self._work.done():
            self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.wait()
        except Exception as other:
            if error is None:
                raise
            log.warning("a checkpoint was not written either: %s", other)
        finally:
            self._thread.shutdown()
