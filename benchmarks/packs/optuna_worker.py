"""One of the warm processes that search the grid with Optuna, through a journal that they share.

python -m benchmarks.packs.optuna_worker WORKLOAD JOURNAL
"""

import sys
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState

from benchmarks.packs.bare_loop import BareLoop
from benchmarks.packs.workload import Workload

STUDY = "small"


def search(workload: Workload, journal: Path) -> None:
    """Train until all trials of the grid are trained, or are being trained elsewhere."""
    loop = BareLoop(workload)
    space: dict[str, list[Any]] = workload.space

    def objective(trial: optuna.Trial) -> float:
        assigned = {name: trial.suggest_categorical(name, values) for name, values in space.items()}
        return loop.last_loss(assigned)

    study = optuna.create_study(
        study_name=STUDY,
        storage=JournalStorage(JournalFileBackend(str(journal))),
        sampler=optuna.samplers.GridSampler(space, seed=0),
        load_if_exists=True,
    )
    # Without it, the process that is done first trains again what the other is at.
    begun = (TrialState.COMPLETE, TrialState.RUNNING)
    study.optimize(objective, callbacks=[MaxTrialsCallback(len(workload.trials), begun)])


def read_losses(workload: Workload, journal: Path) -> dict[str, float]:
    """Return the loss of each trial; raises ValueError if one was trained twice."""
    storage = JournalStorage(JournalFileBackend(str(journal)))
    trials = optuna.load_study(study_name=STUDY, storage=storage).trials
    losses = {workload.trial_with(trial.params): float(trial.values[0]) for trial in trials}
    if len(trials) != len(losses):
        raise ValueError(f"{len(trials)} trainings of {len(losses)} trials")
    return losses


if __name__ == "__main__":
    search(Workload.read(Path(sys.argv[1])), Path(sys.argv[2]))
