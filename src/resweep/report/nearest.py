"""Why a trial would be trained: the most similar run of the store, and what differs.

    identity of what the trial asks for  ->  the run with the fewest fields that differ  ->  these

Of runs with equally few, it is the newest one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from resweep.canonical import canonical_json
from resweep.config.nesting import leaves
from resweep.paths import Layout
from resweep.report.measured import newest_states

MOST_FIELDS = 3  # named in a line
LONGEST_VALUE = 24
ABSENT = "not set"


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """The run of the store that is most like what a trial asks for.

    Attributes:
        run_id: The run.
        step: How far it is trained.
        differs: (path, value of the trial, value of the run); None where it has none.
    """

    run_id: str
    step: int
    differs: tuple[tuple[str, Any, Any], ...]

    def fields(self, most: int | None = MOST_FIELDS) -> str:
        """Return what differs, for people, at most so many fields: `training.seed 2 (not 1)`."""
        shown = self.differs[:most]
        named = ", ".join(f"{path} {_shown(own)} (not {_shown(its)})" for path, own, its in shown)
        more = len(self.differs) - len(shown)
        return named + (f" and {more} more" if more else "")


class StoredIdentities:
    """The identities of the store's runs, to look up the nearest.

    Args:
        layout: Of the results folder.
    """

    def __init__(self, layout: Layout):
        self._runs: list[tuple[str, int, dict[str, Any]]] = []
        runs_with: dict[tuple[str, str], set[int]] = {}
        for state, folder in newest_states(layout):
            identity = state.get("identity") if isinstance(state, dict) else None
            if not isinstance(identity, dict):
                continue
            flat = dict(leaves(identity, entries=True))
            number = len(self._runs)
            self._runs.append((folder.path.name, int(state.get("step") or 0), flat))
            for path, value in flat.items():
                runs_with.setdefault((path, canonical_json(value)), set()).add(number)
        everywhere = len(self._runs)
        # What all of them have, or lack, does not tell them apart.
        self._telling = {key: of for key, of in runs_with.items() if len(of) < everywhere}

    def nearest(self, identity: Mapping[str, Any]) -> Nearest | None:
        """Return the run with most equal fields; None if the store has none."""
        if not self._runs:
            return None
        asked = dict(leaves(identity, entries=True))
        equal = [0] * len(self._runs)
        for path, value in asked.items():
            for number in self._telling.get((path, canonical_json(value)), ()):
                equal[number] += 1
        # Fields that differ, apart from those that all runs share.
        best = min(range(len(equal)), key=lambda one: len(self._runs[one][2]) - 2 * equal[one])
        run_id, step, flat = self._runs[best]
        differs = _differences(asked, flat)
        return Nearest(run_id=run_id, step=step, differs=tuple(differs))


def _differences(
    asked: Mapping[str, Any], other: Mapping[str, Any]
) -> Iterable[tuple[str, Any, Any]]:
    for path in dict.fromkeys([*asked, *other]):
        own, its = asked.get(path), other.get(path)
        if own != its:
            yield path.removeprefix("own."), own, its


def _shown(value: Any) -> str:
    if value is None:
        return ABSENT
    text = value if isinstance(value, str) else canonical_json(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."
