"""A study around one sweep file: what `run_sweep.py` makes of it, and workers join.

    sweep file + base of another study  ->  results/sweeps/{id}/sweep.yaml, study.yaml

The id is a hash of the inputs, so that the same command finds the same sweep again. The number of
trials is not part of it: a sweep can grow.
"""

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.agents.given_place import GivenPlaces
from resweep.canonical import canonical_json, digest
from resweep.config import compose
from resweep.config.training_section import Training
from resweep.errors import ConfigError, Problem
from resweep.files import file_lock, write_atomically
from resweep.jobs.initial_weights import check_initial_weights
from resweep.paths import Layout, SweepFolder
from resweep.study.find_results import sweep_label
from resweep.study.kinds.sweep_phase import SweepPhase
from resweep.study.load import load_study
from resweep.study.schema import Tracking
from resweep.study.study import Study
from resweep.study.study_file import read_study_file
from resweep.sweep import load_sweep
from resweep.sweep.load import read_content
from resweep.systems.registry import system_of
from resweep.systems.system import DEFAULT

PHASE = "sweep"
KEPT = (
    "system",
    "base",
    "set",
    "own",
    "score",
    "keep",
    "tracking",
    "publish",
    "resources",
    "budget",
    "notify",
    "tolerate_failures",
)
OF_SYSTEM = ("system", "base", "set", "own", "score")


@dataclass(frozen=True)
class SweepStudy:
    """A sweep by its id.

    Attributes:
        id: Eight hex digits.
        folder: Its files.
        config_dir: Where the modules of its study are.
    """

    id: str
    folder: SweepFolder
    config_dir: Path

    def load(self) -> Study:
        """Load the current study; raises ConfigError."""
        return load_study(self.folder.study, self.config_dir)

    def phase(self) -> SweepPhase:
        """Load its one phase."""
        phase = self.load().phase(PHASE)
        assert isinstance(phase, SweepPhase)
        return phase

    def check(self, study: Mapping[str, Any], trials: int | None) -> None:
        """Check a study before it is written; raises ConfigError."""
        draft = self._load_draft(study, trials)
        check_initial_weights([draft], Layout(self.folder.path.parent.parent))

    def _load_draft(self, study: Mapping[str, Any], trials: int | None) -> Study:
        write_atomically(self.folder.draft, yaml12.dump(_with_trials(study, trials)))
        try:
            return load_study(self.folder.draft, self.config_dir)
        finally:
            self.folder.draft.unlink()

    def training(self) -> Training:
        """Return the `training` section of its trials, even before it has any."""
        with file_lock(self.folder.lock):
            trials = self.trials or (1 if self.open_ended else None)
            study = self._load_draft(yaml12.load_mapping(self.folder.study), trials)
        config = study.phase(PHASE).config
        section: Training = system_of(config).schema.validate(config).training
        return section

    def write(self, study: Mapping[str, Any], trials: int | None) -> None:
        """Write the study with a number of trials; None: that of the sweep file."""
        write_atomically(self.folder.study, yaml12.dump(_with_trials(study, trials)))

    @property
    def tracking(self) -> dict[str, Any]:
        """Settings of W&B."""
        given = yaml12.load_mapping(self.folder.study).get("tracking", {})
        return Tracking.model_validate(given).model_dump()

    @property
    def trials(self) -> int | None:
        """Number of trials of the study; None: that of the sweep file."""
        given = yaml12.load_mapping(self.folder.study)["phases"][0].get("trials")
        return None if given is None else int(given)

    @property
    def name(self) -> str:
        """Name of the study, and of its folder in results."""
        return str(yaml12.load_mapping(self.folder.study)["name"])

    @property
    def open_ended(self) -> bool:
        """Whether only the workers' counts limit it."""
        sweep = load_sweep(self.folder.sweep)
        return sweep.method != "grid" and sweep.run_cap is None

    def ask_for(self, trials: int) -> None:
        """Raise the study's number of trials to at least this."""
        self._change_trials(lambda asked: max(asked, trials))

    def ask_for_more(self, trials: int, known: int) -> None:
        """Add trials to the study, unless it has already grown beyond the known ones."""
        self._change_trials(lambda asked: asked + trials if asked == known else asked)

    def _change_trials(self, change: Callable[[int], int]) -> None:
        with file_lock(self.folder.lock):
            asked = self.trials or 0
            if change(asked) != asked:
                self.write(yaml12.load_mapping(self.folder.study), change(asked))


def _with_trials(study: Mapping[str, Any], trials: int | None) -> dict[str, Any]:
    phase = {key: value for key, value in study["phases"][0].items() if key != "trials"}
    if trials is not None:
        phase["trials"] = trials
    return {**study, "phases": [phase]}


def create_sweep(
    sweep_file: Path,
    base_study: Path,
    config_dir: Path,
    layout: Layout,
    *,
    changes: Mapping[str, Any],
    tracking: Mapping[str, Any],
    score: Mapping[str, Any],
    own: Sequence[str],
    round_size: int | None,
    trials: int | None,
    system: str | None = None,
) -> SweepStudy:
    """Make the study around a sweep file, or find it again.

    Args:
        sweep_file: In W&B's format.
        base_study: Study whose modules, values and settings are used, but not its phases.
        config_dir: Where modules are.
        layout: Of the results folder.
        changes: path -> value, overriding those of the base study and the sweep file's constants.
        tracking: Settings of W&B, overriding the base study's.
        score: Settings of the ranking, overriding the base study's.
        own: Names of the user's own hyperparameters, besides the base study's.
        round_size: Trials of a round of a Bayesian sweep, or None.
        trials: How many; None: the sweep file's number.
        system: What is trained; None: what the base study trains. Of a study that trains another
            one, only what does not depend on the system is used.

    Raises:
        ConfigError: All errors of the sweep file and of what it builds on; no files remain then.
    """
    sweep = load_sweep(sweep_file)
    problems = read_study_file(base_study).problems
    if problems:
        raise ConfigError(problems)
    base = yaml12.load_mapping(base_study)
    content = {key: base[key] for key in KEPT if key in base}
    if system is not None and system != base.get("system", DEFAULT):
        content = {key: value for key, value in content.items() if key not in OF_SYSTEM}
        content |= {"system": system, "base": {}}
    below = content.get("set", {})
    content["set"] = {**below, **changes}
    of_file = {"project": sweep.project, "entity": sweep.entity}
    content["tracking"] = {
        **content.get("tracking", {}),
        **{name: value for name, value in of_file.items() if value},
        **tracking,
    }
    content["score"] = {**content.get("score", {}), **score}
    if own:
        content["own"] = [*content.get("own", ()), *own]
    phase: dict[str, Any] = {"name": PHASE, "kind": "sweep"}
    if round_size is not None:
        phase["round_size"] = round_size
    name = digest([canonical_json(read_content(sweep_file)), content, phase], 8)
    made = SweepStudy(name, layout.sweep(name), config_dir)
    label = sweep_label(sweep.name or sweep_file.stem)
    phase["sweep"] = str(made.folder.sweep)
    if changes:  # above the sweep file's constants, as on the command line of snakemake
        content["set"] = below
        phase["set"] = dict(changes)
    with file_lock(made.folder.lock):
        new = not made.folder.study.exists()
        if new:
            write_atomically(made.folder.sweep, sweep_file.read_text())
        asked = trials
        if made.open_ended and not new:
            asked = max(made.trials or 0, trials or 0) or None
        study = {"name": f"{label}-{name}", **content, "phases": [phase]}
        try:
            made.check(study, asked or (1 if made.open_ended else None))
        except ConfigError as error:
            if new:
                shutil.rmtree(made.folder.path)
            first = len(base.get("own", ()))
            places = GivenPlaces(
                study=made.folder.draft,
                base=base_study,
                sweep=made.folder.sweep,
                sweep_file=sweep_file,
                options={
                    **{key: f"--{name}" for name in score for key in (name, f"score.{name}")},
                    **{f"tracking.{name}": f"--{name}" for name in tracking},
                    **{f"own.{first + position}": "--own" for position in range(len(own))},
                    **({"phases.0.round_size": "--round-size"} if round_size else {}),
                },
                changes=frozenset(changes),
            )
            raise ConfigError(map(places.of, error.problems)) from None
        made.write(study, asked)
    return made


def find_sweep(name: str, config_dir: Path, layout: Layout) -> SweepStudy:
    """Return the sweep of an id, also as W&B writes it: ENTITY/PROJECT/ID.

    Raises:
        ConfigError: There is none; lists the existing ones.
    """
    last = name.rpartition("/")[2]
    folder = layout.sweep(last)
    if not re.fullmatch(r"[0-9a-f]{8}", last) or not folder.study.is_file():
        there = ", ".join(made.path.name for made in layout.sweeps()) or "none"
        hint = f"no such sweep; there are: {there}"
        raise ConfigError(Problem(str(folder.path.parent), "--sweep-id", name, hint))
    return SweepStudy(last, folder, config_dir)


def read_changes(given: list[str]) -> dict[str, Any]:
    """Read `path=value` words of a command line.

    Raises:
        ConfigError: A word without `=`.
    """
    changes = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ConfigError(Problem("--set", "", word, "should be NAME=VALUE"))
        changes[name] = compose.read_override(value)
    return changes
