"""The file contract: where everything is below `results/`.

Other tools rely on these names; no other module of the library spells out a path. Folders of
checkpoints are named, and found, by `store.checkpoints`; whoever writes a checkpoint or
prepared data names the files in it. Editors, file systems and people leave files of other names in
these folders: they are never read.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BY_HAND = "by-hand"  # in place of a study, for trainings that belong to none
# Names of other folders, which a study or a phase must not have.
RESERVED_STUDIES = ("runs", "data", "weights", "trash", "artifacts", "wandb", "sweeps", BY_HAND)
RESERVED_PHASES = ("artifacts", "data", "wandb")

STUDY = "study.yaml"
SWEEP = "sweep.yaml"
TABLE = "runs.csv"
TRIALS = "trials"
RECORDS = "records"
CLAIMS = "claims"
METRICS = "metrics.jsonl"
TIMING = "timing.jsonl"

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"  # of a study, a phase or a trial
_RUN = re.compile(r"[0-9a-f]{12}")
_RECORD = re.compile(r"(?:0|[1-9][0-9]*)(?:-[a-z]+)*(?:-[0-9a-f]{6})?\.json")  # {step}[-{rule}]
_CLAIM = re.compile(rf"{NAME}\.{NAME}\.({NAME})")
_SLOT = re.compile(rf"{NAME}\.(json|yaml)")


def is_run_id(name: str) -> bool:
    """Whether a name is that of a run."""
    return _RUN.fullmatch(name) is not None


@dataclass(frozen=True)
class PhaseFolder:
    """Paths below the folder of one phase.

    A slot is a trial's name; before the last rung of a sweep, prefixed with the stage's folder:
    `b1/5e1f9fba51`.
    """

    path: Path

    @property
    def trials(self) -> Path:
        """Folder of the trial files."""
        return self.path / TRIALS

    @property
    def records(self) -> Path:
        """Folder of the records."""
        return self.path / RECORDS

    @property
    def models(self) -> Path:
        """Folder of links to the weights that are kept."""
        return self.path / "models"

    @property
    def scores(self) -> Path:
        """The ranking."""
        return self.path / "scores.csv"

    @property
    def decisions(self) -> Path:
        """Every keep, stop and promotion, one per row."""
        return self.path / "decisions.csv"

    def trial(self, slot: str) -> Path:
        """Trial file of a slot: what it trains."""
        return self.path / f"{TRIALS}/{slot}.yaml"

    def record(self, slot: str) -> Path:
        """Record of a slot: its result."""
        return self.path / f"{RECORDS}/{slot}.json"

    def models_kept(self) -> list[Path]:
        """Return the existing links to weights that are kept."""
        return sorted(self.models.glob("*"))

    def pack(self, pack_id: str) -> Path:
        """What the job of a pack trains."""
        return self.path / "packs" / f"{pack_id}.json"

    def all_packs(self) -> list[Path]:
        """Return the existing files of packs."""
        return sorted((self.path / "packs").glob("*.json"))

    @property
    def removed(self) -> Path:
        """Files of trials that are no longer part of the phase."""
        return self.path / "removed"

    def all_records(self) -> list[Path]:
        """Return the existing records of all slots, at rungs and final ones."""
        return _slots(self.records.glob("**/*.json"))

    def all_trials(self) -> list[Path]:
        """Return the existing trial files of all slots."""
        return _slots(self.trials.glob("**/*.yaml"))

    def records_at_rungs(self) -> list[Path]:
        """Return the existing records of all slots at all rungs."""
        return _slots(self.records.glob(f"**/{rung_name('*')}/*.json"))

    def final_records(self) -> list[Path]:
        """Return the existing records of all trials."""
        return _slots(self.records.glob("*.json"))

    def rung_decisions(self, stage: str) -> Path:
        """Which trials continue from a rung, by the name of its stage."""
        return self.path / "decisions" / f"{stage}.csv"

    def best_configs(self, top: int | str) -> Path:
        """The best configurations; `top` may be a wildcard."""
        return self.path / f"top{top}_best_configs.yaml"

    @property
    def chosen(self) -> Path:
        """The best configurations of several phases, which this one reruns."""
        return self.path / "chosen_configs.yaml"

    @property
    def starts(self) -> Path:
        """What a fine-tuning starts from: runs of earlier phases."""
        return self.path / "starts.yaml"

    def gradients(self, trial: str) -> Path:
        """What the gradients of a trial's checkpoints say."""
        return self.path / "gradients" / f"{trial}.json"

    def gradient_figures(self, trial: str) -> Path:
        """The same as figures."""
        return self.path / "gradients" / f"{trial}.png"

    def round(self, number: int) -> Path:
        """The points of a round of a Bayesian sweep, and what they were proposed from."""
        return self.path / "rounds" / f"r{number:02d}.json"


@dataclass(frozen=True)
class StudyFolder:
    """Paths below the folder of one study."""

    path: Path

    @property
    def described(self) -> Path:
        """The resolved study."""
        return self.path / STUDY

    @property
    def lock(self) -> Path:
        """Locked by the process that builds it."""
        return self.path / ".lock"

    @property
    def build(self) -> Path:
        """Which settings it was last built with, when, and whether that ended well."""
        return self.path / "build.json"

    @property
    def table(self) -> Path:
        """One row for each trial."""
        return self.path / TABLE

    @property
    def report(self) -> Path:
        """Everything on one page."""
        return self.path / "report.html"

    @property
    def dag(self) -> Path:
        """Its jobs as a picture."""
        return self.path / "dag.svg"

    def data_stamp(self, data_id: str) -> Path:
        """Description and digest of a prepared data set."""
        return self.path / "data" / f"{data_id}.json"

    def data_stamps(self) -> list[Path]:
        """Return the existing stamps of data."""
        return sorted((self.path / "data").glob("*.json"))

    def artifact(self, name: str) -> Path:
        """Stamp of a published artifact."""
        return artifact_stamp(self.path, name)

    def all_stamps(self) -> list[Path]:
        """Return the existing stamps of published artifacts."""
        return sorted((self.path / "artifacts").glob("*.json"))

    def all_versions(self) -> list[Path]:
        """Return the existing descriptions of versions of its artifacts."""
        return sorted((self.path / "artifacts").glob("versions/*/v*.json"))

    def phase(self, phase: str) -> PhaseFolder:
        """Paths of a phase."""
        return PhaseFolder(self.path / phase)

    def phases(self) -> list[PhaseFolder]:
        """Return the existing folders of phases."""
        return [PhaseFolder(path.parent) for path in sorted(self.path.glob(f"*/{RECORDS}"))]

    def all_records(self) -> list[Path]:
        """Return the existing records of all phases, including those of rungs."""
        return sorted(self.path.glob(f"*/{RECORDS}/**/*.json"))


@dataclass(frozen=True)
class RunFolder:
    """Paths below the folder of one run of the store."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def state(self) -> Path:
        """The run's state."""
        return self.path / "record.json"

    @property
    def lease(self) -> Path:
        """Who advances it."""
        return self.path / "lease.json"

    @property
    def lock(self) -> Path:
        """Locked by the process that advances it."""
        return self.path / "lock"

    @property
    def metrics(self) -> Path:
        """Its reproducible metrics, one line per logged step."""
        return self.path / METRICS

    @property
    def timing(self) -> Path:
        """Speed and memory, one line per logged step."""
        return self.path / TIMING

    @property
    def records(self) -> Path:
        """What trials got that ended at some step: {step}.json, {step}-{rule}.json."""
        return self.path / RECORDS

    def record(self, name: str) -> Path:
        """Record of a trial that ended here, by its step and rule: 200, 50-diverged."""
        return self.records / f"{name}.json"

    def all_records(self) -> list[Path]:
        """Return the existing records, sorted by name."""
        return sorted(path for path in _files_of(self.records) if _RECORD.fullmatch(path.name))

    def damaged_records(self) -> list[Path]:
        """Return the records that were set aside because they were damaged."""
        files = _files_of(self.records)
        return sorted(
            p
            for p in files
            if _RECORD.fullmatch(p.name.removesuffix(".damaged")) and p.suffix == ".damaged"
        )

    def all_claims(self) -> list[Path]:
        """Return the existing claims."""
        return sorted(path for path in _files_of(self.claims) if _CLAIM.fullmatch(path.name))

    @property
    def claims(self) -> Path:
        """The trials that want its weights to stay."""
        return self.path / CLAIMS

    def claim(self, study: str, phase: str, trial: str) -> Path:
        """Claim of a trial."""
        return self.claims / f"{study}.{phase}.{trial}"

    def lasting_claim(self, why: str, study: str) -> Path:
        """A study's claim that a new ranking does not release; `why` has no dot, trials' have."""
        return self.claims / why / f"{study}.json"

    def all_lasting_claims(self) -> list[Path]:
        """Return the existing claims of studies."""
        folders = (entry for entry in _files_of(self.claims) if entry.is_dir())
        files = (file for folder in folders for file in _files_of(folder))
        return sorted(file for file in files if re.fullmatch(r"[^.].*\.json", file.name))

    @property
    def final_checkpoint(self) -> Path:
        """Link to the checkpoint of its last step."""
        return self.path / "final_checkpoint"

    @property
    def again(self) -> Path:
        """A retraining of what was pruned, while it lasts."""
        return self.path / "again"

    @property
    def log(self) -> Path:
        """What its trainings logged."""
        return self.path / "train.log"

    @property
    def micro_batch(self) -> Path:
        """The largest micro-batch that fits, once a larger one did not."""
        return self.path / "micro_batch.json"

    @property
    def sent_to_wandb(self) -> Path:
        """Up to which step W&B has its metrics."""
        return self.path / "wandb.json"

    @property
    def wandb_lock(self) -> Path:
        """Locked by the process that sends its metrics to W&B."""
        return self.path / "wandb.lock"

    @property
    def added_metrics(self) -> Path:
        """Metrics that an analysis added later."""
        return self.path / "added_metrics.json"


@dataclass(frozen=True)
class SweepFolder:
    """Paths below the folder of a sweep that `run_sweep.py` made; workers write the records."""

    path: Path

    @property
    def study(self) -> Path:
        """The study file around the sweep."""
        return self.path / STUDY

    @property
    def draft(self) -> Path:
        """A study file that is still being checked."""
        return self.path / f".{STUDY}"

    @property
    def sweep(self) -> Path:
        """The copy of the sweep file."""
        return self.path / SWEEP

    @property
    def lock(self) -> Path:
        """Lock on the study files of all sweeps."""
        return self.path.parent / ".lock"

    def record(self, slot: str) -> Path:
        """Record of a slot: its result."""
        return self.path / RECORDS / f"{slot}.json"

    def all_records(self) -> list[Path]:
        """Return the existing records."""
        return sorted(self.path.glob(f"{RECORDS}/**/*.json"))


@dataclass(frozen=True)
class Layout:
    """Paths below one results folder.

    Attributes:
        root: The folder.
        read_only: Whether who reads it leaves it as it is: nothing is repaired or noted on the way.
    """

    root: Path = Path("results")
    read_only: bool = False

    @property
    def runs_table(self) -> Path:
        """One row for each run of the store."""
        return self.root / TABLE

    @property
    def runs(self) -> Path:
        """The run store."""
        return self.root / "runs"

    @property
    def trash(self) -> Path:
        """Where `resweep forget` moves the runs that it removes from the store."""
        return self.root / "trash"

    def run(self, run_id: str) -> Path:
        """Folder of one run."""
        return self.runs / run_id

    def all_runs(self) -> list[Path]:
        """Return the folders of all runs of the store, sorted."""
        return sorted(p for p in _files_of(self.runs) if is_run_id(p.name) and p.is_dir())

    def data(self, data_id: str) -> Path:
        """Folder of one prepared data set."""
        return self.root / "data" / data_id

    @property
    def weights_known(self) -> Path:
        """Folder of what is known about weights that runs start from."""
        return self.root / "weights"

    def weights(self, name: str) -> Path:
        """What is known about one of them."""
        return self.weights_known / f"{name}.json"

    def study(self, study: str) -> StudyFolder:
        """Paths of one study."""
        return StudyFolder(self.root / study)

    def phase(self, study: str, phase: str) -> PhaseFolder:
        """Paths of one phase."""
        return self.study(study).phase(phase)

    def trial(self, study: str, phase: str, trial: str) -> Path:
        """Trial file of a trial: what it trains."""
        return self.phase(study, phase).trial(trial)

    def record(self, study: str, phase: str, trial: str) -> Path:
        """Record of a trial: its result."""
        return self.phase(study, phase).record(trial)

    def all_studies(self) -> list[StudyFolder]:
        """Return the existing folders of studies, and that of trainings by hand."""
        others = set(RESERVED_STUDIES) - {BY_HAND}
        folders = sorted(path for path in _files_of(self.root) if path.is_dir())
        return [StudyFolder(path) for path in folders if path.name not in others]

    def all_trial_records(self) -> list[Path]:
        """Return the existing records of all trials of all studies, without those of rungs."""
        return self.trial_records("*", "*")

    def trial_records(self, study: str, phase: str) -> list[Path]:
        """Return the existing records of the trials of a phase; names may be wildcards."""
        return _slots(self.root.glob(f"{study}/{phase}/{RECORDS}/*.json"))

    def claims_of(self, study: str, phase: str) -> Iterator[tuple[RunFolder, str]]:
        """Yield the run and the trial of each existing claim of a phase."""
        for file in sorted(self.runs.glob(f"*/{CLAIMS}/{study}.{phase}.*")):
            claim = _CLAIM.fullmatch(file.name)
            if claim is not None:
                yield RunFolder(file.parent.parent), claim[1]

    def lasting_claims(self, study: str) -> list[Path]:
        """Return a study's existing claims that a new ranking does not release."""
        return sorted(self.runs.glob(f"*/{CLAIMS}/*/{study}.json"))

    def artifact(self, name: str) -> Path:
        """Stamp of an artifact that does not belong to a study."""
        return artifact_stamp(self.root, name)

    @property
    def sweeps_folder(self) -> Path:
        """The folder of the sweeps of `run_sweep.py`."""
        return self.root / "sweeps"

    def all_builds(self) -> list[Path]:
        """Return the existing notes of the last build of each study."""
        return sorted(folder.build for folder in self.all_studies() if folder.build.exists())

    def sweep(self, sweep_id: str) -> SweepFolder:
        """Paths of a sweep of `run_sweep.py`."""
        return SweepFolder(self.sweeps_folder / sweep_id)

    def sweeps(self) -> list[SweepFolder]:
        """Return the existing sweeps of `run_sweep.py`."""
        return [SweepFolder(path.parent) for path in sorted(self.sweeps_folder.glob(f"*/{STUDY}"))]


def _files_of(folder: Path) -> Iterator[Path]:
    """Yield what a folder contains; nothing if there is no folder."""
    return folder.iterdir() if folder.is_dir() else iter(())


def _slots(files: Iterator[Path]) -> list[Path]:
    """Return the files that are named after slots, sorted."""
    return sorted(path for path in files if _SLOT.fullmatch(path.name))


def rung_name(number: int | str) -> str:
    """Name of a rung, and folder of its trials and records; the number may be a wildcard."""
    return f"b{number}"


def artifact_stamp(folder: Path, name: str) -> Path:
    """Stamp of an artifact below the folder of a study, or of all results."""
    return folder / "artifacts" / f"{name}.json"


def artifact_versions(stamp: Path) -> Path:
    """Folder of the versions of an artifact, next to its stamp."""
    return stamp.parent / "versions"


def tracking_log(folder: Path, name: str) -> Path:
    """Log of what W&B printed, next to its own files in a results folder."""
    return folder / "wandb" / f"{name}.log"


def publish_lock(study: Path) -> Path:
    """Locked by the process that writes, or sends, an artifact of a study by W&B."""
    return study / "wandb" / ".publish.lock"


def send_lock(study: Path) -> Path:
    """Locked by the process that sends what W&B recorded of a study."""
    return study / "wandb" / ".send.lock"


def offline_runs(study: Path) -> list[Path]:
    """Return the folders that W&B recorded of a study, oldest first."""
    return sorted(path for path in (study / "wandb").glob("*") if path.is_dir())


def follower_log(study: Path) -> Path:
    """Log of what W&B printed while it was sent the metrics of a study's runs."""
    return tracking_log(study, "follower")


def phase_and_slot(record: Path) -> tuple[PhaseFolder, str]:
    """Return the phase and the slot that a record belongs to."""
    above, _, slot = str(record.with_suffix("")).rpartition(f"/{RECORDS}/")
    return PhaseFolder(Path(above)), slot


def run_of_link(record: Path) -> str | None:
    """Return the run that a trial's record links to; None if it is a file of its own."""
    if not record.is_symlink():
        return None
    run = record.readlink().parent.parent.name  # records/ of runs/{run_id}/ is where it points
    return run if is_run_id(run) else None


def trial_of(record: Path) -> Path:
    """Return the trial file that a record belongs to."""
    folder, slot = phase_and_slot(record)
    return folder.trial(slot)
