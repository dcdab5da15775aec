"""What a rerun changed: its configurations beside those of the phases that they come from."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from resweep.canonical import canonical_json
from resweep.config.nesting import leaves
from resweep.config.schema import is_in_identity
from resweep.plurals import counted
from resweep.ranking.held import (
    FEWEST,
    Held,
    Pair,
    Ranked,
    compare_rankings,
    configuration_of,
)
from resweep.ranking.score_row import column_of
from resweep.ranking.trial_result import SEED
from resweep.report.results import PhaseResults, StudyResults, shown
from resweep.search.distance import crowded_line
from resweep.systems.registry import system_of
from resweep.systems.system import CHECKPOINT
from resweep.trials.record import Status

RESUME = "run.resume"
BATCH, ACCUMULATION = "training.batch_size", "training.gradient_accumulation_steps"
LENGTHS = ("training.max_steps", "training.num_epochs")
MOST_NAMED = 4  # settings
LONGEST_VALUE = 40  # letters


def compare_rerun(results: StudyResults, rerun: PhaseResults) -> Held:
    """Compare the configurations of a phase with the same ones of its sources.

    Of a fine-tuning, the best of each run that it starts from: nothing if that is one.
    """
    sources = [phase for phase in map(results.phase, rerun.sources) if phase is not None]
    again = _ranked(rerun)
    if rerun.starts_from_weights:
        best: dict[str, int] = {}
        for row in again.rows:
            best.setdefault(str(row.hyperparameters.get(CHECKPOINT)), row.rank)
        kept = set(best.values()) if len(best) > 1 else set()
        again = replace(again, rows=[row for row in again.rows if row.rank in kept])
    return compare_rankings(list(map(_ranked, sources)), again, rerun.overridden)


def copies_line(results: StudyResults, rerun: PhaseResults) -> str | None:
    """Return a warning if what was rerun is nearly one configuration, else None."""
    sources = [results.phase(name) for name in rerun.sources]
    if not rerun.takes_copies or not all(phase and phase.space for phase in sources):
        return None
    space = [
        replace(parameter, name=column_of(parameter.name))
        for phase in sources
        for parameter in (phase.space if phase else ())
    ]
    filled = (row for row in rerun.scores if row.status != Status.EMPTY)
    points = [configuration_of(row) for row in sorted(filled, key=lambda row: row.trial)]
    distinct = list({canonical_json(point): point for point in points}.values())
    return crowded_line(space, distinct, {column_of(path) for path in rerun.overridden})


def _ranked(phase: PhaseResults) -> Ranked:
    trials = {outcome.trial.trial: outcome.trial for outcome in phase.outcomes}
    return Ranked(
        name=phase.name,
        metric=phase.metric,
        goal=phase.goal,
        rows=phase.scores,
        settings=lambda name: trained_with(trials[name].config) if name in trials else None,
    )


def trained_with(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what determines the numbers of a training, but for its seed: path -> value."""
    system = system_of(config)
    unused = system.unused(config)
    found = {}
    for path, value in leaves(config):
        section, _, name = path.partition(".")
        fields = system.schema.sections.get(section)
        is_label = fields is not None and not is_in_identity(fields, name, value)
        # The weights are a label, since a run is named by their digest.
        if path != SEED and path not in unused and (not is_label or path == CHECKPOINT):
            found[path] = value
    if found.pop(RESUME, False):  # it continues its source: no other setting
        del found[CHECKPOINT]
    if found[BATCH] is not None:  # else it follows from the data
        found[BATCH] *= found.pop(ACCUMULATION)
    return found


def held_lines(held: Held, rerun: PhaseResults) -> list[str]:
    """Return sentences on how the order held, and on the winner's curse; none without pairs."""
    if not held.pairs:
        return []
    return [_order_line(held, rerun), *_curse_lines(held, rerun), *_same_run_lines(held)]


def _order_line(held: Held, rerun: PhaseResults) -> str:
    first, count = held.pairs[0], len(held.compared)
    name = f"order: {first.source} trial {first.source_trial}"
    if held.tau is not None:
        order = f"Kendall's tau {held.tau:.2f} over {count} configurations (1: same order)"
    elif count < FEWEST:
        order = f"{counted(count, 'configuration')} with a value: too few to compare orders"
    else:
        order = "equal values have no order to compare"
    if first.rank is None:
        return f"{name}, chosen first, has no value in {rerun.name} ({first.lost}); {order}"
    if count == 1:
        return f"order: {order}"
    return f"{name}, chosen first, is rank {first.rank} of {count} in {rerun.name}; {order}"


def _curse_lines(held: Held, rerun: PhaseResults) -> Iterator[str]:
    if held.curse is not None:
        value, error = held.curse.value, held.curse.error
        spread = "" if error is None else f" ± {error:.4f}"
        yield (
            f"{'' if value > 0 else 'no '}winner's curse: {abs(value):.4f}{spread} "
            f"{'better' if value < 0 else 'worse'} in "
            f"{rerun.name} than when chosen (mean of {counted(held.repeats, 'configuration')}"
            f"{' ± its standard error' if spread else ''})"
        )
    others = [pair for pair in held.compared if not pair.is_repeat]
    if others and not rerun.starts_from_weights:
        of = f" of {counted(len(others), 'configuration')}" if held.repeats else ""
        yield (
            f"other settings{of}: {_changes_text(others, rerun)}; a change in value is not a "
            "winner's curse there"
        )


def _changes_text(pairs: Iterable[Pair], rerun: PhaseResults) -> str:
    """Return what differs: `800 steps instead of 400, n_layer 4 instead of 2`."""
    texts: dict[str, dict[str, None]] = {}  # one for each different value
    for pair in pairs:
        longer = pair.steps != pair.source_steps
        if longer:
            text = f"{_span(pair.steps)} steps instead of {_span(pair.source_steps)}"
            texts.setdefault("number of steps", {})[text] = None
        for path, (now, before) in (pair.changes or {}).items():
            if not (longer and path in LENGTHS):
                label = rerun.label(path)
                text = f"{label} {_value(now)} instead of {_value(before)}"
                texts.setdefault(label, {})[text] = None
        if pair.changes is None:
            texts.setdefault("unknown", {})["unknown, without sound records"] = None
    named = [
        next(iter(own)) if len(own) == 1 else f"another {label}" for label, own in texts.items()
    ]
    more = len(named) - MOST_NAMED
    listed = ", ".join(named[:MOST_NAMED])
    return f"{listed} and {more} more" if more > 0 else listed


def _span(steps: tuple[int, ...]) -> str:
    return " to ".join(f"{step:,}" for step in sorted({steps[0], steps[-1]}))


def _value(value: Any) -> str:
    if value is None:
        return "none"
    text = shown(value) if isinstance(value, bool | str | int | float) else json.dumps(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def _same_run_lines(held: Held) -> Iterator[str]:
    if held.same_runs:
        sources = ", ".join(dict.fromkeys(pair.source for pair in held.pairs))
        yield (
            f"not counted: {counted(held.same_runs, 'trial')} with the seed and the settings of "
            f"{sources}, and so with the same run"
        )
