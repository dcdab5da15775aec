"""Curves of a finished sweep without trainings: what it can be decided again from."""

from collections.abc import Sequence

from resweep.replay.curves import RecordedCurve, RecordedSweep
from resweep.sweep import EarlyTerminate
from resweep.systems.registry import metric_of
from resweep.trials.record import Status

METRIC = "val/loss"
EVERY = 10  # steps from one value to the next


def made_curve(
    trial: str,
    values: Sequence[float | None],
    known: int | None = None,
    status: str = "finished",
    rule: str | None = None,
    horizon: int | None = None,
    arrived: float = 0.0,
    round: int = 1,
) -> RecordedCurve:
    """A trial that logged some values.

    Args:
        trial: Its name.
        values: Of the metric, each ten steps after the one before.
        known: How many of these there are; None: all, so that it ended there. A rung stopped it at
            the last of fewer.
        status: How it ended.
        rule: The monitor that ended it.
        horizon: Steps of its whole training; None: ten for each value.
        arrived: When it got its first record.
        round: In which it was proposed.
    """
    cut = known is not None
    seen = values[:known]
    done = not cut and (status == "finished" or rule is not None)
    return RecordedCurve(
        trial=trial,
        round=round,
        run_id=f"run{trial}",
        training={"max_steps": horizon or EVERY * len(values), "eval_steps": EVERY},
        metric=metric_of({}, METRIC),
        points=tuple((EVERY * number, value) for number, value in enumerate(seen, 1)),
        known=EVERY * len(seen),
        status=None if cut else Status(status),
        rule=rule,
        horizon=horizon or EVERY * len(values),
        final=seen[-1] if done else None,
        trained=EVERY * len(seen),
        arrived=arrived,
    )


def made_sweep(
    curves: Sequence[RecordedCurve],
    rule: EarlyTerminate | None = None,
    goal: str = "minimize",
    bands: tuple[int, ...] = (),
) -> RecordedSweep:
    """A sweep of study s, phase p, ranked by the metric of the curves."""
    rounds = len({curve.round for curve in curves}) > 1
    return RecordedSweep(
        study="s",
        phase="p",
        metric=METRIC,
        goal=goal,
        rule=rule,
        bands=bands,
        rounds=rounds,
        curves=tuple(curves),
    )
