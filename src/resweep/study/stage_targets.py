"""Targets with names: the stages of a study, each of which can be built alone.

snakemake ranked_sweep                               the ranking of a phase
snakemake ranked_sweep --config 'studies=[a,b]'      of this phase of both studies
snakemake ranked_a__sweep --config 'studies=[a,b]'   of one of them
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from resweep.data.source import data_id
from resweep.paths import Layout
from resweep.study import files
from resweep.study.study import Phase, Study
from resweep.study.targets import missing_files, targets
from resweep.systems.registry import find_system

Part = Callable[[], list[Path]]
OF_PHASES = {
    "trained": "the records of all trials",
    "ranked": "the ranking, and the list of the best",
    "models": "links to the weights that are kept, and why they are",
}
OF_STUDIES = {
    "data": "the data that is known before any training",
    "artifacts": "what is published",
    "report": "the report",
    "study": "all of it",
}


@dataclass(frozen=True)
class StageTarget:
    """A target.

    Attributes:
        about: What is built.
        parts: Functions that return its files; looked at only where it is asked for.
    """

    about: str
    parts: list[Part] = field(default_factory=list)

    def files(self) -> list[Path]:
        """Return the files to build, each once."""
        return list(dict.fromkeys(path for part in self.parts for path in part()))


def stage_targets(layout: Layout, studies: Collection[Study]) -> dict[str, StageTarget]:
    """Return the targets of studies by name.

    With several studies, each has targets of its own, with its name, and they share those without.
    """
    several = len(studies) > 1
    # The report of each study is a rule by itself, and all of a single one is `all`.
    own = OF_STUDIES.keys() - {"report"} - (set() if several else {"study"})
    shared = OF_STUDIES.keys() - {"study"} if several else set[str]()
    found: dict[str, StageTarget] = {}

    def add(name: str, about: str, part: Part) -> None:
        found.setdefault(name, StageTarget(about)).parts.append(part)

    for study in studies:
        for verb, about in OF_STUDIES.items():
            part: Part = partial(_files_of_study, verb, layout, study)
            if verb in own:
                add(files.rule_name(verb, study, several=several), about, part)
            if verb in shared:
                add(verb, f"{about}, of all studies", part)
        for phase in study.phases:
            for verb, about in OF_PHASES.items():
                part = partial(_files_of_phase, verb, layout, phase)
                add(files.rule_name(verb, study, phase, several=several), about, part)
                if several:
                    add(files.rule_name(verb, study, phase), f"{about}, of all studies", part)
    return found


def single_files(layout: Layout, study: Study) -> dict[Path, str]:
    """Return files that can be built alone, one of each sort, with what they are."""
    phase, own = study.phases[0], layout.study(study.name)
    folder, slot = own.phase(phase.name), files.all_slots(phase)[0]
    found = {
        folder.record(slot): "a trial's record",
        folder.trial(slot): "what the trial trains",
        folder.scores: "the ranking of a phase",
        folder.best_configs(5): "a list of its best, of any length",
        folder.models: "links to the weights that it keeps",
        own.table: "a row for each trial of the study",
        own.report: "the report",
    }
    return found | dict.fromkeys(files.artifacts(layout, study), "a published artifact")


def _files_of_study(verb: str, layout: Layout, study: Study) -> list[Path]:
    own = layout.study(study.name)
    match verb:
        case "data":
            system = find_system(study.system)
            return [own.data_stamp(data_id(system, data)) for data in study.data_settings()]
        case "artifacts":
            return files.artifacts(layout, study)
        case "report":
            return [own.report]
    return targets(layout, study)


def _files_of_phase(verb: str, layout: Layout, phase: Phase) -> list[Path]:
    """Return the files of a phase, with what is missing of what they are made from."""
    folder = layout.phase(phase.study, phase.name)
    match verb:
        case "trained":
            made = files.records(layout, phase)
        case "ranked":
            made = [folder.scores, folder.best_configs(phase.selects)]
        case _:
            made = [folder.decisions, folder.models]
    return [*missing_files(layout, phase), *made]
