"""The weights that trials start from, looked for before any job."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from resweep.config.compose import assign
from resweep.errors import ConfigError, Problem
from resweep.paths import Layout
from resweep.store.parent import parent_problem
from resweep.study.kinds.rerun import RerunPhase
from resweep.study.kinds.sweep_phase import SweepPhase
from resweep.study.study import Phase, Study
from resweep.systems.registry import find_system


def check_initial_weights(studies: Iterable[Study], layout: Layout) -> None:
    """Check that weights that configurations name are there, as far as that can be seen.

    What the studies themselves make, below their folders in the results, may come later.

    Raises:
        ConfigError: Some are missing, or are others than they should be; names all of them.
    """
    studies = list(studies)
    made = [layout.study(study.name).path for study in studies]
    problems: dict[str, Problem] = {}
    for study in studies:
        system = find_system(study.system)
        for phase in study.phases:
            for config in _configs(phase, study):
                problem = parent_problem(system, config, layout, study.origin, made)
                if problem is not None:
                    problems[str(problem)] = problem
    if problems:
        raise ConfigError(problems.values())


def _configs(phase: Phase, study: Study) -> Iterator[Mapping[str, Any]]:
    """Yield configurations of a phase in which each name that it sweeps appears."""
    texts = _swept_texts(phase, study)
    config = assign(phase.config, {path: values[0] for path, values in texts.items()})
    yield config
    for path, values in texts.items():
        for value in values[1:]:
            yield assign(config, {path: value})


def _swept_texts(phase: Phase, study: Study) -> dict[str, list[Any]]:
    """Return the swept values that may be names of weights, by their paths."""
    if isinstance(phase, RerunPhase):  # it trains what its source found, with its own values above
        if phase.file is None:
            there = [_swept_texts(study.phase(source), study) for source in phase.sources]
            found_there = _texts(
                {path: value} for one in there for path, v in one.items() for value in v
            )
        else:
            found_there = _texts(phase.possible_values)
        return {path: v for path, v in found_there.items() if path not in phase.overrides}
    points: list[Mapping[str, Any]] = []
    if isinstance(phase, SweepPhase):
        points += phase.assignments.values()
        for parameter in phase.search.parameters if phase.search else ():
            points += [{parameter.name: value} for value in parameter.values]
    return _texts(points)


def _texts(points: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the different texts that points assign, and null, by path."""
    found: dict[str, dict[Any, None]] = {}
    for point in points:
        for path, value in point.items():
            if value is None or isinstance(value, str):
                found.setdefault(path, {})[value] = None
    return {path: list(values) for path, values in found.items()}
