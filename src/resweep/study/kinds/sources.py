"""What phases build on: earlier ones and lists, checked, and the spaces that were searched."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.config.own_names import is_own, own_hint
from resweep.config.spelling import nearest
from resweep.config.synonyms import fields_meant
from resweep.errors import Problem
from resweep.study.kinds.sweep_phase import SweepPhase
from resweep.study.phase_file import Surroundings
from resweep.study.study import Phase
from resweep.sweep import Parameter

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


def check_listed(
    file: Path, listed: Sequence[Mapping[str, Any]], around: Surroundings
) -> list[Problem]:
    """Refuse names that nothing reads, but that mean a field: its default would be trained."""
    schema, own = around.system.schema, around.common["own"]
    names = dict.fromkeys(name for one in listed for name in one if not is_own(name, own))
    meant = {name: fields_meant(name, schema) for name in names}
    return [
        Problem(str(file), name, None, f"is not a field; did you mean {' or '.join(fields)}?")
        for name, fields in meant.items()
        if fields
    ]


def warn_of_unread(
    file: Path, listed: Sequence[Mapping[str, Any]], around: Surroundings
) -> list[str]:
    """Warn of names that nothing reads, and of entries that train alike but for these."""
    schema, own = around.system.schema, around.common["own"]
    unread = dict.fromkeys(
        path
        for one in listed
        for path in one
        if not schema.is_known(path) and not is_own(path, own)
    )
    if not unread:
        return []
    alike: dict[str, list[str]] = {}
    for number, one in enumerate(listed, 1):
        read = {path: value for path, value in one.items() if path not in unread}
        alike.setdefault(canonical_json(read), []).append(str(number))
    repeated = [", ".join(numbers) for numbers in alike.values() if len(numbers) > 1]
    same = "".join(f"; entries {numbers} are the same training" for numbers in repeated)
    return [
        f"{file}: nothing in resweep reads {', '.join(unread)}, which can only tell runs "
        f"apart{same}; {own_hint(unread)}"
    ]


def space_of(source: Phase) -> tuple[Parameter, ...]:
    """Return what a phase searched; nothing if it has no search space."""
    return source.space if isinstance(source, SweepPhase) else ()


def join_spaces(sources: Sequence[Phase]) -> tuple[Parameter, ...]:
    """Return the parameters of all sources; none if one has no space."""
    spaces = list(map(space_of, sources))
    return tuple(parameter for space in spaces for parameter in space) if all(spaces) else ()


def check_weights(
    config: Mapping[str, Any], source: Phase, given: Collection[str], around: Surroundings
) -> list[Problem]:
    """Refuse what no weights of an earlier phase can fit.

    Args:
        config: Of the phase that starts from them, complete.
        source: The earlier one.
        given: Paths that the phase sets, with one value in all its trials.
        around: The phase's surroundings.
    """
    fixed = {*given}.difference(*source.possible())
    return placed(around.system.run_misfits(config, source.config, fixed), around)


def placed(problems: Iterable[Problem], around: Surroundings) -> list[Problem]:
    """Return problems of a configuration as those of the phase in the study's file."""
    return [
        Problem(around.study_path, f"{around.where}.{one.key}", one.value, one.hint)
        for one in problems
    ]
