"""Configurations of the language model, which benchmarks train."""

from collections.abc import Mapping
from typing import Any

from resweep.systems.registry import find_system

LANGUAGE = find_system("language")


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with the fields that it leaves out at their defaults."""
    return LANGUAGE.schema.dump(LANGUAGE.schema.validate(config))
