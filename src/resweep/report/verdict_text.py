"""The verdict on a study in sentences, for readers who have not seen resweep before."""

from collections.abc import Iterator

from resweep.plurals import counted
from resweep.ranking.score_row import ScoreRow, final_text, value_text
from resweep.ranking.scores import leader_by_final
from resweep.ranking.ties import STANDARD_ERRORS
from resweep.report.results import StudyResults, shown
from resweep.report.verdict import Rival, Sure, Verdict

NOISE = "two standard errors"
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


def _beaten_lines(verdict: Verdict) -> Iterator[str]:
    name, count = verdict.phase.name, len(verdict.rivals)
    every = f"the other configuration in {name}"
    if count > 1:
        every = f"all {count} other configurations in {name}"
    if verdict.sure is Sure.ALONE:
        yield f"{name} has one configuration with a result, so there is nothing to compare it with."
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
        which = every if others == count else f"{others} of the {count} others in {name}"
        yield (
            f"Whether it really differs from {which} is not known: one seed and few evaluations "
            "do not show how large the noise is. Rerun the best with several seeds."
        )
    yield _next_line(verdict, verdict.rivals[0])
    leader = leader_by_final(verdict.phase.scores, verdict.phase.score)
    if leader is not None:
        yield f"{leader[:1].upper()}{leader[1:]}."
    if verdict.first_in is not None:
        yield (
            "With all values drawn again from their spread over seeds, it comes first in "
            f"{_percent(verdict.first_in)} of cases."
        )


def _percent(share: float) -> str:
    return "more than 99%" if share > 0.99 else f"{share:.0%}"


def _next_line(verdict: Verdict, rival: Rival) -> str:
    """Return the sentence about the configuration with the next rank."""
    line = f"Rank {rival.row.rank} is {_settings(verdict, rival.row)}: {final_text(rival.row)}"
    if rival.behind == 0:
        return f"{line}, the same value."
    side = "worse" if rival.behind > 0 else "better"
    line += f", {value_text(abs(rival.behind), like=rival.row.final_mean)} {side}"
    if rival.errors is None:
        return f"{line}."
    return f"{line} or {max(0.1, abs(rival.errors)):.1f} standard errors."


def _settings(verdict: Verdict, row: ScoreRow) -> str:
    phase = verdict.phase
    named = {phase.plain_label(path): shown(value) for path, value in phase.settings(row).items()}
    text = ", ".join(f"{name} {value}" for name, value in named.items())
    return f"trial {row.trial} with {text}" if text else f"trial {row.trial}"


def _source_lines(verdict: Verdict) -> Iterator[str]:
    if verdict.source is None or verdict.source_row is None:
        return
    source, row = verdict.source.phase, verdict.source_row
    yield f"It was chosen in {source.name}: rank {row.rank} there, with {final_text(row)}."
    if verdict.sure is Sure.ALONE and row.rank == verdict.source.row.rank:
        yield from sure_lines(verdict.source)


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


def reference_lines(verdict: Verdict, results: StudyResults) -> list[str]:
    """Return how the winner compares with the values that its system knows: a baseline, chance."""
    value, goal = verdict.row.final_mean, verdict.phase.goal
    if value is None:
        return []
    lines = []
    for one in results.references_of(verdict.phase.metric):
        side = "below" if value < one.value else "above"
        good = (side == "below") == (goal == "minimize")
        lines.append(
            f"{value_text(abs(value - one.value), like=value)} {side} the {one.name} of "
            f"{value_text(one.value)}{'' if good else ', so worse than it'} ({one.meaning})."
        )
    return lines
