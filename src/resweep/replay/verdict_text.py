"""A replay as text: the decisions at each rung, the fate of each trial, the cost."""

from collections.abc import Iterator, Sequence

from resweep.plurals import counted
from resweep.replay.bounds import Fate
from resweep.replay.curves import RecordedCurve, RecordedSweep
from resweep.replay.redecide import Choice, Redecision
from resweep.replay.rung_summary import rung_table, summarize_rungs
from resweep.replay.verdict import Verdict, correlations, judge
from resweep.trials.record import Status

MOST_TRIALS = 30
MOST_NAMES = 3


def describe_redecision(sweep: RecordedSweep, choice: Choice, redecision: Redecision) -> str:
    """Return the outcome of a replay as plain text.

    Args:
        sweep: The recorded sweep.
        choice: The rule.
        redecision: Its decisions.
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
    trials = counted(len(sweep.curves), "trial")
    if sweep.rounds:
        trials += f" in {counted(len({curve.round for curve in sweep.curves}), 'round')}"
    yield f"{sweep.study}/{sweep.phase}: {trials}, {len(verdict.order)} with a final {sweep.metric}"
    metric = sweep.curves[0].metric.name if sweep.curves else sweep.metric
    if choice.kind == "none":
        yield "rule: none; all trials train to the end"
        return
    detail = f"keep {choice.rule.keep}" if choice.kind == "one_cut" else f"eta {choice.rule.eta:g}"
    if choice.kind == "asynchronous" and not choice.rule.strict:
        detail += ", comparing the best value so far"
    bands = ("values " if len(choice.bands) > 1 else "value ") + ", ".join(map(str, choice.bands))
    yield f"rule: {choice.kind} at {bands} of {metric}, {choice.goal}, {detail}"


def _caveat(sweep: RecordedSweep) -> Iterator[str]:
    yield "  rank correlation: values at the rung vs. final values"
    lacking = len([curve for curve in sweep.curves if curve.status is None])
    if lacking:
        yield f"  (survivors only: the final values of {lacking} stopped trials are unknown)"


def _trial_table(sweep: RecordedSweep, redecision: Redecision, verdict: Verdict) -> Iterator[str]:
    rest = [curve for curve in sweep.curves if curve.final is None]
    rest.sort(key=lambda curve: (-redecision.fates[curve.trial].most, curve.trial))
    rows = []
    for rank, curve in enumerate([*verdict.order, *rest], 1):
        fate = redecision.fates[curve.trial]
        rows.append(
            (
                str(rank) if curve.final is not None else "",
                curve.trial,
                f"{curve.final:.4f}" if curve.final is not None else "",
                f"{curve.trained:,}",
                _fate_text(curve, fate),
            )
        )
    titles = ("rank", "trial", f"final {sweep.metric}", "trained", "under this rule")
    yield from _table(titles, rows[:MOST_TRIALS])
    if len(rows) > MOST_TRIALS:
        yield f"  ... {len(rows) - MOST_TRIALS} more trials; --csv FILE writes all decisions"


def _fate_text(curve: RecordedCurve, fate: Fate) -> str:
    if fate.stopped is None:
        return f"{fate.least:,} to {fate.most:,}: unknown"
    if fate.stopped:
        steps = f"{fate.most:,}" if fate.least == fate.most else f"{fate.least:,} to {fate.most:,}"
        return f"stopped at {steps}"
    how = "final value unknown" if curve.status is None else curve.rule or curve.status
    return f"{fate.most:,}" if how == Status.FINISHED else f"{fate.most:,}: {how}"


def _cost(verdict: Verdict) -> Iterator[str]:
    ends = dict.fromkeys([verdict.least, verdict.most])
    steps = " to ".join(f"{end:,}" for end in ends)
    share = " to ".join(dict.fromkeys(f"{end / max(1, verdict.full):.0%}" for end in ends))
    yield f"cost: {steps} steps, {share} of the {verdict.full:,} for training all trials to the end"
    yield f"      the sweep itself trained {verdict.trained:,} steps"


def _winner(sweep: RecordedSweep, verdict: Verdict) -> Iterator[str]:
    winner, survivor = verdict.winner, verdict.survivor
    if winner is None:
        yield f"winner: none; no trial has a final {sweep.metric}"
        return
    fate = {False: "survives", True: "is stopped", None: "may be stopped"}
    yield (
        f"winner: {winner.trial}, {sweep.metric} {winner.final:.4f}, the best of "
        f"{counted(len(verdict.order), 'known final value')}: {fate[verdict.winner_stopped]}"
    )
    if survivor is None:
        yield "        none of these trials is sure to survive"
    elif survivor is not winner:
        yield (
            f"        best survivor: {survivor.trial}, rank {verdict.rank}, "
            f"{survivor.final:.4f}: regret {verdict.regret:.4f}"
        )


def _unknown(redecision: Redecision, verdict: Verdict) -> Iterator[str]:
    lacking = sorted(redecision.unknown_from.items(), key=lambda item: (item[1], item[0]))
    if not lacking:
        return
    named = ", ".join(f"{trial} after step {step:,}" for trial, step in lacking[:MOST_NAMES])
    more = f" and {len(lacking) - MOST_NAMES} more" if len(lacking) > MOST_NAMES else ""
    trials = counted(len(lacking), "trial")
    yield f"unknown: the sweep stopped {trials} that this rule would, or might, continue:"
    yield f"         {named}{more}"
    if verdict.open:
        yield f"         {verdict.open} would, or might, finish with an unknown final value"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table's lines, right-aligned except for the last column."""
    widths = [max(len(row[i]) for row in (titles, *rows)) for i in range(len(titles) - 1)]
    for row in (titles, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        yield f"  {'  '.join(cells)}  {row[-1]}".rstrip()
