"""The data sets that a study trains on, and what they are prepared from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resweep.canonical import canonical_json
from resweep.data.source import data_id, is_mounted
from resweep.data.store import find, missing_sources_text
from resweep.paths import Layout
from resweep.study.study import Study
from resweep.systems.registry import find_system
from resweep.systems.system import System


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Data that a study trains on.

    Attributes:
        id: Of its folder in the data store.
        settings: The data section, as canonical JSON.
        sources: Local files that it is prepared from.
        is_final: Whether the study's stamp of it stays as it is: what it was prepared from is not
            mounted.
        warning: A line that a user should see, or None.
    """

    id: str
    settings: str
    sources: list[str]
    is_final: bool = False
    warning: str | None = None


def data_sets(study: Study, layout: Layout) -> list[DataSet]:
    """Return the data sets of all phases.

    Raises:
        DataError: A source is missing, and the data is not prepared.
    """
    system = find_system(study.system)
    return [_data_set(study.name, system, settings, layout) for settings in study.data_settings()]


def _data_set(study: str, system: System, settings: Mapping[str, Any], layout: Layout) -> DataSet:
    name, text = data_id(system, settings), canonical_json(settings)
    if not is_mounted(system, settings):
        prepared = find(system, settings, layout)
        if prepared is not None and not prepared.has_sources:
            return DataSet(
                id=name,
                settings=text,
                sources=[],
                is_final=layout.study(study).data_stamp(name).exists(),
                warning=missing_sources_text(prepared.folder),
            )
    sources = [str(path) for path in system.source_files(settings)]
    return DataSet(id=name, settings=text, sources=sources)
