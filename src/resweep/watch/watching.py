"""Watching a study from a command of its own, until its build ends.

name of a study  ->  build.json, with the settings of its last build  ->  the study
                 ->  a look at its files, again and again  ->  a screen, or lines
"""

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from resweep.errors import ResweepError
from resweep.machine.programs import running_in
from resweep.paths import Layout
from resweep.report.results import read_study
from resweep.report.summary import conclude
from resweep.study.build_note import read_note
from resweep.study.find import find_named_study, find_study, load_studies
from resweep.study.find_results import study_of_results
from resweep.study.load import load_study
from resweep.study.study import Study
from resweep.watch.lines import Lines
from resweep.watch.progress import StudyProgress, StudyWatch
from resweep.watch.screen import screen
from resweep.watch.terminal import STDERR, STDOUT, TerminalScreen, is_terminal

CONFIG = Path("config")
SECONDS = 1.0  # between two looks, at least
LINE_SECONDS = 5.0  # the same where lines are printed
LOOKING = 0.05  # share of the time that looking may take
NOTE = "Ctrl-C stops watching; the build continues"


def find_watched(given: str | None, layout: Layout) -> Study:
    """Return the study that a command line names, with the settings of its last build.

    Args:
        given: Its name or file, or a sweep's name or id; None: that of the last build, or of
            config/config.yaml.
        layout: Of the results folder.

    Raises:
        ConfigError: There is no such study; or it has errors.
    """
    name = study_of_results(given, layout) if given is not None else _last_built(layout)
    if name is None:
        return load_study(find_named_study(None, CONFIG), CONFIG)
    note = read_note(layout.study(name))
    if note is not None:
        file = CONFIG / "config.yaml"
        studies = load_studies(note.config, CONFIG, file=file if file.is_file() else None)
        built = next((study for study in studies if study.name == name), None)
        if built is not None:
            return built
    return load_study(find_study(given or name, CONFIG, "command line", "STUDY"), CONFIG)


def _last_built(layout: Layout) -> str | None:
    names = [path.parent.name for path in layout.all_builds()]
    notes = {name: read_note(layout.study(name)) for name in names}
    dates = [(note.since, name) for name, note in notes.items() if note is not None]
    return max(dates, default=(0.0, None))[1]


def print_once(study: Study, layout: Layout) -> None:
    """Print one screen of a study to stdout."""
    columns, lines = shutil.get_terminal_size()
    console = Console(file=sys.stdout, width=columns, markup=False, highlight=False, emoji=False)
    console.print(screen([StudyWatch(study, layout).look()], columns, lines))


def watch(study: Study, layout: Layout) -> int:
    """Show a study until its build ends, then what it came to.

    Returns:
        The exit code: 1 if its build ended with a failed job.
    """
    while True:
        end = _End(study.name, layout)
        _watch_one(study, layout, end)
        if not end.is_renewed:
            return end.report()
        study = find_watched(study.name, layout)  # it may have other settings now


def _watch_one(study: Study, layout: Layout, end: "_End") -> None:
    watched = [StudyWatch(study, layout)]
    if is_terminal(STDOUT, STDERR):
        shown = TerminalScreen(captures=False, note=lambda: NOTE)
        shown.start()
        try:
            follow(watched, shown.show, end.is_reached, SECONDS)
        finally:
            shown.stop()
    else:
        lines = Lines()

        def show(studies: Sequence[StudyProgress]) -> None:
            for one in studies:
                if (text := lines.line(one)) is not None:
                    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)

        follow(watched, show, end.is_reached, LINE_SECONDS)


def follow(
    watched: Sequence[StudyWatch],
    show: Callable[[Sequence[StudyProgress]], None],
    is_over: Callable[[Sequence[StudyProgress]], bool],
    seconds: float,
    stopped: threading.Event | None = None,
) -> None:
    """Look at studies and show them, again and again.

    Args:
        watched: The studies.
        show: Shows them.
        is_over: Whether to end after this look.
        seconds: Between two looks; more where looking takes long, as at many files far away.
        stopped: Ends it, at once.
    """
    stopped = stopped or threading.Event()
    while not stopped.is_set():
        begin = time.monotonic()
        progress = [one.look() for one in watched]
        show(progress)
        if is_over(progress):
            return
        took = time.monotonic() - begin
        stopped.wait(max(seconds, took / LOOKING))


class _End:
    """The end of a build that is watched.

    Args:
        study: Name of the study.
        layout: Of the results folder.

    Attributes:
        is_renewed: Whether another build began meanwhile.
    """

    def __init__(self, study: str, layout: Layout):
        self._study = study
        self._layout = layout
        self._first = read_note(layout.study(study))
        self.is_renewed = False
        self._failed = False
        self._interrupted = False

    def is_reached(self, studies: Sequence[StudyProgress]) -> bool:
        """Whether everything is there, or the build ended without it."""
        note = read_note(self._layout.study(self._study))
        is_complete = all(one.is_complete for one in studies)
        if note is not None and (self._first is None or note.since != self._first.since):
            self.is_renewed = True
            return True
        if note is not None and (note.ended is not None or note.was_interrupted):
            if not is_complete and running_in(Path(), "snakemake"):  # it is about to begin
                return False
            self._failed = note.failed
            self._interrupted = note.was_interrupted and not is_complete
            return True
        return note is None and is_complete

    def report(self) -> int:
        """Print what the study came to; returns the exit code."""
        if self._failed:
            print(
                f"study {self._study}: its build ended with failed jobs; the terminal that built "
                f"it names them and their logs, which are in logs{os.sep}{self._study}",
                file=sys.stderr,
            )
        if self._interrupted:
            print(
                f"study {self._study}: its build ended before the study was complete; run the same "
                "command again to continue",
                file=sys.stderr,
            )
        try:
            print(conclude(read_study(self._study, self._layout), self._layout), end="")
        except ResweepError as error:  # nothing was ranked yet
            print(error, file=sys.stderr)
        return int(self._failed or self._interrupted)
