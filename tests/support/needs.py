"""What a job that trains one trial asks a scheduler for."""

from resweep.jobs.resources import LINK, Needs, ask, combine
from resweep.paths import Layout
from resweep.study.schema import Resources
from resweep.trials.trial import Trial


def trial_needs(trial: Trial, wanted: Resources, keep: str, layout: Layout) -> Needs:
    """Return it; arguments of `ask`."""
    estimate = ask(trial, wanted, keep, layout)
    return LINK if estimate is None else combine([estimate], wanted)
