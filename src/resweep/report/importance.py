"""Which hyperparameters mattered: PED-ANOVA over the trials of a phase, with its uncertainty.

    scores.csv  ->  the best trials against all  ->  a share of the importance for each parameter

PED-ANOVA (S. Watanabe, A. Bansal, F. Hutter, "PED-ANOVA: Efficiently Quantifying Hyperparameter
Importance in Arbitrary Subspaces", IJCAI 2023) compares how a parameter's values are spread among
the best trials with their spread among all: the more the two differ, the more it mattered. It needs
the order of the trials alone, so trials that a rung stopped or that diverged count too, at the
bottom of the ranking. `among_good` asks the same of the better half: what mattered once the bad
values are left out.

The best few of some trials are never spread quite like all of them, so each parameter seems to
matter a little. That much is subtracted: the mean importance of the same trials in random order. A
share of 0 means no more than chance.

The uncertainty is the standard deviation of the share over bootstrap samples of the trials.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from resweep.ranking.score_row import ScoreRow, configurations
from resweep.ranking.trial_result import SEED
from resweep.trials.record import Status

if TYPE_CHECKING:
    import numpy as np
    import optuna

FEWEST = 8  # configurations that are compared
MOST = 400  # of more, as many are compared, evenly spaced in the ranking: the shares hardly differ
BEST = 0.2  # of the trials are the best, but at least MOST_FEW_BEST or a third
MOST_FEW_BEST = 5
GOOD = 0.5
SAMPLES = 20
CLEAR = 2.0  # standard errors, as between configurations
WIDE = 10.0  # positive numbers that span this factor are compared by their logarithm
MOST_LISTED = 12  # different numbers that are compared as a list: their distances do not count


class Ranking(Protocol):
    """A ranking of trials, and the paths of the hyperparameters that vary in it."""

    @property
    def scores(self) -> Sequence[ScoreRow]:
        """The trials, best first."""

    @property
    def hyperparameters(self) -> Sequence[str]:
        """Columns of the hyperparameters, with the seed if it varies."""


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much a hyperparameter mattered.

    Attributes:
        path: Column of the hyperparameter.
        share: Of the importance of all swept hyperparameters, 0 to 1; 0: no more than chance.
        error: Standard deviation of the share over bootstrap samples.
    """

    path: str
    share: float
    error: float


def importances(phase: Ranking, *, among_good: bool = False) -> list[Importance]:
    """Return how much each swept hyperparameter mattered, most important first.

    Args:
        phase: The phase.
        among_good: Look at the better half of the trials only.

    Returns:
        Nothing for too few configurations, or fewer than two hyperparameters that differ:
        `importance_note` says so. All shares are 0 where no hyperparameter matters more than by
        chance.
    """
    rows = _ranked(phase, among_good)
    paths = _varied(phase, rows)
    if len(rows) < FEWEST or len(paths) < 2:
        return []
    import numpy as np

    evaluate = _Evaluator(rows, paths)
    draw = np.random.default_rng(0)
    whole = np.arange(len(rows))
    samples = draw.integers(len(rows), size=(SAMPLES, len(rows)))
    by_chance = np.mean([evaluate(whole, draw.permutation(whole)) for _ in range(SAMPLES)], axis=0)
    resampled = np.array([evaluate(sample, sample) for sample in samples])
    shuffled = [evaluate(sample, draw.permutation(sample)) for sample in samples]
    shares = _shares(evaluate(whole, whole) - by_chance)
    spread = np.std([_shares(one) for one in resampled - np.mean(shuffled, axis=0)], axis=0)
    found = [
        Importance(path=path, share=float(share), error=float(error))
        for path, share, error in zip(paths, shares, spread, strict=True)
    ]
    return sorted(found, key=lambda one: -one.share)


def lead_may_be_chance(found: Sequence[Importance]) -> bool:
    """Whether the first hyperparameter leads the second by less than two standard errors.

    Args:
        found: At least two, most important first.
    """
    first, second = found[:2]
    return first.share - second.share < CLEAR * math.hypot(first.error, second.error)


def importance_note(phase: Ranking, *, among_good: bool = False) -> str | None:
    """Return why `importances` has nothing to say; None where it has."""
    rows = _ranked(phase, among_good)
    if len(_varied(phase, rows)) < 2:
        return "fewer than two hyperparameters differ, so none can matter more than another"
    if len(rows) >= FEWEST:
        return None
    needed = math.ceil(FEWEST / GOOD) if among_good else FEWEST
    trained = len(_ranked(phase, among_good=False))
    among = " among the better half" if among_good else ""
    return (
        f"too few configurations to say which hyperparameters mattered{among}: {trained} trained, "
        f"{needed} needed"
    )


def _ranked(phase: Ranking, among_good: bool) -> list[ScoreRow]:
    """Return a trained trial of each configuration, best first: its seeds are one sample."""
    trained = (row for row in phase.scores if Status(row.status).was_trained)
    rows = [seeds[0] for seeds in configurations(trained)]
    rows = rows[: int(GOOD * len(rows))] if among_good else rows
    return rows[:: math.ceil(len(rows) / MOST) or 1]


def _varied(phase: Ranking, rows: Sequence[ScoreRow]) -> list[str]:
    """Return the paths, without the seed, that have different values in these trials."""
    return [
        path
        for path in phase.hyperparameters
        if path != SEED and len({repr(v) for v in _present(rows, path)}) > 1
    ]


def _present(rows: Sequence[ScoreRow], path: str) -> list[Any]:
    values = [row.hyperparameters.get(path) for row in rows]
    return [value for value in values if value is not None and not _is_nan(value)]


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _shares(importance: "np.ndarray") -> "np.ndarray":
    """Return shares of the sum; all 0 where nothing is above 0."""
    above = importance.clip(min=0.0)
    total = above.sum()
    return above / total if total > 0 else above


class _Evaluator:
    """Optuna's PED-ANOVA over samples of ranked trials.

    Args:
        rows: The trials, best first.
        paths: The hyperparameters to compare.
    """

    def __init__(self, rows: Sequence[ScoreRow], paths: Sequence[str]):
        self.paths = paths
        axes = {path: _Axis(_present(rows, path)) for path in paths}
        self.ranks = [float(row.rank) for row in rows]
        self.params: list[dict[str, Any]] = []
        self.distributions: list[dict[str, optuna.distributions.BaseDistribution]] = []
        for row in rows:
            # A trial may lack a parameter that only others have.
            own = {path: row.hyperparameters.get(path) for path in paths}
            own = {path: v for path, v in own.items() if v is not None and not _is_nan(v)}
            self.params.append({path: axes[path].inner(value) for path, value in own.items()})
            self.distributions.append({path: axes[path].distribution for path in own})
        self.study = _new_study()

    def __call__(self, trials: "np.ndarray", ranked_as: "np.ndarray") -> "np.ndarray":
        """Return the importance of each hyperparameter.

        Args:
            trials: Positions of the trials, which may be there several times.
            ranked_as: Positions of the trials whose ranks they get.
        """
        import numpy as np
        import optuna

        count = len(trials)
        self.study.sample = [
            optuna.trial.FrozenTrial(
                number=number,
                trial_id=number,
                state=optuna.trial.TrialState.COMPLETE,
                value=self.ranks[rank],
                params=self.params[trial],
                distributions=self.distributions[trial],
                datetime_start=None,
                datetime_complete=None,
                user_attrs={},
                system_attrs={},
                intermediate_values={},
            )
            for number, (trial, rank) in enumerate(zip(trials, ranked_as, strict=True))
        ]
        best = max(BEST, min(MOST_FEW_BEST / count, 1 / 3))
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=best)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few trials: the errors say how few
            found = evaluator.evaluate(self.study)
        return np.array([found.get(path, 0.0) for path in self.paths])


def _new_study() -> Any:
    """Return an Optuna study whose trials are its attribute `sample`.

    A study copies each trial that is added to it, which takes most of the time of a bootstrap.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)

    class Sample(optuna.study.Study):
        sample: list[optuna.trial.FrozenTrial]

        def get_trials(self, *_: Any, **__: Any) -> list[optuna.trial.FrozenTrial]:
            return self.sample

    storage = optuna.storages.InMemoryStorage()
    number = storage.create_new_study([optuna.study.StudyDirection.MINIMIZE], "importance")
    return Sample(storage.get_study_name_from_id(number), storage)


class _Axis:
    """The values of a hyperparameter in Optuna's terms.

    Few different numbers are compared by their places in order, many by their distance or that of
    their logarithms; texts and truth values are choices without order.

    Args:
        values: All of them, without gaps.
    """

    def __init__(self, values: Sequence[Any]):
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        self.distribution: optuna.distributions.BaseDistribution
        numbers = all(type(value) in (int, float) for value in values)
        different = sorted(set(values)) if numbers else list(dict.fromkeys(map(str, values)))
        self.places: dict[Any, int] | None = None
        if numbers and len(different) > MOST_LISTED:
            low, high = float(different[0]), float(different[-1])
            self.distribution = FloatDistribution(low, high, log=low > 0 and high >= WIDE * low)
            return
        self.places = {value: place for place, value in enumerate(different)}
        last = len(different) - 1
        self.numbers = numbers
        self.distribution = (
            IntDistribution(0, last) if numbers else CategoricalDistribution(range(last + 1))
        )

    def inner(self, value: Any) -> Any:
        """Return the value in Optuna's terms."""
        if self.places is None:
            return float(value)
        return self.places[value if self.numbers else str(value)]
