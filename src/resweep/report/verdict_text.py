"""The verdict on a study in sentences, for readers who have not seen resweep before."""

from collections.abc import Iterator

from resweep.plurals import counted
from resweep.ranking.score_row import ScoreRow, final_text, value_text
from resweep.ranking.scores import leader_by_final
from resweep.ranking.ties import STANDARD_ERRORS
from resweep.report.results import StudyResults, shown
from resweep.report.verdict import Rival, Sure, Verdict

NOISE = "two standard errors"
MOST_DIFFERENT = 4  # hyperparameters of rank 2 that are named
assert STANDARD_ERRORS == 2.0, "NOISE says another number"


def sure_title(verdict: Verdict) -> str:
    """Return how sure the winner is in a few words: `tie with 2 others`."""
    if verdict.sure is Sure.TIE:
        others = len(verdict.tied)
        return f"{verdict.sure} with {counted(others, 'other')}"
    if verdict.sure is Sure.ALONE:
        return f"{verdict.sure} in {verdict.phase.name}"
    return str(verdict.sure)


def sure_lines(verdict: Verdict) -> list[str]:
    """Return what the winner beat, by how much, and where it was chosen."""
    return [*_beaten_lines(verdict), *_source_lines(verdict)]


def _beaten_lines(verdict: Verdict, again: str | None = None) -> Iterator[str]:
    """Yield what it beat; `again` names a phase that trained it again, alone."""
    name, count = verdict.phase.name, len(verdict.rivals)
    every = {1: "the other configuration", 2: "both other configurations"}.get(
        count, f"all {count} other configurations"
    )
    every += f" in {name}"
    if verdict.sure is Sure.ALONE:
        yield f"No other configuration in {name} has a result: there is nothing to compare it with."
        return
    if verdict.sure is Sure.TIE:
        tied = len(verdict.tied)
        which = every if tied == count else f"{tied} of the {count} others in {name}"
        yield f"It ties with {which}: the difference is less than {NOISE}, so it may be noise."
        beaten = count - tied - len(verdict.unknown)
        if beaten:
            rest = "the other one" if beaten == 1 else f"the other {beaten}"
            yield f"It beats {rest} by more than that."
    elif verdict.sure is Sure.CLEAR:
        yield f"It beats {every} by more than the noise between seeds ({NOISE})."
    elif verdict.sure is Sure.ONE_SEED:
        yield (
            f"It beats {every} by more than the noise along the curves ({NOISE}). Not all have "
            "several seeds, and another seed can change the order."
        )
    if verdict.unknown:
        others = len(verdict.unknown)
        advice = "Rerun the best with several seeds."
        if again is not None:
            advice = f"With top: 2 or more, {again} compares the best with several seeds."
        which = every if others == count else f"{others} of the {count} others in {name}"
        yield (
            f"Whether it really differs from {which} is not known: one seed and few evaluations "
            f"do not show how large the noise is. {advice}"
        )
    yield _next_line(verdict, verdict.rivals[0])
    leader = leader_by_final(verdict.phase.scores, verdict.phase.score)
    if leader is not None:
        yield f"{leader[:1].upper()}{leader[1:]}."
    if verdict.first_in is not None:
        yield (
            "Judging by the spread between seeds, the chance that rank 1 is really the best is "
            f"{_percent(verdict.first_in)}."
        )


def _percent(share: float) -> str:
    return "more than 99%" if share > 0.99 else f"{share:.0%}"


def _next_line(verdict: Verdict, rival: Rival) -> str:
    """Return the sentence about the configuration with the next rank."""
    line = f"Rank {rival.row.rank} is {_settings(verdict, rival.row)}: {final_text(rival.row)}"
    if rival.behind == 0:
        return f"{line}, the same value."
    side = "worse" if rival.behind > 0 else "better"
    line += f", {side} by {value_text(abs(rival.behind), like=rival.row.final_mean)}"
    if rival.errors is None:
        return f"{line}."
    return f"{line}, or {max(0.1, abs(rival.errors)):.1f} standard errors."


def _settings(verdict: Verdict, row: ScoreRow) -> str:
    """Return a trial, and where its hyperparameters differ from those of the winner."""
    phase = verdict.phase
    winner = phase.settings(verdict.row)
    texts = [
        f"{phase.plain_label(path)} {shown(value)}"
        for path, value in phase.settings(row).items()
        if winner.get(path) != value
    ]
    more = len(texts) - MOST_DIFFERENT
    text = ", ".join(texts[:MOST_DIFFERENT]) + (f" and {more} other settings" if more > 0 else "")
    return f"trial {row.trial} with {text}" if text else f"trial {row.trial}"


def _source_lines(verdict: Verdict) -> Iterator[str]:
    if verdict.source is None or verdict.source_row is None:
        return
    source, row = verdict.source.phase, verdict.source_row
    yield f"It was chosen in {source.name}: rank {row.rank} there, with {final_text(row)}."
    if verdict.sure is Sure.ALONE and row.rank == verdict.source.row.rank:
        yield from _beaten_lines(verdict.source, verdict.phase.name)
        yield from _source_lines(verdict.source)


def trained_line(verdict: Verdict) -> str:
    """Return which trial it is, and of how many seeds its value is the mean."""
    row = verdict.row
    steps = f"{row.step:,} steps"
    if row.seeds and row.seeds > 1:
        return (
            f"Mean and standard deviation of {row.seeds} seeds in phase {verdict.phase.name}, "
            f"trained for {steps}; the best of them is trial {row.trial}."
        )
    return f"Trial {row.trial} in phase {verdict.phase.name}, one seed, trained for {steps}."


def reference_lines(results: StudyResults) -> list[str]:
    """Return how the winner compares with the values that its system knows: a baseline, chance."""
    phase = results.deciding
    value = None if phase is None else phase.best[0].final_mean
    if phase is None or value is None:
        return []
    lines = []
    for one in results.references_of(phase.metric):
        side = "below" if value < one.value else "above"
        good = (side == "below") == (phase.goal == "minimize")
        lines.append(
            f"{value_text(abs(value - one.value), like=value)} {side} the {one.name} of "
            f"{value_text(one.value)}{'' if good else ', which is worse'} ({one.meaning})."
        )
    return lines
