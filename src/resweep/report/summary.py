"""The summary of a study for a terminal: rankings, reruns, paths of report and model."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from resweep.paths import Layout, PhaseFolder
from resweep.plurals import counted
from resweep.ranking.keep import weights_command
from resweep.ranking.old_bests import kept_text
from resweep.ranking.scores import SEED, with_result
from resweep.replay.rung_summary import rung_table
from resweep.report.better import better_line
from resweep.report.results import (
    PhaseResults,
    StudyResults,
    compare_rerun,
    shown,
    spread_text,
)
from resweep.store import checkpoints as checkpoint
from resweep.trials.record import Status, stopped_at_rung

WIDTH = 100
MOST_ROWS = 12  # per phase; the report has all
MOST_REASONS = 4
LONGEST_CELL = 24


def summarize(results: StudyResults, layout: Layout) -> str:
    """Return the summary of a study: plain text, at most 100 columns wide except for paths.

    Args:
        results: Results of all phases.
        layout: Where its report and models are.
    """
    lines = [f"study {results.name}"]
    for phase in results.phases:
        lines += ["", *_phase_lines(phase)]
        source = results.phase(phase.source)
        if source is not None:
            lines += _rerun_lines(source, phase)
    lines += ["", *_reference_lines(results), *_old_best_lines(results, layout)]
    report = layout.study(results.name).report
    lines.append(f"report: {report}" if report.exists() else f"report: {report} (not built yet)")
    lines += _model_lines(results, layout)
    return "\n".join(lines) + "\n"


def _phase_lines(phase: PhaseResults) -> Iterator[str]:
    """Yield the ranked table and the best configuration."""
    swept = [path for path in phase.hyperparameters if path != SEED]
    yield f"{phase.name} ({phase.kind}, {counted(len(phase.scores), 'trial')})"
    by = phase.trained_by
    if by is not None:
        yield from _wrapped("; ".join(f"{title}: {text}" for title, text in by.facts.items()))
    rows = []
    for rank, trials in phase.scores.groupby("rank", sort=True):
        first = trials.iloc[0]
        undone = trials[trials["score"].isna() & ~with_result(trials)]
        status = str(first["status"] if undone.empty else undone.iloc[-1]["status"])
        rows.append(
            [
                str(rank),
                str(first["trial"]) + (f" +{len(trials) - 1}" if len(trials) > 1 else ""),
                *(shown(first[path]) for path in swept),
                spread_text(first["final_mean"], first["final_std"]),
                shown(first["score"], 3),
                status,
            ]
        )
    titles = ["rank", "trial", *map(phase.label, swept), f"final {phase.metric}", "score", "status"]
    yield from _table(titles, rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        yield f"  ... {len(rows) - MOST_ROWS} more configurations in the report"
    yield from _rung_lines(phase)
    yield from _reason_lines(phase)
    best = phase.best
    if best.empty:
        yield "  no configuration has a result"
        return
    first = best.iloc[0]
    chosen = phase.settings_text({path: first[path] for path in swept})
    chosen = f" with {chosen}" if chosen else ""
    seeds = f" over {len(best)} seeds" if len(best) > 1 else ""
    value = spread_text(first["final_mean"], first["final_std"])
    yield from _wrapped(f"best: {phase.metric} {value}{seeds}{chosen}")


def _rung_lines(phase: PhaseResults) -> Iterator[str]:
    """Yield a line for each rung."""
    if phase.rungs:
        yield from _table(*rung_table(phase.rung_summaries))
        yield "  rank correlation: values at the rung vs. final values, survivors only"


def _reason_lines(phase: PhaseResults) -> Iterator[str]:
    """Yield why trials did not finish, each reason once; trials stopped at rungs are left out."""
    unfinished = phase.scores[
        (phase.scores["status"] != Status.FINISHED) & phase.scores["stop_reason"].notna()
    ]
    if phase.rungs:
        at_rung = map(stopped_at_rung, unfinished["status"], unfinished["rule"])
        unfinished = unfinished[[not stopped for stopped in at_rung]]
    reasons = list(unfinished.groupby(["status", "stop_reason"], sort=False)["trial"])
    for (status, reason), trials in reasons[:MOST_REASONS]:
        more = f" and {len(trials) - 1} more" if len(trials) > 1 else ""
        yield from _wrapped(f"{status}: {trials.iloc[0]}{more}: {reason}")
    if len(reasons) > MOST_REASONS:
        yield f"  ... {len(reasons) - MOST_REASONS} more reasons in the report"


def _rerun_lines(source: PhaseResults, rerun: PhaseResults) -> Iterator[str]:
    for pair in compare_rerun(source, rerun):
        final = spread_text(pair.final, pair.spread) or "not finished"
        yield from _wrapped(
            f"{source.name} trial {pair.source_trial}: {pair.source_final:.4f} in {source.name}, "
            f"{final} in {rerun.name} ({source.settings_text(pair.hyperparameters)})"
        )


def _reference_lines(results: StudyResults) -> Iterator[str]:
    """Yield the best value of each metric that has a reference."""
    for reference in results.references:
        phases = [p for p in results.phases if p.metric == reference.metric and not p.best.empty]
        if not phases:
            continue
        best = max if phases[0].goal == "maximize" else min
        value = best(best(phase.with_result["final"]) for phase in phases)
        side = "below" if value < reference.value else "above"
        yield (
            f"best {reference.metric}: {value:.4f}, {side} the {reference.name} of "
            f"{reference.value:.4f}"
        )
        yield f"  ({reference.meaning})"


def _old_best_lines(results: StudyResults, layout: Layout) -> Iterator[str]:
    """Yield a line about a run better than the best, and one about all weights that stay."""
    better = better_line(results, layout)
    if better is not None:
        yield f"warning: {better}"
    kept = kept_text(results.name, results.old_bests)
    if kept is not None:
        yield kept


def _model_lines(results: StudyResults, layout: Layout) -> Iterator[str]:
    """Yield the path of the last phase's best model, and the line that loads it."""
    last = results.phases[-1]
    folder = layout.phase(results.name, last.name)
    models = folder.models
    kept = [models / trial for trial in last.best["trial"] if (models / trial).exists()]
    if not kept and last.keep != "none":  # restored weights have no link
        paths = [_weights(row, layout) for row in last.best.to_dict("records")]
        kept = [path for path in paths if path.is_dir()]
    if not kept:
        yield f"model: none in {models}: {_why_no_model(last, folder, layout)}"
        return
    yield f"model: {kept[0]}"
    line = results.system.load_line(kept[0])
    if line is not None:
        yield line


def _weights(row: Mapping[Hashable, Any], layout: Layout) -> Path:
    """Return the weights folder of a row of scores.csv; it may have been deleted."""
    return layout.run(row["run_id"]) / checkpoint.folder_name(int(row["step"]))


def _why_no_model(phase: PhaseResults, folder: PhaseFolder, layout: Layout) -> str:
    if phase.best.empty:
        return "no configuration has a result"
    if phase.keep == "none":
        return "the study keeps no weights of this phase"
    trial, run_id = phase.best.iloc[0][["trial", "run_id"]]
    run = layout.run(run_id)
    if not run.is_dir():
        return f"{run}: the run of the best trial, {trial}, is not there, or the store is away"
    return (
        f"the weights of the best trial, {trial}, were deleted or never saved; restore them with "
        f"`{weights_command(folder, trial)}`"
    )


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table's lines; long cells are cut, and the last column takes the remaining width.

    If the hyperparameters do not fit into a line, the last of them are left out.
    """
    cells = [[_cut(cell, LONGEST_CELL) for cell in row[:-1]] + [row[-1]] for row in (titles, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles) - 1)]
    shown_columns = list(range(len(widths)))
    while sum(widths[c] + 2 for c in shown_columns) > WIDTH - 12 and len(shown_columns) > 5:
        shown_columns.pop(-3)  # the last hyperparameter: final value and score stay
    for row in cells:
        line = "  " + "  ".join(
            row[c].ljust(widths[c]) if titles[c] == "trial" else row[c].rjust(widths[c])
            for c in shown_columns
        )
        yield _cut(f"{line}  {row[-1]}", WIDTH).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _wrapped(text: str) -> Iterator[str]:
    """Yield an indented sentence, wrapped between words."""
    line = "  "
    for word in text.split(" "):
        if len(line) + len(word) > WIDTH and line.strip():
            yield line.rstrip()
            line = "    "
        line += word + " "
    yield line.rstrip()
