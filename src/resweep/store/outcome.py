"""Trials with their records, checked: the record is of what the trial file asks for.

    {phase}/trials/{slot}.yaml   ->  resolved with its data  ->  run id
    {phase}/records/{slot}.json  ->  link, step              ->  run id    the same, or an error

Whoever ranks, proposes, tabulates, reports or publishes reads trials here: a file is not believed
because it is there. A later version may have raised the recipe of a run: then the identities are
compared without it.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict

from resweep.canonical import canonical_json, digest
from resweep.config import compose
from resweep.config.nesting import find
from resweep.data.description import DESCRIPTION
from resweep.data.source import data_id
from resweep.data.store import Prepared
from resweep.errors import ConfigError, DamagedFile, DataError, Problem, ResweepError, StoreError
from resweep.json_files import read_json, set_aside
from resweep.paths import Layout, RunFolder, run_of_link, trial_of
from resweep.store.identity import find_difference, identity, identity_without_data, resolve
from resweep.store.run import Run, check_place
from resweep.store.state import check_identity
from resweep.systems.registry import system_of
from resweep.systems.stop_rules import stop_rules
from resweep.training.monitors import Monitors
from resweep.trials.record import MADE_AGAIN, Record, Status
from resweep.trials.trial import WRITTEN_AGAIN, Outcome, Trial, read_outcome, require_unchanged


@with_config(ConfigDict(extra="allow"))
class _Digest(TypedDict):
    """A description of data, of whatever system."""

    digest: str


_DIGEST = TypeAdapter(_Digest)
# Grid and random sweeps name trials by what is assigned; a counter distinguishes equal ones.
_HASHED = re.compile(r"([0-9a-f]{10})(-[0-9]+)?")


class OutcomeReader:
    """Reads trials with their records.

    Args:
        layout: Of the results folder.
    """

    def __init__(self, layout: Layout):
        self.layout = layout
        self._data: dict[str, list[Prepared]] = {}  # equal settings are looked up once

    def read(self, record: Path) -> Outcome:
        """Read `{phase}/records/{slot}.json`, and the trial file that belongs to it.

        Raises:
            ConfigError: The trial file is missing, is not one, or asks for something else than what
                its record is of; names the file, the key, both values and the fix.
            DamagedFile: The record, or a file of its run, is not what was written.
        """
        found = read_outcome(record)
        _check_link(found)
        self._check_copy(found)
        _check_assignments(found)
        if found.record.run_id is not None and found.trial.empty is None:
            self._check_run(found)
            _check_end(found)
        elif found.record.status not in (Status.EMPTY, Status.INFEASIBLE):
            raise DamagedFile(record, "has a result, but no run", MADE_AGAIN)
        elif (found.trial.empty is not None) != (found.record.status is Status.EMPTY):
            raise _mismatch(found, "empty", found.trial.empty, f"is {found.record.status}")
        _check_name(found)
        require_unchanged(found.trial, trial_of(record))
        return found

    def read_all(self, records: Iterable[Path]) -> list[Outcome]:
        """Read the trials that a job of the workflow works on.

        Damaged records of the store are set aside, unless the layout is for reading only: the links
        to them dangle, and the next call of Snakemake makes them again.

        Raises:
            StoreError: All that `read` raises, one line per file.
        """
        outcomes, problems = [], []
        for path in records:
            try:
                outcomes.append(self.read(path))
            except ResweepError as error:
                problems.append(str(error))
                run_id = run_of_link(path)
                if self.layout.read_only:
                    continue
                if isinstance(error, DamagedFile) and error.path == path and run_id is not None:
                    file = RunFolder(self.layout.run(run_id)).records / path.readlink().name
                    # Set aside already; or another user's, which stays.
                    with contextlib.suppress(OSError):
                        set_aside(file, error.what)
        if problems:
            raise StoreError("\n".join(problems))
        return outcomes

    def _check_copy(self, found: Outcome) -> None:
        """Check that a record that is not a link has the numbers of one of its run's records."""
        record, path = found.record, found.path
        if record.run_id is None or path.is_symlink():
            return
        run = Run(self.layout.run(record.run_id))
        known = []
        for stem, file in run.records().items():
            if stem.partition("-")[0] == f"{record.step}":
                with contextlib.suppress(DamagedFile):  # those who read it say so
                    known.append(run.read_record(file))
        if known and all(_numbers(record) != _numbers(other) for other in known):
            raise DamagedFile(path, "does not have the numbers of its run's record", MADE_AGAIN)

    def _check_run(self, found: Outcome) -> None:
        """Check that the trial's configuration gives the run of the record."""
        trial, run_id = found.trial, str(found.record.run_id)
        asked: list[dict[str, Any]] = []
        for data in self._data_of(trial):
            try:
                resolved = resolve(trial.config, data, self.layout)
            except (ConfigError, DataError) as error:
                raise _cannot_be_trained(found, error) from None
            except StoreError:  # weights that nobody has noted: compared without them
                break
            asked.append(identity(resolved, data))
            if digest(asked[-1], 12) == run_id:
                return
        try:
            trained = self._trained(run_id)
        except DamagedFile as error:
            if not asked:
                raise
            unknown = f"is of another run, {run_id}, and {error.path} {error.what}"
            raise _mismatch(found, "", None, unknown) from None
        if trained is None:
            if asked:
                raise _mismatch(found, "", None, f"is of another run, {run_id}, which is gone")
            return  # neither its data nor its run is there
        known = [one for one in asked if one["data"] == trained.get("data")] or asked
        whole = bool(known)
        try:
            own = known[0] if whole else identity_without_data(trial.config)
        except (ValueError, ConfigError) as error:
            raise _cannot_be_trained(found, error) from None
        digest_of_data = trained.get("data", {}).get("digest")
        if not self._data_of(trial) and self._knows_data(trial.study, digest_of_data):
            raise _mismatch(found, "data", None, f"is of run {run_id}, trained on other data")
        differs = find_difference(own, trained, whole)
        if differs is not None:
            key, value, other = differs
            raise _mismatch(found, key, value, f"is of run {run_id}, trained with {other!r}")

    def _trained(self, run_id: str) -> dict[str, Any] | None:
        """Return the identity of a run; None if the run is gone."""
        run = Run(self.layout.run(run_id))
        state = run.state()
        check_identity(run.folder.state, state, run_id)
        return state.get("identity")

    def _data_of(self, trial: Trial) -> list[Prepared]:
        """Return the data of a trial, as the store and the stamp of its study describe it."""
        try:
            system, settings = system_of(trial.config), trial.config["data"]
            key = canonical_json([system.name, trial.study, settings])
            name = data_id(system, settings)
        except (LookupError, ValueError, TypeError, AttributeError, ConfigError):
            return []  # it has no settings of data; what is wrong is found when it is compared
        if key not in self._data:
            folder = self.layout.data(name)
            files = (folder / DESCRIPTION, self.layout.study(trial.study).data_stamp(name))
            found = _descriptions(files, system.data_shape)
            self._data[key] = [Prepared(folder, about["digest"], about) for about in found]
        return self._data[key]

    def _knows_data(self, study: str, digest_of_data: str | None) -> bool:
        """Whether data of this digest is here, under whatever settings."""
        folders = self.layout.data("any").parent
        files = (*folders.glob(f"*/{DESCRIPTION}"), *self.layout.study(study).data_stamps())
        return any(about["digest"] == digest_of_data for about in _descriptions(files, _DIGEST))


def _descriptions(files: Iterable[Path], shape: TypeAdapter[Any]) -> Iterator[dict[str, Any]]:
    """Yield the different descriptions of data in files, as far as they can be read."""
    seen: set[str] = set()
    for file in files:
        with contextlib.suppress(OSError, DamagedFile):
            about: dict[str, Any] = read_json(file, "", shape)
            if about["digest"] not in seen:
                seen.add(about["digest"])
                yield about


def _numbers(record: Record) -> tuple[object, ...]:
    return record.status, record.metrics, record.weights


def _check_link(found: Outcome) -> None:
    """Check that a record that is a link leads to a record of the store, and to the right one."""
    path = found.path
    if not path.is_symlink():
        return
    run_id, target = run_of_link(path), path.readlink()
    if run_id is None:
        raise DamagedFile(path, f"links to {target}, outside of the run store", MADE_AGAIN)
    try:
        check_place(found.record, target, run_id)
    except DamagedFile as error:
        raise DamagedFile(path, f"links to {target}, which {error.what}", MADE_AGAIN) from None


def _check_assignments(found: Outcome) -> None:
    """Check that what distinguishes the trial is in its configuration."""
    trial = found.trial
    for path, value in trial.assignments.items():
        there = find(trial.config, path)
        if there == value:
            continue
        try:
            agrees = compose.coerce(path, value, system_of(trial.config).schema) == there
        except ValueError:
            agrees = False
        if not agrees:
            hint = f"is {there!r} in its config; {WRITTEN_AGAIN}"
            raise ConfigError(Problem(str(trial_of(found.path)), path, value, hint))


def _check_name(found: Outcome) -> None:
    """Check that the assignments of a trial of a grid or random sweep give its name."""
    trial = found.trial
    named = _HASHED.fullmatch(trial.trial)
    if named and trial.empty is None and digest(trial.assignments, 10) != named[1]:
        hint = f"does not give the name {trial.trial}; {WRITTEN_AGAIN}"
        raise ConfigError(
            Problem(str(trial_of(found.path)), "assignments", trial.assignments, hint)
        )


def _check_end(found: Outcome) -> None:
    """Check that the record ends where the trial asks for, or where its monitors stop it."""
    record, trial = found.record, found.trial
    if record.max_steps is None or not record.status.was_trained:
        return
    until = min(trial.stop or record.max_steps, record.max_steps)
    early = record.rule is not None or record.status is Status.DIVERGED
    if record.step > until or (record.step < until and not early):
        raise _mismatch(found, "stop", trial.stop, f"ended at step {record.step}")
    name = found.path.readlink().stem if found.path.is_symlink() else ""
    if record.rule is not None and name:
        rules = stop_rules(trial.config)
        if name.rpartition("-")[2] not in Monitors(rules).settings_digests:
            raise _mismatch(found, "early_stopping", None, f"was stopped by {record.rule}")


def _cannot_be_trained(found: Outcome, error: Exception) -> ConfigError:
    first = str(error).splitlines()[0]
    hint = f"cannot be what its record is of: {first}; {WRITTEN_AGAIN}"
    return ConfigError(Problem(str(trial_of(found.path)), "", None, hint))


def _mismatch(found: Outcome, key: str, value: Any, what: str) -> ConfigError:
    hint = f"its record, {found.path}, {what}; {WRITTEN_AGAIN}"
    return ConfigError(Problem(str(trial_of(found.path)), key, value, hint))
