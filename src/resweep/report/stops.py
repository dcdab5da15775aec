"""How early monitors stopped the trials of a phase, from its records.

    records of the phase, under these monitors  ->  (step reached, step asked for) of each trial

A trial that no monitor stopped, reached what it was asked for: a rung is not an early stop.
"""

from itertools import islice

from resweep.errors import ResweepError
from resweep.paths import Layout, trial_of
from resweep.study.study import Phase
from resweep.systems.stop_rules import stop_rules
from resweep.trials.record import Record, read_record
from resweep.trials.trial import Trial, read_trial

MOST_TRIALS = 50  # whose files are read


def observed_stops(phase: Phase, layout: Layout) -> list[tuple[int, int]]:
    """Return how far trials were trained, and how far they were to be.

    Nothing if the phase has no monitors. Trials under other monitors do not count.
    """
    rules = stop_rules(phase.config)
    if not rules.on:
        return []
    found = []
    records = layout.phase(phase.study, phase.name).final_records()
    for record in islice((path for path in records if path.is_symlink()), MOST_TRIALS):
        try:
            trial = read_trial(trial_of(record))
            if trial.empty is None and stop_rules(trial.config).settings == rules.settings:
                found.append(_reached(read_record(record), trial))
        except (ResweepError, OSError, LookupError):
            continue  # damaged, or its run is gone: whoever trains it says so
    return found


def _reached(record: Record, trial: Trial) -> tuple[int, int]:
    if record.rule is None:
        return record.step, record.step
    horizon = record.max_steps or trial.config["training"]["max_steps"]
    asked = [step for step in (trial.stop, horizon) if step]
    return record.step, max(record.step, min(asked, default=0))
