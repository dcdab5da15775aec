"""From rung to rung: which trials are promoted, and the results of a round.

records of a rung                -> trial files of the next one, decisions
records of all rungs, decisions  -> the record and trial file of each trial
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from resweep.canonical import digest
from resweep.errors import DamagedFile
from resweep.files import link_relative, write_atomically
from resweep.paths import Layout, RunFolder, rung_name
from resweep.plurals import counted
from resweep.search.observe import histories
from resweep.search.rungs import PROMOTE, STOP, Rung, RungEntry, decide, step_of
from resweep.sweep import EarlyTerminate
from resweep.systems.registry import metric_of
from resweep.trials.decisions import MADE_AGAIN, typed
from resweep.trials.record import Status, write_own_record, write_record
from resweep.trials.trial import Outcome, Trial, write_trial


@dataclass(frozen=True, kw_only=True)
class RungPlan:
    """A rung and the next one, as the settings define them.

    Attributes:
        study, phase: Where it belongs.
        rule: Decides which trials are promoted.
        rung: The rung.
        band: Of the next rung; None: to the end.
        slots: Names of the next rung's slots.
        metric, goal: What trials are compared by.
        keep: Whose weights are kept; trials stopped here lose theirs unless all are kept.
    """

    study: str
    phase: str
    rule: EarlyTerminate
    rung: Rung
    band: int | None
    slots: tuple[str, ...]
    metric: str
    goal: str
    keep: str

    def content(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return asdict(self)

    @property
    def rule_digest(self) -> str:
        """Digest of the settings that matter at this rung."""
        return digest(
            {
                "type": self.rule.type,
                "eta": float(self.rule.eta),
                "keep": self.rule.keep,
                "rung": self.rung.number,
                "band": self.rung.band,
                "metric": self.metric,
                "goal": self.goal,
            },
            12,
        )


def rung_plan_from(content: dict[str, Any]) -> RungPlan:
    """Make a plan from plain values, as `RungPlan.content` returns them."""
    rule, rung = EarlyTerminate(**content["rule"]), Rung(**content["rung"])
    return RungPlan(**{**content, "rule": rule, "rung": rung, "slots": tuple(content["slots"])})


def promote(
    plan: RungPlan, outcomes: Sequence[Outcome]
) -> tuple[list[Trial], list[dict[str, Any]]]:
    """Decide which trials are promoted.

    Args:
        plan: The rung.
        outcomes: Of all its trials.

    Returns:
        A trial for each slot of the next rung, the best first; and the decisions, as rows of
        decisions.csv.
    """
    trials = {outcome.trial.trial: outcome.trial for outcome in outcomes}
    entries = [
        RungEntry(
            trial=outcome.trial.trial,
            run_id=outcome.record.run_id,
            step=outcome.record.step,
            status=outcome.record.status,
            rule=outcome.record.rule,
            value=outcome.record.value(plan.metric),
        )
        for outcome in outcomes
        if outcome.record.status != Status.EMPTY
    ]
    decisions = [
        {**row, "rule_digest": plan.rule_digest}
        for row in decide(plan.rule, plan.rung, entries, plan.goal)
    ]
    chosen = [row["trial"] for row in decisions if row["decision"] == PROMOTE]
    planned = []
    for name in chosen:
        trial = trials[name]
        metric = metric_of(trial.config, plan.metric)
        stop = step_of(plan.band, metric, trial.config["training"])
        planned.append(replace(trial, stop=stop))
    counts = f"{len(planned)} of {counted(len(entries), 'trial')}"
    reason = f"only {counts} could be promoted from rung {plan.rung.number}"
    unfilled = plan.slots[len(planned) :]
    empty = [Trial(plan.study, plan.phase, slot, empty=reason) for slot in unfilled]
    return planned + empty, decisions


def check_decisions(
    path: Path, decisions: Iterable[Mapping[str, str]], outcomes: Iterable[Outcome]
) -> None:
    """Raise DamagedFile if the decisions of a rung do not agree with the records of its round.

    Args:
        path: Their file, named by the rung.
        decisions: Its rows, as they were read.
        outcomes: Of all slots of all rungs of the round.
    """
    number = int(path.stem.rpartition(rung_name(""))[2])
    filled = [outcome for outcome in outcomes if outcome.trial.empty is None]
    here, after = (
        {o.trial.trial: o.record for o in filled if o.path.parent.name == rung_name(rung)}
        for rung in (number, number + 1)
    )
    rows = {row["trial"]: typed(row) for row in decisions}
    for trial in sorted(here.keys() | after.keys() | rows.keys()):
        record, row = here.get(trial), rows.get(trial)
        if (
            record is None
            or row is None
            or (row["run_id"], row["step"]) != (record.run_id, record.step)
            or (row["value"] is not None and row["value"] not in record.metrics.values())
            or (row["decision"] == PROMOTE) != (trial in after)
        ):
            raise DamagedFile(path, f"does not agree with the records of {trial}", MADE_AGAIN)


def concluded(
    outcomes: Iterable[Outcome], decisions: Sequence[dict[str, Any]]
) -> Iterator[Outcome]:
    """Yield the result of each trial of a round: that of its last rung, and why it stopped there.

    Args:
        outcomes: Of all slots of all rungs of the round.
        decisions: Of its rungs.
    """
    reasons = {row["trial"]: row for row in decisions if row["decision"] == STOP}
    # An unfilled slot counts as a trial only at the first rung.
    counted = [o for o in outcomes if o.trial.empty is None or o.path.parent.name == rung_name(1)]
    for name, history in histories(counted).items():
        last = history[-1]
        if name in reasons and last.record.status == Status.STOPPED:
            row = reasons[name]
            reason = f"{row['rule']}: {row['reason']}"
            last = replace(last, record=replace(last.record, stop_reason=reason))
        yield last


def conclude(
    outcomes: Iterable[Outcome], decisions: Sequence[dict[str, Any]], layout: Layout
) -> None:
    """Write the record and trial file of each trial of a round; arguments of `concluded`."""
    outcomes = list(outcomes)
    before = {outcome.path: outcome.record for outcome in outcomes}
    for last in concluded(outcomes, decisions):
        trial = last.trial
        record = layout.record(trial.study, trial.phase, trial.trial)
        write_trial(layout.trial(trial.study, trial.phase, trial.trial), trial)
        if trial.empty is not None:
            write_own_record(record, Status.EMPTY, trial.empty)
        elif last.record != before[last.path]:
            write_record(record, last.record)
        elif last.path.is_symlink():
            run = RunFolder(layout.run(str(last.record.run_id)))
            link_relative(record, run.records / last.path.readlink().name)
        else:
            write_atomically(record, last.path.read_text())
