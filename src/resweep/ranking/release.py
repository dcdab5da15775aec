"""Releasing the weights of trials that stopped at a rung."""

from collections.abc import Iterable, Mapping
from typing import Any

from resweep.paths import Layout
from resweep.search.rungs import STOP
from resweep.store.retention import release
from resweep.store.run import Run


def release_stopped(
    study: str, phase: str, decisions: Iterable[Mapping[str, Any]], policy: str, layout: Layout
) -> None:
    """Release the weights of trials that stopped at a rung, unless the phase keeps all.

    Args:
        study, phase: Their claims are released.
        decisions: Of the rung, as rows of decisions.csv.
        policy: best, all or none.
        layout: Of the results folder.
    """
    if policy == "all":
        return
    for row in decisions:
        if row["decision"] == STOP:
            release(Run(layout.run(row["run_id"])), study, phase, row["trial"])
