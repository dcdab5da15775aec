"""Trials whose weights later trials start from: what is wrong where they are gone."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from resweep.data import store as data_store
from resweep.errors import StoreError
from resweep.paths import Layout, PhaseFolder
from resweep.ranking.keep import weights_command
from resweep.store.identity import resolve
from resweep.systems.registry import system_of
from resweep.trials.trial import Outcome, Trial


@dataclass(frozen=True)
class Lost:
    """A trial whose weights are gone.

    Attributes:
        folder: Of its phase.
        trial: Its name.
        why: What the store says.
    """

    folder: PhaseFolder
    trial: str
    why: StoreError


def refuse_lost(lost: Iterable[Lost]) -> None:
    """Raise StoreError about all of them, with one command that restores them; if there are any."""
    named = {(one.folder.path, one.trial): one for one in lost}.values()
    if named:
        what = "; ".join(f"{one.folder.path.name} trial {one.trial}: {one.why}" for one in named)
        commands = (weights_command(one.folder, one.trial) for one in named)
        raise StoreError(f"{what}; to restore them: `{' && '.join(commands)}`")


def check_continued(planned: Iterable[Trial], resumed: Iterable[Outcome], layout: Layout) -> None:
    """Check that the runs that a rerun continues have their weights; raises StoreError.

    Args:
        planned: Its trials; those beyond `resumed` are empty.
        resumed: Of each, the trial whose run it continues.
        layout: Of the results folder.
    """
    lost = []
    for trial, before in zip(planned, resumed, strict=False):
        data = data_store.ensure(system_of(trial.config), trial.config["data"], layout)
        try:
            resolve(trial.config, data, layout)
        except StoreError as error:
            lost.append(Lost(_folder_of(before.path), before.trial.trial, error))
    refuse_lost(lost)


def _folder_of(record: Path) -> PhaseFolder:
    return PhaseFolder(record.parent.parent)
