"""What a job that fills slots would write now, from the files that it reads; nothing is written.

plan of the job, records, rankings  ->  the function of its script  ->  trials, and what else
it decides
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.paths import Layout
from resweep.ranking.fine_tuning import Start, choose_starts, plan_trials, read_starts, start_round
from resweep.ranking.selection import best_of_phases_text, plan_rerun, runs_to_continue
from resweep.search.promote import promote, rung_plan_from
from resweep.search.rounds import RoundPlan, plan_from
from resweep.store.progress import progress_for
from resweep.study.fill import Fill
from resweep.trials.trial import Outcome, Trial

STARTS = "starts"  # what rounds of a fine-tuning are filled from
SCRIPTS = ("plan_rerun.py", "plan_finetune.py", "promote.py", "suggest.py")

# Takes the arguments of `search.rounds.propose_round`; None: that is open.
Propose = Callable[..., list[Trial] | None]


@dataclass(frozen=True, kw_only=True)
class Filled:
    """What a job writes.

    Attributes:
        trials: One for each of its trial files; None where that is open.
        chosen: Content of the list of best configurations, if it chooses them.
        starts: What a fine-tuning starts from, if it chooses that.
        decisions: Of a rung.
    """

    trials: list[Trial] | None
    chosen: str | None = None
    starts: list[Start] | None = None
    decisions: list[dict[str, Any]] | None = None


def fill_again(
    fill: Fill, layout: Layout, read: Callable[[Path], Outcome], propose: Propose
) -> Filled:
    """Do what the script of a job does.

    Args:
        fill: The job; its script is one of `SCRIPTS`.
        layout: Of the results folder.
        read: Reads a trial by its record.
        propose: Proposes a round.

    Raises:
        ResweepError, OSError: What it reads is missing or damaged, or does not fit.
    """
    files = fill.outputs.get("trials", ())
    assert fill.plan is not None, "these scripts have one"
    plan: Any = json.loads(fill.plan)
    if fill.script == "plan_rerun.py":
        return _fill_rerun(fill, plan, read)
    if fill.script == "plan_finetune.py":
        starts = choose_starts(fill.inputs["scores"], plan, layout, read)
        trials = plan_trials([path.stem for path in files], plan, starts)
        return Filled(trials=trials, starts=starts)
    outcomes = list(map(read, fill.records))
    if fill.script == "promote.py":
        trials, decisions = promote(rung_plan_from(plan), outcomes)
        return Filled(trials=trials, decisions=decisions)
    of_round = plan_from(plan)
    if STARTS in fill.inputs:
        started = start_round(of_round, read_starts(fill.inputs[STARTS][0]))
        if not isinstance(started, RoundPlan):
            return Filled(trials=started)
        of_round = started
    progress = progress_for(of_round, layout)
    tables = fill.inputs["warm_start"]
    return Filled(trials=propose(of_round, outcomes, tables, layout, read, progress))


def _fill_rerun(fill: Fill, plan: Any, read: Callable[[Path], Outcome]) -> Filled:
    files = fill.outputs["trials"]
    (best,) = (fill.inputs if "best" in fill.inputs else fill.outputs)["best"]
    chosen, resumed = None, []
    if "scores" in fill.inputs:
        of = (fill.inputs["scores"], len(files) // len(plan["seeds"]), plan)
        chosen = best_of_phases_text(*of, read)
        if plan.get("resume"):
            resumed = runs_to_continue(*of, read)
    trials = plan_rerun(best, [path.stem for path in files], resumed=resumed, **plan)
    return Filled(trials=trials, chosen=chosen)
