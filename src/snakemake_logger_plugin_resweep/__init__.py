"""Snakemake's messages as one screen of the studies that it builds, on a terminal.

    profiles/default: logger: [resweep]  ->  Snakemake finds this package by its name
    rules/common.smk                     ->  gives it the studies
    onstart: the first job is to start   ->  the screen of `resweep.watch`
    a job fails, or a warning            ->  the message, above the screen
    onsuccess, onerror: the last ended   ->  messages as usual

Without a terminal, and in calls that build nothing or ask for more to be printed, it does not write
at all, and Snakemake's own handler does. The log file has all messages in any case.
"""

import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter, get_event
from snakemake.settings.enums import Quietness
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

if TYPE_CHECKING:
    from resweep.paths import Layout
    from resweep.study.study import Study
    from resweep.watch.terminal import TerminalScreen

# Above the screen; the jobs to come may be listed just before it begins, or just after.
SHOWN = (LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR, LogEvent.ERROR, LogEvent.RUN_INFO)
NOTE = "Ctrl-C saves and stops; the same command continues"
MOST_NAMED = 3  # rules
SECONDS = 1.0


class LogHandler(LogHandlerBase):
    """Draws the screen, and prints what is not on it."""

    def __post_init__(self) -> None:
        """Decide whether this call may get a screen."""
        given = self.common_settings
        quiet = set(given.quiet or ())
        self._draws = (
            not (given.dryrun or given.verbose or given.debug_dag or given.printshellcmds)
            and not quiet & {Quietness.ALL, Quietness.PROGRESS}
            and os.environ.get("TERM", "dumb") != "dumb"
            and sys.stderr.isatty()
        )
        self._color = not given.nocolor and not os.environ.get("NO_COLOR")  # no-color.org
        self._formatter = DefaultFormatter(quiet, given.show_failed_logs)
        self._plain = ColorizingTextHandler(
            nocolor=not self._color,
            stream=sys.stderr,
            formatter=self._formatter,
            filter=DefaultFilter(quiet, given.debug_dag, given.verbose, given.dryrun, False),
        )
        self._studies: Sequence[Study] = ()
        self._layout: Layout | None = None
        self._screen: TerminalScreen | None = None
        self._rules: dict[int, str] = {}  # of the jobs that were started, by job
        self._progress = ""
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, studies: Sequence["Study"], layout: "Layout") -> None:
        """Take the studies to show.

        Args:
            studies: Those that this call builds.
            layout: Of the results folder.
        """
        self._studies, self._layout = studies, layout

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message; while the screen is shown, only what went wrong."""
        if not self._draws:
            return
        try:
            self._show(record)
        except Exception:  # as other handlers do: the thread that calls it must go on
            self.handleError(record)

    def _show(self, record: logging.LogRecord) -> None:
        event = get_event(record)
        self._count(record)
        if self._screen is None:
            self._plain.handle(record)
        elif event in SHOWN or record.levelno >= logging.WARNING:
            text = self._formatter.format(record)
            self._screen.print(self._plain.decorate(record, text))
        elif self._stopped.is_set() and event is None:
            self._plain.handle(record)

    def _count(self, record: logging.LogRecord) -> None:
        """Take note of which jobs run."""
        event, of = get_event(record), record.__dict__
        if event == LogEvent.JOB_INFO:
            self._rules[of["jobid"]] = of["rule_name"]
        elif event == LogEvent.JOB_FINISHED:
            self._rules.pop(of["job_id"], None)
        elif event == LogEvent.JOB_ERROR:
            self._rules.pop(of["jobid"], None)
        elif event == LogEvent.PROGRESS:
            self._progress = f"{of['done']:,} of {of['total']:,} jobs done; "

    def _note(self) -> str:
        """Return the last line of the screen: the jobs that run, and how to stop them."""
        counts = Counter(list(self._rules.values()))
        names = [f"{n} x {name}" if n > 1 else name for name, n in counts.most_common(MOST_NAMED)]
        more = [f"{len(counts) - MOST_NAMED} more"] if len(counts) > MOST_NAMED else []
        now = f"now {', '.join(names + more)}; " if names else ""
        return f"{self._progress}{now}{NOTE}"

    def begin(self) -> None:
        """Show the screen, before the first job starts: what it prints goes above."""
        if not self._draws or not self._studies:
            return
        # Only here: a call that plans should not wait for what draws.
        from resweep.errors import ResweepError
        from resweep.watch.progress import StudyWatch
        from resweep.watch.terminal import TerminalScreen
        from resweep.watch.watching import follow

        assert self._layout is not None
        watched = [StudyWatch(study, self._layout) for study in self._studies]
        self._screen = shown = TerminalScreen(captures=True, color=self._color, note=self._note)
        shown.start()

        def run() -> None:
            try:
                follow(watched, shown.show, lambda _: False, SECONDS, self._stopped)
                shown.show([one.look() for one in watched])  # as it is at the end
            except (ResweepError, OSError) as error:  # the build needs no screen
                shown.print(f"warning: the screen is not updated any more: {error}")

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Leave the screen as it is now; what is printed from now on follows it."""
        if self._stopped.is_set():
            return
        self._stopped.set()
        if self._thread is not None and self._screen is not None:
            self._thread.join()
            self._screen.stop()

    def close(self) -> None:
        """End the screen, if it is there."""
        self.end()
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """Whether Snakemake's own handler is not needed."""
        return self._draws

    @property
    def writes_to_file(self) -> bool:
        """It writes no file."""
        return False

    @property
    def has_filter(self) -> bool:
        """It chooses by itself what to print."""
        return True

    @property
    def has_formatter(self) -> bool:
        """It uses Snakemake's own format."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It does not."""
        return False
