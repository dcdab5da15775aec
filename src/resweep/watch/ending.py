"""What happens when the build of a study ends: it is noted, printed, and sent by `notify`."""

import socket
import sys
from collections import Counter
from typing import Any

from resweep.errors import ResweepError
from resweep.paths import Layout
from resweep.report.best_model import find_model
from resweep.report.first import first_lines
from resweep.report.results import StudyResults, read_study
from resweep.report.summary import conclude
from resweep.study.build_note import note_end
from resweep.study.notify import Notify
from resweep.watch.notify import notify

ENDED, FAILED = "ended", "failed"


def end_study(
    study: str,
    layout: Layout,
    *,
    failed: bool,
    to: Notify,
    log: str | None = None,
    quiet: bool = False,
) -> None:
    """Note the end of a build, print what the study came to, and send it.

    Args:
        study: Its name.
        layout: Of the results folder.
        failed: Whether a job failed.
        to: Whom to notify.
        log: Where the messages of the build are.
        quiet: Whether to print nothing but warnings.
    """
    note_end(layout.study(study), failed=failed)
    try:
        results = read_study(study, layout)
    except ResweepError:
        results = None  # nothing was ranked
    if results is not None and not quiet and not failed:
        print(conclude(results, layout), end="", flush=True)
    for line in notify(to, message(study, layout, results, failed=failed, log=log)):
        print(f"warning: {line}", file=sys.stderr)


def message(
    study: str, layout: Layout, results: StudyResults | None, *, failed: bool, log: str | None
) -> dict[str, Any]:
    """Return what is sent.

    Args:
        study: Name of the study.
        layout: Where its report and models are.
        results: What was ranked so far; None if nothing was.
        failed: Whether a job failed.
        log: Where the messages of the build are.
    """
    host = socket.gethostname()
    found: dict[str, Any] = {
        "study": study,
        "status": FAILED if failed else ENDED,
        "text": f"study {study}: a job failed on {host}" + (f"; log: {log}" if log else ""),
        "host": host,
        "log": log,
        "trials": {},
        "metric": None,
        "value": None,
        "settings": {},
        "report": None,
        "model": None,
    }
    report = layout.study(study).report
    if report.exists():
        found["report"] = str(report.absolute())
    if results is None:
        return found
    rows = [row for phase in results.phases for row in phase.scores]
    found["trials"] = dict(Counter(str(row.status) for row in rows))
    phase = results.deciding
    if phase is not None:
        best = phase.settings(phase.best[0])
        model = find_model(results, phase, layout)
        found |= {
            "metric": phase.metric,
            "value": phase.best[0].final_mean,
            "settings": {phase.label(path): value for path, value in best.items()},
            "model": None if model is None else str(model.path.absolute()),
        }
    if not failed:
        shown = phase or results.published
        lines = first_lines(shown) or ["no configuration has a result"]
        found["text"] = f"study {study} ended; {shown.name}: {'; '.join(lines)}"
    return found
