"""The content of artifacts of a whole study: its rankings, its report."""

from pathlib import Path

from resweep import yaml12
from resweep.errors import ConfigError, Problem
from resweep.paths import STUDY, TABLE, Layout
from resweep.study.described import read_described

# Settings of one user and one cluster, which say nothing about the results.
LOCAL = ("tracking", "publish")
LOCAL_OF_PHASE = ("resources",)


def score_files(study: str, layout: Layout) -> dict[str, Path | bytes]:
    """Return the resolved study, its table, and the ranking of each of its phases.

    The study is without the settings of one user and one cluster.

    Raises:
        ConfigError: A file is missing.
        DamagedFile: study.yaml is not a resolved study.
    """
    folder = layout.study(study)
    described = read_described(_existing(folder.described))
    phases = [
        {key: value for key, value in phase.items() if key not in LOCAL_OF_PHASE}
        for phase in described["phases"]
    ]
    resolved = {key: value for key, value in described.items() if key not in LOCAL}
    rankings = {
        f"{phase['name']}/{(scores := folder.phase(phase['name']).scores).name}": _existing(scores)
        for phase in phases
    }
    return {
        STUDY: yaml12.dump({**resolved, "phases": phases}).encode(),
        TABLE: _existing(folder.table),
        **rankings,
    }


def report_files(study: str, layout: Layout) -> dict[str, Path | bytes]:
    """Return the report of a study; raises ConfigError if there is none."""
    report = _existing(layout.study(study).report)
    return {report.name: report}


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise ConfigError(Problem(str(path), "", None, "no such file; run snakemake first"))
    return path
