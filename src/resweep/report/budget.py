"""The budget of a study against what it spent and what it would take.

    hours   spent by its runs in the store  +  the estimate of what would train, else its time limit
    disk    what its runs take now          +  what would train, at most
    trials  all that the study has

A build beyond a limit does not start; one that trains nothing always does.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from resweep.errors import ConfigError, DamagedFile, Problem
from resweep.files import size_of
from resweep.json_files import read_json
from resweep.paths import Layout, RunFolder, run_of_link
from resweep.report.audit import audit
from resweep.report.audit_text import hours_text, hours_title
from resweep.report.measured import spent_seconds
from resweep.report.phase_cost import StudyCost
from resweep.study.study import Study

GB = 10**9


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One limit of a budget.

    Attributes:
        key: In the study file's `budget`.
        limit: Its value.
        spent: Of it, already.
        more: What a build would add; None: unknown.
        rests_on: What `more` is: an estimate, a bound, a count.
        unit: Of these numbers, for people.
    """

    key: str
    limit: float
    spent: float
    more: float | None
    rests_on: str
    unit: str

    @property
    def total(self) -> float | None:
        """Spent and added together; None: unknown."""
        return None if self.more is None else self.spent + self.more

    @property
    def is_exceeded(self) -> bool:
        """Whether a build would go beyond it, as far as is known."""
        known = self.spent if self.total is None else self.total
        return known > self.limit

    def text(self) -> str:
        """Return it for people, without the limit."""
        if self.key == "trials":
            return f"{self.total:,.0f} trials"
        more = "an unknown number of" if self.more is None else hours_text(self.more)
        spent = f"{hours_text(self.spent)} spent, " if self.spent else ""
        return f"{spent}{more} {self.unit} to come ({self.rests_on})"


def limits(cost: StudyCost, layout: Layout) -> list[Limit]:
    """Return the limits of a study, with what counts against each."""
    return list(_limits(cost, layout))


def _limits(cost: StudyCost, layout: Layout) -> Iterator[Limit]:
    budget = cost.study.budget
    if budget.gpu_hours is not None:
        estimate, bound = cost.hours, cost.most_hours
        known = "estimate" if estimate is not None else "time limit of its jobs"
        yield Limit(
            key="gpu_hours",
            limit=budget.gpu_hours,
            spent=sum(map(_spent, _runs_of(cost.study, layout))) / 3600,
            more=bound if estimate is None else estimate,
            rests_on="nothing like it was measured" if (estimate is bound is None) else known,
            unit=hours_title(cost),
        )
    if budget.disk_gb is not None:
        disk = cost.bound.disk
        yield Limit(
            key="disk_gb",
            limit=budget.disk_gb,
            spent=sum(size_of(run.path) for run in _runs_of(cost.study, layout)) / GB,
            more=None if disk is None else disk / GB,
            rests_on="at most" if disk is not None else "its models have to be built to know",
            unit="GB",
        )
    if budget.trials is not None:
        trials = sum(one.trials for one in cost.phases.values())
        yield Limit(
            key="trials", limit=budget.trials, spent=0, more=trials, rests_on="count", unit="trials"
        )


def budget_lines(cost: StudyCost, layout: Layout) -> Iterator[str]:
    """Yield a line for each limit of a study, for people."""
    for one in limits(cost, layout):
        yield f"budget {one.key}: {one.text()}, of {one.limit:,g}"


FIXES = {
    "gpu_hours": "train fewer trials or steps",
    "disk_gb": "keep or save fewer checkpoints, or free what `resweep forget` shows",
    "trials": "make the phases smaller",
}


def problems(cost: StudyCost, layout: Layout) -> list[Problem]:
    """Return a problem for each limit that a build would go beyond; none if it trains nothing."""
    if not cost.trains:
        return []
    return [
        Problem(
            cost.study.origin,
            f"budget.{limit.key}",
            limit.limit,
            f"is less than {limit.text()}; {FIXES[limit.key]}, or raise it",
        )
        for limit in limits(cost, layout)
        if limit.is_exceeded
    ]


def check_budget(study: Study, layout: Layout) -> None:
    """Stop a build that would go beyond the study's budget.

    Raises:
        ConfigError: A line for each limit.
    """
    if not study.budget.has_limits:
        return
    found = problems(audit(study, layout, explained=0), layout)
    if found:
        raise ConfigError(found)


def _runs_of(study: Study, layout: Layout) -> list[RunFolder]:
    """Return the runs that records of a study lead to."""
    records = layout.study(study.name).all_records()
    names = dict.fromkeys(filter(None, map(run_of_link, records)))
    folders = [RunFolder(layout.run(name)) for name in names]
    return [folder for folder in folders if folder.path.is_dir()]


def _spent(folder: RunFolder) -> float:
    """Return the seconds that GPUs or cores spent on a run; 0 if its state is damaged."""
    try:
        return spent_seconds(read_json(folder.state, ""))
    except (OSError, DamagedFile, LookupError, TypeError, ValueError):
        return 0.0
