"""Where the weights of a phase's best configuration are, and the line that loads them."""

from dataclasses import dataclass
from pathlib import Path

from resweep.paths import Layout
from resweep.ranking.keep import how_to_restore
from resweep.ranking.score_row import ScoreRow
from resweep.report.results import PhaseResults, StudyResults
from resweep.store import checkpoints as checkpoint


@dataclass(frozen=True, kw_only=True)
class BestModel:
    """Kept weights of the best configuration of a phase.

    Attributes:
        row: The trial that they are of.
        path: Their folder.
        load_line: A line of Python that loads them; None if the system has none.
    """

    row: ScoreRow
    path: Path
    load_line: str | None


def find_model(results: StudyResults, phase: PhaseResults, layout: Layout) -> BestModel | None:
    """Return the model of the best trial of the best configuration whose weights are there."""
    models = layout.phase(results.name, phase.name).models
    kept = [(row, models / row.trial) for row in phase.best if (models / row.trial).exists()]
    if not kept and phase.keep != "none":  # restored weights have no link
        paths = [(row, _weights(row, layout)) for row in phase.best]
        kept = [(row, path) for row, path in paths if path.is_dir()]
    if not kept:
        return None
    row, path = kept[0]
    return BestModel(row=row, path=path, load_line=results.system.load_line(path))


def why_no_model(results: StudyResults, phase: PhaseResults, layout: Layout) -> str:
    """Return why `find_model` found nothing, and what brings the weights back."""
    if not phase.best:
        return "no configuration has a result"
    if phase.keep == "none":
        return "the study keeps no weights of this phase"
    trial, run = phase.best[0].trial, layout.run(str(phase.best[0].run_id))
    if not run.is_dir():
        return f"{run}: the run of the best trial, {trial}, is not there, or the store is away"
    folder = layout.phase(results.name, phase.name)
    return (
        f"the weights of the best trial, {trial}, were deleted or never saved; restore them with "
        f"{how_to_restore(folder, trial)}"
    )


def _weights(row: ScoreRow, layout: Layout) -> Path:
    """Return the weights folder of a row of scores.csv; it may have been deleted."""
    return layout.run(str(row.run_id)) / checkpoint.folder_name(row.step)
