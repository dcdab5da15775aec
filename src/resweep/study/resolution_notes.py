"""What a configuration comes to where it is not taken as written: clipped, rounded, or not read."""

from collections.abc import Iterator, Mapping
from typing import Any

from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.config.nesting import find
from resweep.config.section import ReadWith
from resweep.config.training_section import Training
from resweep.machine.launch import is_wanted
from resweep.study.packs import AUTO
from resweep.study.study import Phase
from resweep.systems.registry import system_of
from resweep.training.schedule import explain_schedule

SHOWN = 3
PROCESSES = ("training.processes", "training.distributed")
READ = ("warmup_steps", "pct_warmup", "max_steps", "scheduler", "decay_fraction")
WARMUP = {"warmup_steps", "pct_warmup", "max_steps", "num_epochs"}
RESTS_ON = {
    "warmup_steps": WARMUP,
    "pct_warmup": WARMUP,
    "decay_fraction": {*WARMUP, "scheduler", "decay_fraction"},
}


def resolution_notes(phase: Phase, phases: Mapping[str, Phase]) -> list[str]:
    """Return a line for each way in which values of a phase are clipped, rounded, or not read.

    Args:
        phase: The phase.
        phases: All phases by name: what the best of an earlier one brings along is not known yet.
    """
    brought = {path.removeprefix("training.") for path in _brought_along(phase, phases)}
    base = phase.config["training"]
    paths = {f"training.{name}" for name in READ}
    trainings: dict[tuple[Any, ...], None] = {}
    for assigned in phase.varied():
        swept = {path: value for path, value in assigned.items() if path in paths}
        training = compose.assign({"training": base}, swept)["training"] if swept else base
        key = tuple(training[name] for name in READ)
        trainings[key] = None
    notes: dict[str, list[str]] = {}
    for key in trainings:
        for what, text in explain_schedule(**dict(zip(READ, key, strict=True))):
            if not RESTS_ON[what] & brought:
                notes.setdefault(what, []).append(text)
    where = f"{phase.study}/{phase.name}"
    return [
        f"{where}: {'; '.join(texts[:SHOWN])}" + (" ..." if len(texts) > SHOWN else "")
        for texts in notes.values()
    ] + [f"{where}: {text}" for text in (*_not_read(phase), *_alone(phase))]


def _not_read(phase: Phase) -> Iterator[str]:
    """Yield swept fields that are only read beside another's value, which some trials do not have.

    `training.decay_fraction` is only for `scheduler: wsd`: without it, its values train alike.
    """
    marked = {
        f"{section}.{name}": mark
        for section, model in system_of(phase.config).schema.sections.items()
        for name, field in model.model_fields.items()
        for mark in field.metadata
        if isinstance(mark, ReadWith)
    }
    others = {path: f"{path.partition('.')[0]}.{mark.field}" for path, mark in marked.items()}
    watched = {*marked, *others.values()}
    swept: dict[str, dict[str, Any]] = {}
    for assigned in phase.varied():
        for path in watched & assigned.keys():
            swept.setdefault(path, {})[canonical_json(assigned[path])] = assigned[path]
    for path, mark in marked.items():
        if len(swept.get(path, ())) > 1:
            had = swept.get(others[path], {"": find(phase.config, others[path])}).values()
            without = [str(value) for value in had if value not in mark.values]
            if without:
                yield (
                    f"{path} is only read with {mark.field}: {' or '.join(mark.values)}; with "
                    f"{', '.join(without)}, trials that differ in it alone train alike"
                )


def _alone(phase: Phase) -> Iterator[str]:
    """Yield that trainings of several processes have a job each, where packs are asked for."""
    pack = phase.resources.pack
    if pack in (AUTO, 1):
        return
    for assigned in phase.possible():
        swept = {path: assigned[path] for path in PROCESSES if path in assigned}
        training = compose.assign({"training": phase.config["training"]}, swept)["training"]
        if is_wanted(Training.model_construct(**training)):
            yield (
                f"resources.pack = {pack} does not count for trainings of several processes, or by "
                "DeepSpeed: each has a job of its own"
            )
            return


def _brought_along(phase: Phase, phases: Mapping[str, Phase]) -> Iterator[str]:
    """Yield what the best of earlier phases assigns, unless the phase sets it itself."""
    for source in map(phases.__getitem__, phase.asks):
        for path in (
            *(path for one in source.varied() for path in one),
            *_brought_along(source, phases),
        ):
            if path not in phase.settings.get("overrides", ()):
                yield path
