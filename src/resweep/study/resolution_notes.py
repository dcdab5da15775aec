"""What a training's configuration comes to where it is not taken as written: clipped or rounded."""

from collections.abc import Iterator, Mapping
from typing import Any

from resweep.config import compose
from resweep.study.study import Phase
from resweep.training.schedule import explain_schedule

SHOWN = 3
READ = ("warmup_steps", "pct_warmup", "max_steps", "scheduler", "decay_fraction")
WARMUP = {"warmup_steps", "pct_warmup", "max_steps", "num_epochs"}
RESTS_ON = {
    "warmup_steps": WARMUP,
    "pct_warmup": WARMUP,
    "decay_fraction": {*WARMUP, "scheduler", "decay_fraction"},
}


def resolution_notes(phase: Phase, phases: Mapping[str, Phase]) -> list[str]:
    """Return a line for each way in which values of a phase are clipped or rounded.

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
    ]


def _brought_along(phase: Phase, phases: Mapping[str, Phase]) -> Iterator[str]:
    """Yield what the best of earlier phases assigns, unless the phase sets it itself."""
    for source in map(phases.__getitem__, phase.asks):
        for path in (
            *(path for one in source.varied() for path in one),
            *_brought_along(source, phases),
        ):
            if path not in phase.settings.get("overrides", ()):
                yield path
