"""How much a training still improved in its second half: whether its values say what its end is."""

import functools

from resweep.config.metric import sign_of
from resweep.paths import Layout, RunFolder
from resweep.search.observe import Progress, no_progress
from resweep.search.rounds import RoundPlan
from resweep.store.curve import record_curve
from resweep.systems.registry import metric_of
from resweep.trials.trial import Outcome

FEWEST_POINTS = 4


def progress_for(plan: RoundPlan, layout: Layout) -> Progress:
    """Return what a round needs to know how trainings improved: nothing unless it adapts to it."""
    if plan.focus is None or not plan.focus.adaptive:
        return no_progress
    return functools.partial(progress_of, metric=plan.metric, layout=layout)


def progress_of(outcome: Outcome, metric: str, layout: Layout) -> float | None:
    """Return the share of a trial's improvement that came after half of its steps, from 0 to 1.

    Args:
        outcome: A trial with a record of a run.
        metric: The metric.
        layout: Of the results folder.

    Returns:
        None where the curve is short, or did not improve.
    """
    record = outcome.record
    if record.run_id is None:
        return None
    sign = sign_of(metric_of(outcome.trial.config, metric).goal)
    folder = RunFolder(layout.run(record.run_id))
    lines = record_curve(folder, record, outcome.trial.config["training"])
    points = [(line["step"], sign * line[metric]) for line in lines if metric in line]
    if len(points) < FEWEST_POINTS:
        return None
    first, last = points[0][1], points[-1][1]
    middle = next(value for step, value in reversed(points) if 2 * step <= points[-1][0])
    if first <= last:
        return None
    return min(1.0, max(0.0, (middle - last) / (first - last)))
