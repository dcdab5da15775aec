"""The summary of a study for a terminal: rankings, reruns, paths of report and model."""

from collections.abc import Iterator, Sequence

from resweep.paths import Layout, PhaseFolder
from resweep.plurals import counted
from resweep.ranking.old_bests import kept_text
from resweep.ranking.score_row import configurations, final_text, spread_text, value_text
from resweep.ranking.ties import Tie
from resweep.ranking.trial_result import SEED
from resweep.replay.rung_summary import rung_table
from resweep.report.best_model import find_model, why_no_model
from resweep.report.better import better_line
from resweep.report.compare import compare_rerun, copies_line, held_lines
from resweep.report.first import first_lines
from resweep.report.results import PhaseResults, StudyResults, shown
from resweep.report.text_table import LONGEST_CELL, WIDTH, text_table
from resweep.report.verdict import find_verdict
from resweep.report.verdict_text import reference_lines, sure_title
from resweep.trials.record import Status, stopped_at_rung

MOST_ROWS = 12  # per phase; the report has all
MOST_NAMES = 3  # of trials of one configuration
MOST_REASONS = 4


def summarize(results: StudyResults, layout: Layout) -> str:
    """Return the summary of a study: plain text, at most 100 columns wide except for paths.

    Args:
        results: Results of all phases.
        layout: Where its report and models are.
    """
    lines = [f"study {results.name}"]
    for phase in results.phases:
        lines += ["", *_phase_lines(phase)]
        for line in results.system.remarks(phase.trained):
            lines += _wrapped(line)
        lines += _removed_lines(phase, layout.phase(results.name, phase.name))
        lines += _rerun_lines(results, phase)
    for one in results.unlinked:
        lines += ["", *_wrapped(f"warning: {one.line}")]
    lines += ["", *_winner_lines(results), *_old_best_lines(results, layout)]
    report = layout.study(results.name).report
    lines.append(f"report: {report}" if report.exists() else f"report: {report} (not built yet)")
    lines += _model_lines(results, layout)
    return "\n".join(lines) + "\n"


def conclude(results: StudyResults, layout: Layout) -> str:
    """Return what a study came to: its best, its report, and the line that loads its model.

    Args:
        results: Results of all phases.
        layout: Where its report and models are.
    """
    phase = results.deciding or results.published
    lines = [f"study {results.name}, phase {phase.name}:"]
    for line in first_lines(phase) or ["no configuration has a result"]:
        lines += _wrapped(line)
    for line in reference_lines(results):
        lines += _wrapped(line)
    report = layout.study(results.name).report
    lines.append(f"report: {report}" if report.exists() else f"report: {report} (not built yet)")
    lines += _model_lines(results, layout)
    lines.append(f"all rankings: resweep summary {results.name}")
    return "\n".join(lines) + "\n"


def _phase_lines(phase: PhaseResults) -> Iterator[str]:
    """Yield the ranked table, and what there is to say of its first configuration."""
    swept = [path for path in phase.hyperparameters if path != SEED]
    yield f"{phase.name} ({phase.kind}, {counted(len(phase.scores), 'trial')})"
    by = phase.trained_by
    if by is not None:
        yield from _wrapped("; ".join(f"{title}: {text}" for title, text in by.facts.items()))
    ties = any(row.tie in (Tie.YES, Tie.NO) for row in phase.scores)
    rows = []
    for trials in configurations(phase.scores):
        first = trials[0]
        undone = [row for row in trials if row.score is None and not row.has_result]
        rows.append(
            [
                str(first.rank),
                _names([row.trial for row in trials]),
                *(shown(first.hyperparameters.get(path)) for path in swept),
                spread_text(first.final_mean, first.final_std),
                *([] if phase.score.by_final else [shown(first.score, 3)]),
                *([shown(first.tie)] if ties else []),
                [first, *undone][-1].status,
            ]
        )
    last = [
        f"final {phase.metric}",
        *([] if phase.score.by_final else ["score"]),
        *(["tie"] if ties else []),
    ]
    titles = ["rank", "trial", *map(phase.label, swept), *last, "status"]
    yield from text_table(titles, rows[:MOST_ROWS], fixed=len(last))
    if not phase.score.by_final:
        yield from _wrapped(f"{phase.score.rule}; the highest is rank 1")
    if len(rows) > MOST_ROWS:
        yield f"  ... {len(rows) - MOST_ROWS} more configurations in the report"
    yield from _rung_lines(phase)
    yield from _reason_lines(phase)
    for line in first_lines(phase) or ["no configuration has a result"]:
        yield from _wrapped(line)


def _removed_lines(phase: PhaseResults, folder: PhaseFolder) -> Iterator[str]:
    """Yield where the results of trials are that are no longer part of the study."""
    records = folder.removed.glob(f"{folder.records.name}/*.json")
    removed = {record.stem for record in records} - {row.trial for row in phase.scores}
    if removed:
        trials = counted(len(removed), "trial")
        yield from _wrapped(f"{trials} no longer in the study: files in {folder.removed}")


def _names(trials: Sequence[str]) -> str:
    """Return the names of the trials of one configuration, best first."""
    named = ", ".join(trials)
    if len(trials) <= MOST_NAMES and len(named) <= LONGEST_CELL:
        return named
    return f"{trials[0]} and {len(trials) - 1} more"


def _rung_lines(phase: PhaseResults) -> Iterator[str]:
    """Yield a line for each rung."""
    if phase.rungs:
        yield from text_table(*rung_table(phase.rung_summaries))
        yield "  rank correlation: values at the rung vs. final values, survivors only"


def _reason_lines(phase: PhaseResults) -> Iterator[str]:
    """Yield why trials did not finish, each reason once; trials stopped at rungs are left out."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in phase.scores:
        at_rung = bool(phase.rungs) and stopped_at_rung(row.status, row.rule)
        if row.status != Status.FINISHED and row.stop_reason is not None and not at_rung:
            reasons.setdefault((row.status, row.stop_reason), []).append(row.trial)
    for (status, reason), trials in list(reasons.items())[:MOST_REASONS]:
        more = f" and {len(trials) - 1} more" if len(trials) > 1 else ""
        yield from _wrapped(f"{status}: {trials[0]}{more}: {reason}")
    if len(reasons) > MOST_REASONS:
        yield f"  ... {len(reasons) - MOST_REASONS} more reasons in the report"


def _rerun_lines(results: StudyResults, rerun: PhaseResults) -> Iterator[str]:
    held = compare_rerun(results, rerun)
    for pair in () if rerun.starts_from_weights else held.pairs:
        final = spread_text(pair.value, pair.spread) or pair.lost
        yield from _wrapped(
            f"{pair.source} trial {pair.source_trial}: {pair.source_value:.4f} in {pair.source}, "
            f"{final} in {rerun.name} ({rerun.settings_text(pair.hyperparameters)})"
        )
    for line in held_lines(held, rerun):
        yield from _wrapped(line)
    copies = copies_line(results, rerun)
    if copies is not None:
        yield from _wrapped(f"warning: {copies}")


def _winner_lines(results: StudyResults) -> Iterator[str]:
    """Yield which configuration of the study wins, and what its value is compared with."""
    verdict = find_verdict(results)
    if verdict is None:
        return
    phase = verdict.phase
    value = f"{phase.metric} {final_text(verdict.row)}"
    yield f"winner: rank 1 of {phase.name}, {value}; how sure: {sure_title(verdict)}"
    for line in reference_lines(results):
        yield from _wrapped(line)


def _old_best_lines(results: StudyResults, layout: Layout) -> Iterator[str]:
    """Yield a line about a run better than the best, and one about all weights that stay."""
    better = better_line(results, layout)
    if better is not None:
        yield f"warning: {better}"
    kept = kept_text(results.name, results.old_bests)
    if kept is not None:
        yield kept


def _model_lines(results: StudyResults, layout: Layout) -> Iterator[str]:
    """Yield the path of the winner's model, and the line that loads it."""
    phase = results.deciding or results.published
    model = find_model(results, phase, layout)
    if model is None:
        models = layout.phase(results.name, phase.name).models
        yield f"model: none in {models}: {why_no_model(results, phase, layout)}"
        return
    row = model.row
    yield f"model: {model.path}"
    if row.final is not None and row.final != row.final_mean:
        yield f"  (its own {phase.metric}: {value_text(row.final, like=row.final_mean)})"
    if model.load_line is not None:
        yield model.load_line


def _wrapped(text: str) -> Iterator[str]:
    """Yield an indented sentence, wrapped between words."""
    line = "  "
    for word in text.split(" "):
        if len(line) + len(word) > WIDTH and line.strip():
            yield line.rstrip()
            line = "    "
        line += word + " "
    yield line.rstrip()
