"""Background work of a training: one task at a time, in a thread."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

log = logging.getLogger(__name__)


class Writer:
    """Runs tasks in the background: `with Writer() as writer: ...` waits for them on exit.

    An error of a task is raised by the next call, or on exit unless another error is raised.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "writer")
        self._work: Future[None] | None = None

    def begin(self, work: Callable[[], None]) -> None:
        """Run a task after the current one."""
        self.wait()
        self._work = self._thread.submit(work)

    def wait(self) -> None:
        """Wait for the current task; raises its error."""
        work, self._work = self._work, None
        if work is not None:
            work.result()

    def check(self) -> None:
        """Raise the error of the current task, if it has finished."""
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
            log.warning("a checkpoint could not be written either: %s", other)
        finally:
            self._thread.shutdown()
