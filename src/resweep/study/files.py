"""Which files a study consists of, and the names of the rules that make them.

`resweep.paths` has the paths; this module says which of them a study, a phase or a stage has.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from resweep.canonical import canonical_json
from resweep.data.source import data_id
from resweep.paths import Layout
from resweep.search.stages import Stage
from resweep.study.packs import Pack
from resweep.study.study import Phase, Study
from resweep.systems.registry import system_of
from resweep.trials.pack import Asked, PackFile
from resweep.trials.trial import Trial

LOGS = Path("logs")
TRIAL = "[A-Za-z0-9_-]+"


def rule_name(
    verb: str, study: Study, phase: Phase | None = None, stage: str = "", several: bool = False
) -> str:
    """Return the name of a rule: `train_sweep`, `train_sweep_r02_b1`, `train_sweep_p3`.

    Args:
        verb: What it does.
        study, phase: For what.
        stage: Of the phase, or a pack of it.
        several: Whether there are several studies; the name is then included: `train_mine__sweep`.
    """
    names = [study.name] if several else []
    names += [phase.name] if phase is not None else []
    return join_rule_name(verb, names, stage)


def join_rule_name(verb: str, names: Iterable[str], stage: str = "") -> str:
    """Return the name of a rule from its parts; names are those of its study and its phase."""
    parts = [verb, "__".join(names), stage]
    return "_".join(part for part in parts if part).replace("-", "_")


def log_file(verb: str, study: Study, phase: Phase | None = None, *more: str) -> str:
    """Return the log of a job; logs mirror results: logs/{study}/{phase}/{verb}/{trial}.log."""
    folder = LOGS / study.name
    if phase is not None:
        folder /= phase.name
    return f"{folder.joinpath(verb, *more)}.log"


def stage_trials(layout: Layout, phase: Phase, stages: Iterable[Stage]) -> list[Path]:
    """Return the trial files of all slots of some stages."""
    folder = layout.phase(phase.study, phase.name)
    return [folder.trial(slot) for stage in stages for slot in stage.slots]


def stage_records(layout: Layout, phase: Phase, stages: Iterable[Stage]) -> list[Path]:
    """Return the records of all slots of some stages."""
    folder = layout.phase(phase.study, phase.name)
    return [folder.record(slot) for stage in stages for slot in stage.slots]


def all_slots(phase: Phase) -> list[str]:
    """Return the slots of all stages and all trials, each once."""
    at_stages = (slot for stage in phase.stages for slot in stage.slots)
    return list(dict.fromkeys([*at_stages, *phase.trials]))


def rung_decisions(layout: Layout, phase: Phase, stages: Iterable[Stage]) -> list[Path]:
    """Return the decision files of the rungs of some stages; at last ones nothing is decided."""
    folder = layout.phase(phase.study, phase.name)
    return [folder.rung_decisions(stage.name) for stage in stages if not stage.last]


def trial_files(layout: Layout, phase: Phase) -> list[Path]:
    """Return the trial file of each trial."""
    folder = layout.phase(phase.study, phase.name)
    return [folder.trial(trial) for trial in phase.trials]


def records(layout: Layout, phase: Phase) -> list[Path]:
    """Return the record of each trial: its final result."""
    folder = layout.phase(phase.study, phase.name)
    return [folder.record(trial) for trial in phase.trials]


def data_stamps(layout: Layout, phase: Phase) -> list[Path]:
    """Return the stamps of all data of a phase that is known before any job."""
    return [_data_stamp(layout, phase, settings) for settings in phase.data_prepared_first()]


def _data_stamp(layout: Layout, phase: Phase, settings: dict[str, Any]) -> Path:
    data = data_id(system_of(phase.config), settings)
    return layout.study(phase.study).data_stamp(data)


def train_suffix(stage: Stage, pack: Pack) -> str:
    """Return what tells the rule of a pack from others of its phase: b1, p2, r02_b1_p3."""
    return "_".join(part for part in (stage.name, pack.name) if part)


def training_inputs(layout: Layout, phase: Phase, stage: Stage, names: Iterable[str]) -> list[Path]:
    """Return what the training of trials waits for: their data, or their trial files."""
    folder = layout.phase(phase.study, phase.name)
    if not phase.is_known(stage):
        return [folder.trial(stage.slot(name)) for name in names]
    # Without data in a sweep, the settings of all trials are one object.
    settings = {id(data): data for data in map(phase.trial_data, names)}.values()
    known = (_data_stamp(layout, phase, data) for data in settings if data is not None)
    return list(dict.fromkeys(known))


def training_outputs(
    layout: Layout, phase: Phase, stage: Stage, names: Iterable[str]
) -> dict[str, list[Path]]:
    """Return what the training of trials writes; a name may be a wildcard."""
    folder, slots = layout.phase(phase.study, phase.name), [stage.slot(name) for name in names]
    records = [folder.record(slot) for slot in slots]
    if not phase.is_known(stage):
        return {"records": records}
    # Snakemake looks for a file's rule among the outputs one by one; it looks for records most.
    return {"records": records, "trials": [folder.trial(slot) for slot in slots]}


def training_log(study: Study, phase: Phase, stage: Stage, name: str) -> str:
    """Return the log of a training, or of a pack by its own name."""
    return log_file("train", study, phase, stage.folder, name)


def trial_content(phase: Phase, stage: Stage, trial: str) -> str:
    """Return the content of a trial file, as canonical JSON; "" where a job writes it."""
    if not phase.is_known(stage):
        return ""
    return canonical_json(phase.known_trial(trial, stage).content())


def pack_file(phase: Phase, stage: Stage, pack: Pack) -> PackFile:
    """Return what the job of a pack trains."""
    names = PackFile(
        study=phase.study, phase=phase.name, folder=stage.folder, trials=tuple(pack.names)
    )
    if not phase.is_known(stage):
        return names
    asked = (
        Asked(assignments=phase.assigned(name), stop=phase.known_stop(name, stage))
        for name in pack.names
    )
    return replace(names, config=phase.config, asked=tuple(asked))


def pack_files(phase: Phase) -> Iterator[PackFile]:
    """Yield what each pack of a phase trains."""
    for stage in phase.stages:
        for pack in phase.packs[stage.name]:
            if not pack.is_alone:
                yield pack_file(phase, stage, pack)


def trial_line(phase: Phase, trial: str) -> str:
    """Return a trial's name and what it varies, as far as that is known before any job."""
    return Trial(phase.study, phase.name, trial, assignments=phase.assigned(trial)).line


def trial_pattern(phase: Phase, stage: Stage, pack: Pack) -> str:
    """Return a regular expression that matches the trials with a job each, in their folder."""
    return TRIAL if phase.is_known(stage) and pack.only else "|".join(pack.names)


def asked_configs(layout: Layout, phase: Phase) -> list[Path]:
    """Return the lists of best configurations that a phase takes its trials from."""
    return phase.best_lists(layout)


def configs_artifact(phase: str) -> str:
    """Return the name under which the configurations of a phase are published."""
    return f"{phase}-configs"


def model_artifact(phase: str) -> str:
    """Return the name under which the best model of a phase is published."""
    return f"{phase}-model"


def study_artifacts(layout: Layout, study: Study) -> dict[str, tuple[str, list[Path]]]:
    """Return what is published of a whole study: kind -> name of the artifact, and its files.

    The code is published once all trials have their records: it is what trained them.
    """
    folder = layout.study(study.name)
    rankings = [layout.phase(study.name, phase.name).scores for phase in study.phases]
    inputs = {
        "scores": [folder.described, folder.table, *rankings],
        "report": [folder.report],
        "code": [folder.table],
    }
    published = study.publish.model_dump()
    return {
        kind: (f"{study.name}-{kind}", files) for kind, files in inputs.items() if published[kind]
    }


def best_of_study(study: Study, phase: Phase) -> str:
    """Return how the phase that decides is ranked, as JSON; of other phases: null."""
    decides = phase.name == study.deciding.name
    return canonical_json(phase.score.model_dump() if decides else None)


def configs_published(study: Study) -> list[Phase]:
    """Return the phases whose configurations are published."""
    return [phase for phase in study.phases if phase.publishes_configs and study.publish.configs]


def model_published(study: Study) -> list[Phase]:
    """Return the phase whose best model is published: the one that decides, or none."""
    return [] if study.publish.models == "none" else [study.deciding]


def configs_stamps(layout: Layout, study: Study, phase: Phase) -> list[Path]:
    """Return the stamp of the configurations that a phase trained; none if it has none."""
    known = phase.name in [one.name for one in configs_published(study)]
    stamp = layout.study(study.name).artifact(configs_artifact(phase.name))
    return [stamp] if known else []


def artifacts(layout: Layout, study: Study) -> list[Path]:
    """Return the stamps of what a study publishes."""
    names = [configs_artifact(phase.name) for phase in configs_published(study)]
    names += [model_artifact(phase.name) for phase in model_published(study)]
    names += [name for name, _ in study_artifacts(layout, study).values()]
    return [layout.study(study.name).artifact(name) for name in names]
