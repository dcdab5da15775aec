"""Checks of the keys with which phases build on earlier ones: `of`, `top`, `seeds`."""

from collections.abc import Sequence

from resweep.config import compose
from resweep.config.spelling import nearest
from resweep.errors import Problem
from resweep.study.phase_file import Surroundings
from resweep.study.study import Phase

SEED = "training.seed"


def check_names(of: Sequence[str], around: Surroundings) -> list[Problem]:
    """Refuse names that are not of earlier phases; those of phases with errors are reported."""
    problems = []
    known = list(around.earlier)
    for name in of or ("",):
        if name in around.earlier or name in around.broken:
            continue
        meant = nearest(name, known)
        there = f"did you mean {meant}?" if meant else f"there are: {', '.join(known) or 'none'}"
        hint = f"should name an earlier phase; {there}"
        problems.append(around.problem("of", name or None, hint))
    if len(set(of)) < len(of):
        problems.append(around.problem("of", list(of), "has a phase twice; remove one"))
    return problems


def check_top(top: int, sources: Sequence[Phase], around: Surroundings) -> list[Problem]:
    """Refuse to take more configurations than phases have trials."""
    known = sum(len(source.trials) for source in sources)
    if not top > known > 0:
        return []
    names = ", ".join(source.name for source in sources)
    of = f"phase {names}" if len(sources) == 1 else f"phases {names}"
    return [around.problem("top", top, f"should be at most {known}, the trials of {of}")]


def check_seeds(seeds: Sequence[int] | None, around: Surroundings) -> list[Problem]:
    """Refuse seeds that training does not take, and the same one twice."""
    seeds = seeds or []
    if len(set(seeds)) < len(seeds):
        return [around.problem("seeds", seeds, "has a seed twice; remove one")]
    problems = []
    for position, seed in enumerate(seeds):
        try:
            compose.coerce(SEED, seed, around.system.schema)
        except ValueError as error:
            problems.append(around.problem(f"seeds.{position}", seed, str(error)))
    return problems


def check_comparable(sources: Sequence[Phase], around: Surroundings) -> list[Problem]:
    """Refuse several phases whose scores say nothing of each other."""
    if len(sources) < 2:
        return []
    names = ", ".join(source.name for source in sources)
    if len({(source.metric, source.goal) for source in sources}) > 1:
        hint = "are ranked by different metrics; set score: {metric: NAME} in the study"
        return [around.problem("of", names, hint)]
    if any(not one.score.by_final and one.score.normalize == "zscore" for one in sources):
        hint = "are ranked by scores that are standardised within each; use normalize: raw"
        return [around.problem("of", names, hint)]
    return []
