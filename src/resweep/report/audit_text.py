"""The cost of a study as text: a table of its phases, what it rests on, and the jobs that train.

one column for each count and bound that is not zero everywhere; estimates begin with ~
lines of at most 100 characters: what does not fit goes into a second table below
"""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resweep.plurals import counted, scaled, size_text
from resweep.report.amounts import total
from resweep.report.nearest import MOST_FIELDS
from resweep.report.phase_cost import PhaseCost, RuleCost, StudyCost
from resweep.report.text_table import WIDTH
from resweep.report.why_trains import Reason
from resweep.systems.registry import find_system

MOST_RULES = 8  # in a short list
MOST_NAMES = 4  # of a rule
UNKNOWN = "unknown"
ALWAYS = ("trials", "to train")  # shown even if they are zero
LEAST_HOURS = 0.001
HOURS = "hours"


@dataclass(frozen=True)
class Column:
    """A column: its title, its value for each phase and for all, and how to write them."""

    title: str
    values: Sequence[Any]
    total: Any
    text: Callable[[Any], str]

    @property
    def is_shown(self) -> bool:
        """Whether it says anything."""
        return self.title in ALWAYS or any(value != 0 for value in (*self.values, self.total))

    @property
    def cells(self) -> list[str]:
        """Title, one cell for each phase, total."""
        values = (*self.values, self.total)
        return [self.title, *(UNKNOWN if one is None else self.text(one) for one in values)]


def audit_table(cost: StudyCost, kept: str | None = None) -> str:
    """Format the cost as a table: one line per phase, and a total.

    Args:
        cost: Of the study.
        kept: A line about weights of the study that stay, to put first.
    """
    lines = [f"study {cost.study.name} ({cost.study.origin})"]
    if kept is not None:
        lines.append(kept)
    names = ["phase", *cost.phases, "total"]
    shown = [column.cells for column in _columns(cost) if column.is_shown]
    lines += _blocks(names, shown)
    return "\n".join([*lines, *_notes(cost)])


def _columns(cost: StudyCost) -> Iterator[Column]:
    phases = list(cost.phases.values())
    unit = find_system(cost.study.system).unit

    def of(title: str, look: Callable[[PhaseCost], Any], text: Callable[[Any], str]) -> Column:
        values = list(map(look, phases))
        return Column(title, values, total(values), text)

    count = "{:,}".format
    yield of("trials", lambda one: one.trials, count)
    yield of("in store", lambda one: one.stored, count)
    yield of("started", lambda one: one.partial, count)
    yield of("to train", lambda one: one.to_train, count)
    yield of("infeasible", lambda one: one.infeasible, count)
    yield of("open", lambda one: one.open_slots, count)
    yield of("packs", lambda one: one.packs, count)
    yield of("jobs", lambda one: one.jobs, count)
    yield of("steps", lambda one: one.steps, count)
    yield of(f"{unit}s", lambda one: one.units, count)
    yield of("FLOPs", lambda one: one.bound.flops, scaled)
    yield of("disk", lambda one: one.bound.disk, size_text)
    yield of("kept", lambda one: one.kept, size_text)
    hours = hours_title(cost)
    if any(one.phase.resources.runtime for one in phases):
        yield of(hours, lambda one: one.most_hours, hours_text)
    if any(cost.share(name) is not None for name in cost.phases):
        steps = list(map(cost.estimated_steps, cost.phases))
        yield Column("~steps", steps, total(steps), count)
    estimated = list(map(cost.estimated_hours, cost.phases))
    yield Column(f"~{hours}", estimated, total(estimated), hours_text)


def hours_title(cost: StudyCost) -> str:
    """Return what hours are called: those of CPUs are by the clock, so not hours of CPU time."""
    return HOURS if any(one.on_cpu for one in cost.phases.values()) else "GPU hours"


def _blocks(names: Sequence[str], columns: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table; columns that do not fit into a line follow in another one."""
    left = max(map(len, names))
    while columns:
        widths = [max(map(len, column)) + 2 for column in columns]
        fitting = len(widths)
        while fitting > 1 and left + sum(widths[:fitting]) > WIDTH:
            fitting -= 1
        for row, name in enumerate(names):
            cells = zip(columns[:fitting], widths[:fitting], strict=True)
            yield name.ljust(left) + "".join(column[row].rjust(width) for column, width in cells)
        columns = columns[fitting:]


def _notes(cost: StudyCost) -> Iterator[str]:
    """Yield what the columns mean that need it, and what the estimates rest on."""
    phases = cost.phases.values()
    if any(one.open_slots for one in phases):
        yield "open: decided later, by an earlier phase, round or rung; counted at the most steps"
    if not cost.trains:
        return
    if cost.bound.disk != 0:
        yield "disk: of runs, at most, until their phase is ranked; kept: what stays after that"
    if cost.hours == 0:
        return
    title = hours_title(cost)
    if not cost.measured:
        yield f"~{title}: {UNKNOWN}, since the store has no runs like these"
        return
    runs = ", ".join(f"{counted(n, 'run')} on {device}" for device, n in cost.measured.items())
    start = "not measured" if cost.start_seconds is None else f"{cost.start_seconds:.1f} s"
    yield f"~ estimated from {runs}; start of a job: {start}"
    if title == HOURS:
        yield f"~{title}: of training, by the clock, times processes"
    for name, one in cost.phases.items():
        share = cost.share(name)
        if share is not None:
            yield f"~ of {name}: its monitors let trials train {share:.0%} of their steps so far"
        elif one.monitors.on and one.jobs:
            yield f"~ of {name}: as if none stopped, since no trial with monitors has ended yet"


def hours_text(value: float) -> str:
    """Format hours: `1,234`, `12.3`, `0.0042`."""
    if value >= 100:
        return f"{value:,.0f}"
    if 0 < value < LEAST_HOURS:
        return f"< {LEAST_HOURS}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


def job_lines(costs: Mapping[str, PhaseCost], shorten: bool = True) -> Iterator[str]:
    """Yield which jobs train which trials, for people; nothing where none does.

    Args:
        costs: Counts by phase.
        shorten: Whether to name only the first jobs, and the first trials of each.
    """
    rules = [rule for cost in costs.values() for rule in cost.rules if rule.jobs]
    if not rules:
        return
    at_most = "at most " if any(rule.open_slots for rule in rules) else ""
    yield f"{at_most}{_counted(sum(rule.jobs for rule in rules), 'training job')}:"
    shown = rules[:MOST_RULES] if shorten else rules
    width = max(len(rule.rule) for rule in shown)
    for rule in shown:
        yield f"  {rule.rule:{width}}  {_trains_text(rule, shorten)}"
    if len(shown) < len(rules):
        left = rules[len(shown) :]
        trials = _counted(sum(rule.trainings for rule in left), "trial")
        yield f"  ... {_counted(len(left), 'more rule')} with {trials}; --trials names all"


def _trains_text(rule: RuleCost, shorten: bool) -> str:
    """Return which trials of a rule train: `2 of 16 trials: 478ff142a6, 1472d11511`."""
    size = counted(rule.size, "trial") + ("" if rule.is_pack else ", a job each")
    parts = []
    if rule.trains:
        names = rule.trains[:MOST_NAMES] if shorten else rule.trains
        more = len(rule.trains) - len(names)
        named = ", ".join(names) + (f" and {more} more" if more else "")
        parts.append(f"{len(rule.trains)} of {size}: {named}")
    if rule.open_slots:
        parts.append(f"{rule.open_slots} of {size}: decided later")
    return "; ".join(parts)


def reason_lines(cost: StudyCost, shorten: bool = True) -> Iterator[str]:
    """Yield why trials would be trained, for people; trials with one reason share a line.

    Args:
        cost: Of the study.
        shorten: Whether to name only the first fields that differ.
    """
    if not cost.reasons:
        return
    yield "why they train:"
    groups: dict[tuple[str, str], list[Reason]] = {}
    for reason in cost.reasons:
        text = reason.text
        if reason.nearest is not None:
            text = reason.nearest.fields(MOST_FIELDS if shorten else None)
        groups.setdefault((reason.phase, text), []).append(reason)
    for (phase, text), reasons in groups.items():
        names = ", ".join(reason.trial for reason in reasons)
        runs = dict.fromkeys(one.nearest.run_id for one in reasons if one.nearest is not None)
        like = f"like {'run' if len(runs) == 1 else 'runs'} {', '.join(runs)}, but " if runs else ""
        line = f"{phase}: {names}: {like}{text}"
        yield from textwrap.wrap(line, WIDTH, initial_indent="  ", subsequent_indent="    ")
    left = sum(one.trainings for one in cost.phases.values()) - len(cost.reasons)
    if left > 0:
        yield f"  ... and {_counted(left, 'more training')}; --why says it of all"


def _counted(count: int, thing: str) -> str:
    return counted(count, thing).replace(f"{count}", f"{count:,}", 1)
