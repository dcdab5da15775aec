"""What changed since a study was built: its settings, the code, the data.

    study.yaml  ->  the settings that it was built with, beside those of now
    records     ->  digests of the code that trained each phase, beside the code of now
    data.json   ->  sources that are no longer what data was prepared from
    identities  ->  runs that were trained on other data than is prepared now

Drift is not damage: the results stand for what they were made from.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from resweep.canonical import canonical_json
from resweep.config.nesting import leaves
from resweep.data.description import read_description
from resweep.data.source import is_mounted, source_change
from resweep.errors import DamagedFile, ResweepError
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.store.provenance import code_digest
from resweep.store.run import Run
from resweep.study import files
from resweep.study.described import read_described
from resweep.study.study import Phase, Study
from resweep.systems.registry import find_system
from resweep.systems.system import System
from resweep.trials.record import read_record

FORGET = "resweep forget"


def study_drift(study: Study, layout: Layout) -> str | None:
    """Return the first setting in which a study differs from the one that was built, or None.

    Args:
        study: As it is configured now.
        layout: Of the results folder.
    """
    file = layout.study(study.name).described
    try:
        built = dict(leaves(read_described(file), entries=True))
    except (DamagedFile, FileNotFoundError):
        return None
    now = dict(leaves(json.loads(canonical_json(study.resolved())), entries=True))
    for key in dict.fromkeys([*now, *built]):
        if now.get(key) != built.get(key):
            return (
                f"{key} = {now.get(key)!r:.60} in {study.origin}, and {built.get(key)!r:.60} in "
                f"{file}: `snakemake` builds what follows; or give --set as when it was built"
            )
    return None


def code_drift(study: Study, layout: Layout) -> Iterator[str]:
    """Yield a line for each phase whose records are of several versions of the code, or of others.

    Args:
        study: The study.
        layout: Of the results folder.
    """
    now = code_digest(study.system)
    for phase in study.phases:
        versions = _versions(phase, layout)
        old = sum(count for code, count in versions.items() if code != now)
        if len(versions) > 1:
            parts = (f"{code} ({count})" for code, count in sorted(versions.items()))
            yield (
                f"{phase.name}: its ranking mixes {counted(len(versions), 'version')} of the "
                f"training code: {', '.join(parts)}; the code of now is {now}"
            )
        elif old:
            (code,) = versions
            yield f"{phase.name}: trained by code {code}, and the code of now is {now}"
        if old:
            yield (
                f"  to train {counted(old, 'trial')} again: `{FORGET} drifted --study "
                f"{study.name}`, then snakemake"
            )


def _versions(phase: Phase, layout: Layout) -> Counter[str]:
    """Return how many trials each version of the code trained."""
    found: Counter[str] = Counter()
    for path in files.records(layout, phase):
        try:
            record = read_record(path)
        except DamagedFile:
            continue
        if record.code is not None:
            found[record.code] += 1
    return found


def data_drift(study: Study, folders: list[Path], runs: list[str], layout: Layout) -> Iterator[str]:
    """Yield a line for each data set whose sources changed, and one for runs on other data.

    Args:
        study: The study.
        folders: Of its prepared data.
        runs: The ids of its runs.
        layout: Of the results folder.
    """
    system = find_system(study.system)
    prepared = set()
    for folder in folders:
        try:
            prepared.add(read_description(system, folder)["digest"])
            change = source_drift(system, folder)
        except (DamagedFile, OSError):
            continue
        if change is not None:
            yield f"{folder}: {change}"
    trained: Counter[str] = Counter()
    for run_id in runs:
        try:
            data = Run(layout.run(run_id)).state().get("identity", {}).get("data", {})
        except DamagedFile:
            continue
        if data and data.get("digest") not in prepared:
            trained[str(data.get("digest"))] += 1
    for digest, count in sorted(trained.items()):
        yield f"{counted(count, 'run')} trained on data {digest[:12]}, which is not prepared now"


def source_drift(system: System, folder: Path) -> str | None:
    """Return how the sources of prepared data changed; None if they did not, or are not mounted.

    Args:
        system: What prepared it.
        folder: Where it is.

    Raises:
        DamagedFile, OSError: Its description cannot be read.
    """
    known = read_description(system, folder)
    if not known["sources"] or not is_mounted(system, known["settings"]):
        return None
    try:
        change = source_change(system, known["settings"], known["sources"])
    except ResweepError as error:
        return str(error)
    if change is None:
        return None
    return f"{change} since it was prepared; `snakemake` prepares it again, and trains what uses it"
