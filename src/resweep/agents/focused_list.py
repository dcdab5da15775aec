"""A list of configurations near those of another list: a focused resample by hand.

Without a search space to look at, rates and decays are resampled on a log scale and other real
numbers on a linear one (`resweep.search.focus`). All else stays: sizes have to fit each other.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.config import compose
from resweep.config.schema import Schema
from resweep.errors import ConfigError, Problem
from resweep.plurals import counted
from resweep.ranking.selection import short_name
from resweep.search.focus import Focus, propose_focused
from resweep.search.suggest import Observation
from resweep.sweep import Parameter
from resweep.sweep.points import Point
from resweep.trials.best_configs import read_best_configs

ON_LOG_SCALE = ("learning_rate", "weight_decay", "adam_eps", "init_std", "min_lr")

Bounds = Mapping[str, tuple[float, float]]


def focused_list(
    best: Path,
    count: int,
    schema: Schema,
    *,
    seed: int,
    factors: Bounds,
    clip: Bounds,
    own: Collection[str] = (),
) -> list[Point]:
    """Return points around each configuration of a list, in its order: path -> value.

    Args:
        best: The list.
        count: Points for each.
        schema: The known fields.
        seed: Of random draws.
        factors: name -> where a region ends, as factors of the value.
        clip: name -> bounds that no point exceeds; for those that are in the list.
        own: Names of the user's own hyperparameters.

    Raises:
        ConfigError: The list is none, has no number, or a name is not in it.
    """
    centres = read_best_configs(best, schema, own)
    names = dict.fromkeys(path for centre in centres for path in centre)
    by_path = {_path(name, names, schema, best): pair for name, pair in factors.items()}
    bounds = {
        path: pair
        for name, pair in clip.items()
        if (path := compose.resolve_name(name, {}, schema)) in names
    }
    tried = [Observation(centre, None) for centre in centres]
    points: list[Point] = []
    for position, centre in enumerate(centres):
        parameters = [_parameter(path, value) for path, value in centre.items()]
        if not any(parameter.swept for parameter in parameters):
            hint = f"entry {position + 1} has no real number to resample"
            raise ConfigError(Problem(str(best), "", None, hint))
        made, _ = propose_focused(
            parameters,
            [*tried, Observation(centre, 0.0)],
            count,
            Focus(factors=by_path),
            seed=seed + position,
            goal="minimize",
            feasible=lambda point: _is_allowed(point, bounds, schema),
        )
        found = [{**centre, **point} for point in made.points]
        if len(found) < count:
            hint = f"entry {position + 1} has only {counted(len(found), 'point')} near it"
            raise ConfigError(Problem(str(best), "--n-points-per-best", count, hint))
        tried += [Observation(point, None) for point in found]
        points += found
    return points


def list_text(points: list[Point], schema: Schema, what: str) -> str:
    """Return points as a list of configurations, under short names.

    Args:
        points: path -> value.
        schema: The known fields.
        what: A sentence for its first line.
    """
    named = [{short_name(p, schema): value for p, value in point.items()} for point in points]
    return f"# {what}\n{yaml12.dump(named)}"


def _path(name: str, names: Collection[str], schema: Schema, best: Path) -> str:
    path = compose.resolve_name(name, {}, schema)
    if path not in names:
        hint = f"is not in {best}, which has {', '.join(names)}"
        raise ConfigError(Problem("--factors", name, None, hint))
    return path


def _is_allowed(point: Point, bounds: Bounds, schema: Schema) -> bool:
    """Whether each value is one that its field takes, and within its bounds."""
    try:
        for path, value in point.items():
            compose.coerce(path, value, schema)
    except ValueError:
        return False
    return all(low <= point[path] <= high for path, (low, high) in bounds.items() if path in point)


def _parameter(path: str, value: Any) -> Parameter:
    """Return a space without bounds around a value, on its scale."""
    if type(value) is float and value != 0:
        is_log = path.rpartition(".")[2] in ON_LOG_SCALE and value > 0
        return Parameter(path, "log_normal" if is_log else "normal")
    return Parameter(path, "constant", values=(value,))
