"""Names that nothing reads: what they may mean, and how they are reported.

swept, and means a field     an error: the whole budget would train alike
swept, and means nothing     a warning
constant                     named once for each file
listed in own:               nothing
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.own_names import is_own, own_hint
from resweep.config.schema import SYSTEM, Schema
from resweep.config.synonyms import fields_meant


def describe_meant(path: str, schema: Schema) -> str:
    """Return ` (training.learning_rate?)` for a name that probably means a field, else nothing."""
    meant = fields_meant(path, schema)
    return f" ({' or '.join(meant)}?)" if meant else ""


def find_unread(composed: Composed, schema: Schema, own: Collection[str]) -> dict[str, list[str]]:
    """Return the paths that a configuration sets and nothing reads, by the place that sets them.

    Args:
        composed: The configuration.
        schema: The known fields.
        own: Names of the user's own hyperparameters, which are left out.
    """
    found: dict[str, list[str]] = {}
    for path, _ in compose.leaves(composed.content):
        section = path == SYSTEM or path in schema.sections  # an empty one is a leaf
        if not section and not schema.is_known(path) and not is_own(path, own):
            found.setdefault(composed.origin_of(path, ""), []).append(path)
    return found


def warn_of_constants(
    unread: Mapping[str, Iterable[str]],
    schema: Schema,
    others: Callable[[str, str], list[str]],
) -> list[str]:
    """Return a line for each file that sets what nothing reads.

    Args:
        unread: Paths by file.
        schema: The known fields.
        others: Returns what a name means in other systems than the given one.
    """

    def meant(path: str) -> str:
        elsewhere = " or ".join(others(path, schema.system))
        return describe_meant(path, schema) or (f" ({elsewhere}?)" if elsewhere else "")

    lines = []
    for origin, paths in unread.items():
        named = ", ".join(f"{path}{meant(path)}" for path in paths)
        if named:
            lines.append(f"{origin}: nothing in resweep reads {named}; {own_hint(paths)}")
    return lines
