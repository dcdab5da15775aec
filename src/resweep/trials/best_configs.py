"""Lists of best configurations, as a ranking writes them, or by hand.

- {learning_rate: 0.004, pct_warmup: 0.1}     best first; names are flat, or paths
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.config import compose
from resweep.config.schema import Schema
from resweep.errors import ConfigError, Problem, secret_problems


def read_best_configs(
    path: Path, schema: Schema, own: Collection[str] = ()
) -> list[dict[str, Any]]:
    """Read best configurations as path -> value.

    Raises:
        ConfigError: The file is not a list of mappings, a name is ambiguous or unknown, or a value
            looks like a key or a password.
    """
    content = yaml12.load(path)
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise ConfigError(
            Problem(str(path), "", None, "should be a list of mappings, best configuration first")
        )
    secrets = secret_problems(str(path), content)
    if secrets:
        raise ConfigError(secrets)
    return [
        {_full_path(name, path, schema, own): value for name, value in compose.leaves(entry)}
        for entry in content
    ]


def _full_path(name: str, file: Path, schema: Schema, own: Collection[str]) -> str:
    try:
        return compose.resolve_name(name, {}, schema, own)
    except ValueError as error:
        raise ConfigError(Problem(str(file), name, None, str(error))) from None
