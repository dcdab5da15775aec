"""The first screen of a report: five cards that answer what a reader opens it for.

    find_verdict  ->  which configuration is best  |  how sure is that
    importances   ->  what mattered most
    spent_on      ->  what did it cost
    find_model    ->  how do I load it

At 1280 by 800 all cards are visible without scrolling; on a phone they are stacked.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from resweep.paths import Layout
from resweep.plurals import counted, duration
from resweep.ranking.score_row import spread_text
from resweep.ranking.scores import WORST_LAST
from resweep.ranking.trial_result import SEED
from resweep.report.best_model import find_model, why_no_model
from resweep.report.importance import importance_note, lead_may_be_chance
from resweep.report.page import escape
from resweep.report.results import StudyResults, shown
from resweep.report.spent import Spent
from resweep.report.verdict import Sure, Verdict, find_verdict
from resweep.report.verdict_text import reference_lines, sure_lines, sure_title, trained_line
from resweep.study.deciding import DECIDING
from resweep.trials.record import Status

MOST_SETTINGS = 8
MOST_LARGE = 4  # of the settings, to be shown in large type
MOST_MATTERED = 4
MOST_REASONS = 3


def first_screen(results: StudyResults, spent: Mapping[str, Spent], layout: Layout) -> str:
    """Return the cards as HTML.

    Args:
        results: Of the study.
        spent: What each phase took.
        layout: Where the weights are.
    """
    verdict = find_verdict(results)
    cards = [
        *(_winner_cards(verdict, results) if verdict else [_no_winner(results)]),
        _card("mattered", "What mattered most?", _mattered(results)),
        _card("cost", "What did it cost?", _paragraphs(cost_lines(results, spent.values()))),
        *([_card("load", "How do I load it?", _load(verdict, results, layout))] if verdict else []),
    ]
    return f'<div class="first-screen">\n{"".join(cards)}</div>\n'


def _card(name: str, title: str, content: str, badge: str = "") -> str:
    chip = f' <span class="badge">{escape(badge)}</span>' if badge else ""
    return f'<section class="card {name}"><h2>{escape(title)}{chip}</h2>{content}</section>\n'


def _paragraphs(lines: Iterable[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _winner_cards(verdict: Verdict, results: StudyResults) -> Iterator[str]:
    row, metric = verdict.row, verdict.phase.metric
    better = "higher is better" if verdict.phase.goal == "maximize" else "lower is better"
    value = (
        f'<p class="figure"><b>{escape(spread_text(row.final_mean, row.final_std))}</b> '
        f"<span>{escape(metric)}, {better}</span></p>"
    )
    lines = [trained_line(verdict), *reference_lines(results)]
    content = f"{_settings(verdict)}{value}{_paragraphs(lines)}"
    yield _card("best", "Which configuration is best?", content)
    badge = sure_title(verdict)
    name = "sure clear" if verdict.sure is Sure.CLEAR else "sure"
    yield _card(name, "How sure is that?", _paragraphs(sure_lines(verdict)), badge)


def _settings(verdict: Verdict) -> str:
    """Return the winner's hyperparameters as a list of terms."""
    if not verdict.settings:
        return (
            f"<p>The configuration of the study itself: {escape(verdict.phase.name)} varies no "
            "hyperparameter.</p>"
        )
    named = {verdict.labels[path]: shown(value) for path, value in verdict.settings.items()}
    return _terms(named)


def _terms(named: Mapping[str, Any]) -> str:
    pairs = list(named.items())
    inner = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>"
        for name, text in pairs[:MOST_SETTINGS]
    )
    more = len(pairs) - MOST_SETTINGS
    rest = f"<p>and {more} more, in the table below</p>" if more > 0 else ""
    name = "settings many" if len(pairs) > MOST_LARGE else "settings"
    return f'<dl class="{name}">{inner}</dl>{rest}'


def _no_winner(results: StudyResults) -> str:
    reasons = {
        f"Trial {row.trial} of {phase.name} {row.status}: {row.stop_reason}": row.stop_reason
        for phase in reversed(results.phases)
        for row in reversed(phase.scores)
        if row.stop_reason
    }
    first_of_each = {reason: line for line, reason in reasons.items()}
    lines = ["No configuration has a result.", *list(first_of_each.values())[::-1][:MOST_REASONS]]
    return _card("best none", "Which configuration is best?", _paragraphs(lines))


def _mattered(results: StudyResults) -> str:
    """Return the shares of the hyperparameters of the search that can tell the most of them."""
    searches = [phase for phase in results.phases if phase.kind not in DECIDING]
    phase = max(
        searches or results.phases,
        key=lambda one: (importance_note(one) is None, len(one.finals)),
    )
    if not phase.finals:
        return _paragraphs([f"No trial of {phase.name} has a result."])
    found = phase.importances
    if not found:
        varied = [path for path in phase.hyperparameters if path != SEED]
        if len(varied) == 1:
            return _paragraphs([f"Only {phase.plain_label(varied[0])} was varied in {phase.name}."])
        note = importance_note(phase) or ""
        return _paragraphs([f"In {phase.name}: {note}."])
    if not any(one.share for one in found):
        said = f"In {phase.name}, no hyperparameter mattered more than random order would show."
        return _paragraphs([said])
    bars = "".join(
        f"<li>{escape(phase.plain_label(one.path))} <b>{one.share:.0%}</b> ± {one.error:.0%}"
        f'<span class="share"><i style="width: {one.share:.1%}"></i></span></li>'
        for one in found[:MOST_MATTERED]
    )
    rest = len(found) - MOST_MATTERED
    more = f"{rest} more are in the charts of {phase.name}. " if rest > 0 else ""
    chance = "The order of the first two may be chance. " if lead_may_be_chance(found) else ""
    about = (
        f"{more}{chance}Shares: how much each sets the best trials of {phase.name} apart from all "
        "(PED-ANOVA); ± is one standard deviation over resampled trials."
    )
    return f"<ol>{bars}</ol>{_paragraphs([about])}"


def cost_lines(results: StudyResults, spent: Iterable[Spent]) -> Iterator[str]:
    """Yield what the study took, and what stopping early saved."""
    phases = list(spent)
    statuses = Counter(row.status for phase in results.phases for row in phase.scores)
    listed = ", ".join(f"{statuses[one]:,} {one}" for one in WORST_LAST if statuses[one])
    yield f"{counted(statuses.total(), 'trial')}: {listed}."
    steps = sum(one.steps for one in phases)
    times = {
        "GPU time": math.fsum(one.gpu_seconds for one in phases),
        "training time on CPUs": math.fsum(one.training_seconds for one in phases),
    }
    took = " and ".join(
        f"{duration(seconds)} of {name}" for name, seconds in times.items() if seconds
    )
    yield f"{steps:,} training steps{f' in {took}, all processes together' if took else ''}."
    stopped = [one for phase in phases for one in (phase.by_rungs, phase.by_monitors)]
    saved = sum(one.steps for one in stopped)
    if saved:
        share = saved / sum(one.planned for one in phases)
        seconds = math.fsum(one.seconds for one in stopped)
        runs = counted(sum(one.runs for one in stopped), "training")
        yield (
            f"Stopping {runs} early saved {saved:,} steps, {share:.0%} of all"
            f"{f', about {duration(seconds)}' if seconds >= 1 else ''}."
        )
    elif statuses[Status.STOPPED]:
        yield "What stopping saved is unknown: the records do not say how many steps were planned."
    else:
        yield "No training was stopped early."
    repeated = sum(one.repeated for one in phases)
    if repeated:
        yield f"{repeated:,} steps were trained twice, after interruptions."


def _load(verdict: Verdict, results: StudyResults, layout: Layout) -> str:
    model = find_model(results, verdict.phase, layout)
    if model is None:
        return _paragraphs([f"No weights: {why_no_model(results, verdict.phase, layout)}."])
    content = f"<p>Weights of trial {escape(model.row.trial)}:</p>{_code(str(model.path))}"
    if model.load_line is None:
        return content
    where = ""
    if not model.path.is_absolute():
        where = f", from the folder that contains <code>{escape(model.path.parts[0])}</code>"
    line = model.load_line
    if line.startswith(("from ", "import ")):
        line = line.replace("; ", "\n", 1)
    loaded = f"<p>In Python{where}:</p>{_code(line)}"
    return f'<div class="ways"><div>{content}</div><div>{loaded}</div></div>'


def _code(text: str) -> str:
    return f'<div class="code"><pre><code>{escape(text)}</code></pre></div>'
