"""What a training's configuration comes to where it is not taken as written: clipped or rounded."""

from typing import Any

from resweep.config import compose
from resweep.study.study import Phase
from resweep.training.schedule import explain_schedule

SHOWN = 3
READ = ("warmup_steps", "pct_warmup", "max_steps", "scheduler", "decay_fraction")


def resolution_notes(phase: Phase) -> list[str]:
    """Return a line for each way in which values of a phase are clipped or rounded."""
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
            notes.setdefault(what, []).append(text)
    where = f"{phase.study}/{phase.name}"
    return [
        f"{where}: {'; '.join(texts[:SHOWN])}" + (" ..." if len(texts) > SHOWN else "")
        for texts in notes.values()
    ]
