"""A re-decision for people: what each rung decides, what becomes of each trial, what it costs."""

from collections.abc import Iterator, Sequence

from resweep.replay.bounds import Fate
from resweep.replay.curves import RecordedCurve, RecordedSweep
from resweep.replay.redecide import Choice, Redecision
from resweep.replay.rung_summary import rung_table, summarize_rungs
from resweep.replay.verdict import Verdict, correlations, judge
from resweep.trials.record import Status

MOST_TRIALS = 30
MOST_NAMES = 3


def describe_redecision(sweep: RecordedSweep, choice: Choice, redecision: Redecision) -> str:
    """Return what a rule comes to, as plain text.

    Args:
        sweep: As it was.
        choice: The rule.
        redecision: What it decided.
    """
    verdict = judge(sweep, redecision)
    lines = [*_head(sweep, choice, verdict), ""]
    rungs = summarize_rungs(redecision.decided, correlations(sweep, choice))
    if rungs:
        lines += [*_table(*rung_table(rungs)), *_caveat(sweep), ""]
    lines += [*_trial_table(sweep, redecision, verdict), ""]
    lines += [*_cost(verdict), *_winner(sweep, verdict), *_unknown(redecision, verdict)]
    return "\n".join(lines) + "\n"


def _head(sweep: RecordedSweep, choice: Choice, verdict: Verdict) -> Iterator[str]:
    trials = f"{len(sweep.curves)} trials"
    if sweep.rounds:
        trials += f" in {len({curve.round for curve in sweep.curves})} rounds, as they were"
    yield f"{sweep.study}/{sweep.phase}: {trials}, {len(verdict.order)} with a final {sweep.metric}"
    metric = sweep.curves[0].metric.name if sweep.curves else sweep.metric
    if choice.kind == "none":
        yield "rule: none, all are trained to their ends"
        return
    detail = f"keep {choice.rule.keep}" if choice.kind == "one_cut" else f"eta {choice.rule.eta:g}"
    if choice.kind == "asynchronous" and not choice.rule.strict:
        detail += ", the best value so far decides"
    bands = ("values " if len(choice.bands) > 1 else "value ") + ", ".join(map(str, choice.bands))
    yield f"rule: {choice.kind} at {bands} of {metric}, {choice.goal}, {detail}"


def _caveat(sweep: RecordedSweep) -> Iterator[str]:
    yield "  rank correlation: of the values there with the final ones"
    lacking = sum(curve.status is None for curve in sweep.curves)
    if lacking:
        yield f"  (of survivors: the ends of {lacking} trials that a rung stopped are not known)"


def _trial_table(sweep: RecordedSweep, redecision: Redecision, verdict: Verdict) -> Iterator[str]:
    rest = [curve for curve in sweep.curves if curve.final is None]
    rest.sort(key=lambda curve: (-redecision.fates[curve.trial].most, curve.trial))
    rows = []
    for place, curve in enumerate([*verdict.order, *rest], 1):
        fate = redecision.fates[curve.trial]
        rows.append(
            (
                str(place) if curve.final is not None else "",
                curve.trial,
                f"{curve.final:.4f}" if curve.final is not None else "",
                f"{curve.trained:,}",
                _fate_text(curve, fate),
            )
        )
    titles = ("place", "trial", f"final {sweep.metric}", "trained", "by this rule")
    yield from _table(titles, rows[:MOST_TRIALS])
    if len(rows) > MOST_TRIALS:
        yield f"  ... and {len(rows) - MOST_TRIALS} more: --csv FILE has all decisions"


def _fate_text(curve: RecordedCurve, fate: Fate) -> str:
    if fate.stopped is None:
        return f"{fate.least:,} to {fate.most:,}: not known"
    if fate.stopped:
        steps = f"{fate.most:,}" if fate.least == fate.most else f"{fate.least:,} to {fate.most:,}"
        return f"stopped at {steps}"
    how = "its end, which is not known" if curve.status is None else curve.rule or curve.status
    return f"{fate.most:,}" if how == Status.FINISHED else f"{fate.most:,}: {how}"


def _cost(verdict: Verdict) -> Iterator[str]:
    ends = dict.fromkeys([verdict.least, verdict.most])
    steps = " to ".join(f"{end:,}" for end in ends)
    share = " to ".join(dict.fromkeys(f"{end / max(1, verdict.full):.0%}" for end in ends))
    yield f"cost: {steps} steps, {share} of the {verdict.full:,} that all trials would take"
    yield f"      the sweep itself trained {verdict.trained:,}"


def _winner(sweep: RecordedSweep, verdict: Verdict) -> Iterator[str]:
    winner, survivor = verdict.winner, verdict.survivor
    if winner is None:
        yield f"winner: none, no trial has a final {sweep.metric}"
        return
    fate = {False: "gets to its end", True: "is stopped", None: "not known whether it is stopped"}
    yield (
        f"winner: {winner.trial}, {sweep.metric} {winner.final:.4f}, the best of "
        f"{len(verdict.order)} whose ends are known: {fate[verdict.winner_stopped]}"
    )
    if survivor is None:
        yield "        none of these gets to its end for sure"
    elif survivor is not winner:
        yield (
            f"        the best of these that does is {survivor.trial}, place {verdict.place}, "
            f"{survivor.final:.4f}: regret {verdict.regret:.4f}"
        )


def _unknown(redecision: Redecision, verdict: Verdict) -> Iterator[str]:
    lacking = sorted(redecision.unknown_from.items(), key=lambda item: (item[1], item[0]))
    if not lacking:
        return
    named = ", ".join(f"{trial} from step {step:,}" for trial, step in lacking[:MOST_NAMES])
    more = f" and {len(lacking) - MOST_NAMES} more" if len(lacking) > MOST_NAMES else ""
    trials = "1 trial" if len(lacking) == 1 else f"{len(lacking)} trials"
    yield f"unknown: the sweep stopped {trials} that this rule would, or might, train on:"
    yield f"         {named}{more}"
    if verdict.open:
        yield f"         {verdict.open} of them would, or might, get to an end that nobody saw"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table's lines, numbers flush right, the last column as it is."""
    widths = [max(len(row[i]) for row in (titles, *rows)) for i in range(len(titles) - 1)]
    for row in (titles, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        yield f"  {'  '.join(cells)}  {row[-1]}".rstrip()
