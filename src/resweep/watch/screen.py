"""One screen of studies: their phases, what is trained now, the best so far, the time left.

    StudyProgress  ->  lines for a width and a height; what does not fit is folded into a count

A thousand trials take as much room as ten: a bar of the phase has a part for each state.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from resweep.errors import one_line
from resweep.plurals import counted
from resweep.report.results import shown
from resweep.trials.record import Status
from resweep.watch.progress import PhaseProgress, StudyProgress, Training
from resweep.watch.trial_states import Open

# In the order of the bar, with the color of each. Other states are shown where a trial is in one.
STATES: dict[str, str] = {
    Status.FINISHED: "green",
    Status.STOPPED: "cyan",
    Status.DIVERGED: "magenta",
    Status.INFEASIBLE: "magenta",
    Status.EMPTY: "bright_black",
    Status.FAILED: "red",
    Open.RUNNING: "yellow",
    Open.WAITING: "bright_black",
}
ALWAYS = (Status.FINISHED, Open.RUNNING, Status.STOPPED, Status.FAILED, Open.WAITING)
BLOCKS: dict[str, str] = {Open.RUNNING: "▒", Open.WAITING: "·", Status.EMPTY: "·"}
LEAST_HEIGHT = 8
LEAST_OF_STUDY = 5  # lines: with fewer for each, a study is its title
BAR, LEAST_BAR = 24, 6
MOST_NAME = 18  # of a phase
GAP = 2  # between columns
WIDE = 100  # columns of a terminal that has room for all
MOST_SETTINGS = 4  # columns of hyperparameters


def screen(studies: Sequence[StudyProgress], width: int, height: int, note: str = "") -> Group:
    """Return a screen.

    Args:
        studies: In order.
        width, height: Of the terminal; no line is longer, and there are no more lines.
        note: The last line.
    """
    room = max(LEAST_HEIGHT, height) - (1 if note else 0)
    parts: list[Text | Table] = []
    each = room // max(1, len(studies))
    if len(studies) > 1 and each < LEAST_OF_STUDY:
        parts += _titles(studies, room)
    else:
        for study in studies:
            parts += _study(study, width, each)
    if note:
        parts.append(_line(Text(note, style="bright_black")))
    return Group(*parts)


def _titles(studies: Sequence[StudyProgress], most: int) -> Iterator[Text]:
    """Yield a line for each of many studies; where they do not fit, those that are built now."""
    if len(studies) <= most:
        yield from (_line(_title(study)) for study in studies)
        return
    first = sorted(studies, key=lambda study: (not study.training, study.is_complete))[: most - 1]
    yield from (_line(_title(study)) for study in first)
    complete = sum(study.is_complete for study in studies)
    others = counted(len(studies) - len(first), "more study", "more studies")
    text = f"... and {others}; {complete} of all {len(studies)} complete"
    yield _line(Text(text, style="bright_black"))


def _study(study: StudyProgress, width: int, height: int) -> Iterator[Text | Table]:
    """Yield the parts of a study: a title, its phases, what is trained, the best so far."""
    yield _line(_title(study))
    height -= 1
    best = Text(best_text(study), style="green") if study.best else None
    most = max(1, height - (1 if best else 0) - 1)
    phases, folded = _folded(study.phases, most)
    if folded:
        yield _line(Text(folded, style="bright_black"))
    yield _phase_table(phases, width)
    height -= len(phases) + 1 + bool(folded)
    if best is not None:
        height -= 1
    if study.training and height >= 3:
        yield _line(Text())
        trained = study.training[: height - 2]
        if len(trained) < len(study.training):
            trained = trained[:-1]
        yield _training_table(trained, width)
        more = len(study.training) - len(trained)
        if more:
            yield _line(Text(f"  ... and {more} more being trained", style="bright_black"))
    if best is not None:
        yield _line(best)


def _title(study: StudyProgress) -> Text:
    title = Text(f"study {study.name}", style="bold")
    facts = [f"{study.ended:,} of {study.trials:,} trials", time_left(study)]
    speeds = [one.speed for one in study.training if one.speed]
    if speeds:
        facts.append(f"{shown(sum(speeds), 3)} steps/s")
    return title.append(f"  {'  '.join(facts)}", style="not bold")


def time_left(study: StudyProgress) -> str:
    """Return how much is left of a study, for people."""
    if study.is_complete:
        return "complete"
    if study.ended == study.trials:
        return "all trials have ended; ranking and report to do"
    if not study.training:
        return f"{study.steps:,} steps left, nothing is being trained"
    if study.seconds is None:
        return f"{study.steps:,} steps left"
    return f"{study.steps:,} steps left, about {rough(study.seconds)}"


def rough(seconds: float) -> str:
    """Format an estimate: `40 s`, `12 min`, `3.5 h`, `2.1 days`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 36 * 3600 else f"{seconds / 86400:.1f} days"


def _folded(phases: Sequence[PhaseProgress], most: int) -> tuple[Sequence[PhaseProgress], str]:
    """Return the phases that fit, with a line about the others; finished ones are folded first."""
    if len(phases) <= most:
        return phases, ""
    done = [one for one in phases if one.ended == one.trials]
    kept = [one for one in phases if one.ended < one.trials] or done[-1:]
    kept = kept[: max(1, most - 1)]
    others = len(phases) - len(kept)
    return (
        kept,
        f"  {counted(others, 'other phase')}, {len(done)} of all {len(phases)} are done",
    )


def _phase_table(phases: Sequence[PhaseProgress], width: int) -> Table:
    """Return a row for each phase: a bar, how many trials are in each state, the best value.

    Where it is too wide for that, the bar is shorter, and states without a trial have no column;
    on a small screen there are no packs and no bar.
    """
    names = [_name(phase) for phase in phases]
    taken = min(MOST_NAME, max(map(len, names))) + GAP
    for always, packs in ((ALWAYS, True), ((), True), ((), False)):
        columns = _phase_columns(phases, always, packs)
        bar = width - taken - sum(GAP + max(map(len, column)) for column in columns)
        if bar >= LEAST_BAR:
            break
    bars = [_bar(phase, min(BAR, bar)) for phase in phases] if bar >= LEAST_BAR else None
    table = _table()
    _column(table, "phase", max_width=MOST_NAME)
    if bars is not None:
        _column(table, "", width=min(BAR, bar))
    for title, *_ in columns:
        _column(table, str(title), justify="right")
    for row, name in enumerate(names):
        drawn = [] if bars is None else [bars[row]]
        table.add_row(name, *drawn, *(column[row + 1] for column in columns))
    return table


def _phase_columns(
    phases: Sequence[PhaseProgress], always: Collection[str], with_packs: bool
) -> Sequence[Sequence[str | Text]]:
    """Return the columns behind the bar, each with its title: states, packs, the best value."""
    columns: list[Sequence[str | Text]] = []
    for state, style in STATES.items():
        counts = [phase.states.get(state, 0) for phase in phases]
        if state in always or any(counts):
            texts = [Text(f"{n:,}", style) if n else Text("-", "bright_black") for n in counts]
            columns.append([state, *texts])
    if with_packs and any(phase.packs[1] for phase in phases):
        packs = [f"{done}/{jobs}" if jobs else "-" for done, jobs in (one.packs for one in phases)]
        columns.append(["packs", *packs])
    best = [shown(phase.best.value) if phase.best else "-" for phase in phases]
    return [*columns, ["best", *best]]


def _name(phase: PhaseProgress) -> str:
    """Return the name of a phase, with the rung that is being trained where it has several."""
    at = next((name for name, (done, slots) in phase.rungs.items() if done < slots), None)
    return phase.name if at is None else f"{phase.name} {at}"


def _bar(phase: PhaseProgress, width: int) -> Text:
    """Return a bar with a part for each state; each that occurs is seen."""
    counts = {state: phase.states[state] for state in STATES if phase.states.get(state)}
    cells = {state: max(1, width * count // phase.trials) for state, count in counts.items()}
    while cells and sum(cells.values()) != width:
        off = 1 if sum(cells.values()) < width else -1
        # Where a cell more, or less, changes the share least.
        short = {
            state: off * (counts[state] / phase.trials - cells[state] / width) for state in cells
        }
        able = [state for state in cells if off > 0 or cells[state] > 1]
        if not able:
            break
        cells[max(able, key=lambda state: short[state])] += off
    bar = Text()
    for state, count in cells.items():
        bar.append(BLOCKS.get(state, "█") * count, style=STATES[state])
    return bar


def _training_table(training: Sequence[Training], width: int) -> Table:
    """Return a row for each trial that is being trained."""
    table = _table()
    _column(table, "running", max_width=30)
    for title in ("step", "of", "steps/s", "value"):
        _column(table, title, justify="right")
    most = MOST_SETTINGS if width >= WIDE else 2
    names = list(dict.fromkeys(name for one in training for name in one.settings))[:most]
    for name in names:
        _column(table, name.rpartition(".")[2], justify="right", max_width=14)
    for one in training:
        table.add_row(
            f"{one.phase} {one.trial}",
            f"{one.step:,}",
            f"{one.until:,}",
            shown(one.speed, 3) or "-",
            shown(one.value) or "-",
            *(setting_text(one.settings.get(name)) for name in names),
        )
    return table


def best_text(study: StudyProgress) -> str:
    """Return the best trial of a study, which has one, for people."""
    best = study.best
    assert best is not None
    settings = settings_text(best.settings)
    title = "best trial" if study.is_complete else "best trial so far"
    found = f"{title}: {best.phase} trial {best.trial}, {best.metric} {shown(best.value)}"
    return f"{found} with {settings}" if settings else found


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return hyperparameters in one line: `learning_rate 0.001, n_layer 4`."""
    return ", ".join(f"{name} {setting_text(value)}" for name, value in settings.items())


def setting_text(value: Any) -> str:
    """Format the value of a hyperparameter, of any type, as one short line."""
    is_plain = value is None or isinstance(value, bool | int | float | str)
    return shown(value) if is_plain else one_line(str(value))


def _column(table: Table, title: str, **options: Any) -> None:
    table.add_column(title, no_wrap=True, overflow="ellipsis", **options)


def _table() -> Table:
    return Table(box=None, padding=(0, GAP, 0, 0), header_style="bright_black", pad_edge=False)


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
