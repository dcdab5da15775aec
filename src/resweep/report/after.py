"""The audit of a study after it was built, as text: what it spent, what changed, what may go.

    records, states of runs   ->  a table of its phases, and what stopping saved
    study.yaml, code, sources ->  drift
    links, claims, policies   ->  orphaned runs, checkpoints that may go
    every digest              ->  damaged files

Only damage is a fault; the rest is for people to decide.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields

from resweep.paths import Layout
from resweep.plurals import counted, duration, size_text
from resweep.report.drift import FORGET, code_drift, data_drift, study_drift
from resweep.report.integrity import data_folders, find_damage, runs_of
from resweep.report.spent import Spent, Untrained, find_spent
from resweep.store.unused import find_orphans, find_spare_checkpoints
from resweep.study.study import Study

TITLES = {
    "done": "done",
    "runs": "runs",
    "planned": "planned",
    "steps": "trained",
    "repeated": "repeated",
    "attempts": "attempts",
    "interrupted": "interrupted",
    "broken": "broken",
}
TIMES = {"training_seconds": "training time", "gpu_seconds": "GPU time"}


def spent_lines(study: Study, layout: Layout) -> Iterator[str]:
    """Yield a table of what each phase took, and what was not trained."""
    found = find_spent(study, layout)
    total = _total(found.values())
    timed = [name for name in TIMES if getattr(total, name)]
    titles = [*TITLES.values(), *(TIMES[name] for name in timed)]
    yield f"study {study.name} ({study.origin})"
    widths = [max(12, len(title) + 2) for title in titles]
    yield f"{'phase':<14}" + _cells(titles, widths)
    for name, spent in [*found.items(), ("total", total)]:
        cells = [f"{getattr(spent, column):,}" for column in TITLES]
        cells[0] = f"{spent.done:,} of {spent.trials:,}"
        cells += [duration(getattr(spent, column)) for column in timed]
        yield f"{name:<14}" + _cells(cells, widths)
    yield "steps: planned for these runs to their ends, trained, and repeated after an interruption"
    if timed:
        yield f"{' and '.join(TIMES[name] for name in timed)}: by the clock, times processes"
    if total.untimed:
        killed = counted(total.untimed, "attempt")
        yield f"time: without that of {killed} that did not live to note it"
    yield f"stopping saved: {_saved_text(total)}"


def _cells(texts: Iterable[str], widths: Iterable[int]) -> str:
    return "".join(text.rjust(width) for text, width in zip(texts, widths, strict=True))


def _total(phases: Iterable[Spent]) -> Spent:
    total = Spent()
    for spent in phases:
        for one in fields(Spent):
            value = getattr(spent, one.name)
            if isinstance(value, Untrained):
                place = getattr(total, one.name)
                for part in fields(Untrained):
                    added = getattr(place, part.name) + getattr(value, part.name)
                    setattr(place, part.name, added)
            else:
                setattr(total, one.name, getattr(total, one.name) + value)
    return total


def _saved_text(total: Spent) -> str:
    parts = []
    for untrained, what in (
        (total.by_rungs, "rungs"),
        (total.by_monitors, "monitors"),
        (total.diverged, "divergence"),
    ):
        if untrained.runs:
            share = untrained.steps / total.planned
            parts.append(
                f"{untrained.steps:,} steps ({share:.0%}), about {duration(untrained.seconds)}, of "
                f"{counted(untrained.runs, 'run')} by {what}"
            )
    if not parts and not total.steps:
        return "nothing: nothing was trained"
    return "; ".join(parts) or "nothing: all runs were trained to their ends"


def drift_lines(study: Study, layout: Layout) -> Iterator[str]:
    """Yield what changed since: the settings, the code, the data."""
    changed = study_drift(study, layout)
    yield f"settings: {'as it was built' if changed is None else 'changed since'}"
    yield from (f"  {line}" for line in [changed] if line is not None)
    lines = list(code_drift(study, layout))
    yield f"code: {'changed since' if lines else 'as it trained all runs'}"
    yield from (f"  {line}" for line in lines)
    folders, runs = data_folders(study, layout), list(runs_of(study, layout))
    lines = list(data_drift(study, folders, runs, layout))
    yield f"data: {'changed since' if lines else 'as it was prepared'}"
    yield from (f"  {line}" for line in lines)


def unused_lines(layout: Layout) -> Iterator[str]:
    """Yield what of the whole store may go."""
    orphans = find_orphans(layout)
    if orphans.places:
        runs = counted(len(orphans.places), "run")
        yield (
            f"orphaned: {runs} that no study has, {size_text(orphans.bytes)}; to move them to "
            f"{layout.trash}: `{FORGET} orphans`"
        )
    else:
        yield f"orphaned: no run of {layout.runs}"
    spare = find_spare_checkpoints(layout.all_runs(), layout)
    if spare.places:
        checkpoints = counted(len(spare.places), "checkpoint")
        yield (
            f"may go: {checkpoints} that nothing keeps, {size_text(spare.bytes)}; to delete them: "
            f"`{FORGET} checkpoints`"
        )
    else:
        yield "may go: no checkpoint; all are kept by a claim, a policy or a record"


def damage_lines(
    study: Study, layout: Layout, more: Iterable[object], progress: Callable[[str], None]
) -> list[str]:
    """Return a line for each damaged file of a study.

    Args:
        study: As it was built.
        layout: Of the results folder, for reading only.
        more: Damage that others found.
        progress: Called with what is verified next.
    """
    return list(dict.fromkeys([*find_damage(study, layout, progress), *map(str, more)]))
