"""The cost of a study as text: a table of its phases, and the jobs that train."""

from collections.abc import Iterator, Mapping
from dataclasses import fields

from resweep.plurals import counted
from resweep.report.audit import PhaseCost, RuleCost
from resweep.study.study import Study
from resweep.systems.registry import find_system

MOST_RULES = 8  # in a short list
MOST_NAMES = 4  # of a rule


def audit_table(study: Study, costs: dict[str, PhaseCost], kept: str | None = None) -> str:
    """Format the counts as a table: one line per phase, and a total.

    Args:
        study: What was counted.
        costs: Counts by phase.
        kept: A line about weights of the study that stay, to put first.
    """
    columns = [field.name for field in fields(PhaseCost) if field.name != "rules"]
    unit = find_system(study.system).unit
    titles = [
        "trials",
        "in store",
        "started",
        "to train",
        "infeasible",
        "open",
        "steps",
        f"{unit}s",
    ]
    rows = [(name, [getattr(cost, column) for column in columns]) for name, cost in costs.items()]
    rows.append(("total", [sum(row[1][i] for row in rows) for i in range(len(columns))]))
    lines = [f"study {study.name} ({study.origin})"]
    if kept is not None:
        lines.append(kept)
    lines.append(f"{'phase':<14}" + "".join(f"{title:>14}" for title in titles))
    lines += [f"{name:<14}" + "".join(f"{count:>14,}" for count in row) for name, row in rows]
    if any(cost.open_slots for cost in costs.values()):
        lines.append(
            "open: decided later, by an earlier phase, round or rung; counted at the most steps"
        )
    return "\n".join(lines)


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
    yield f"{at_most}{counted(sum(rule.jobs for rule in rules), 'training job')}:"
    shown = rules[:MOST_RULES] if shorten else rules
    width = max(len(rule.rule) for rule in shown)
    for rule in shown:
        yield f"  {rule.rule:{width}}  {_trains_text(rule, shorten)}"
    if len(shown) < len(rules):
        left = rules[len(shown) :]
        trials = counted(sum(len(rule.trains) + rule.open_slots for rule in left), "trial")
        yield f"  ... {counted(len(left), 'more rule')} with {trials}; --trials names all"


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
