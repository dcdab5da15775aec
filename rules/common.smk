# What the other files here share: studies, names of rules and files, resources of trainings.
# The only one with functions; nothing here computes more than a name or a number for a scheduler.

import functools
import gc
import hashlib
import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path

from resweep.canonical import canonical_json
from resweep.data.store import data_id
from resweep.errors import ResweepError
from resweep.paths import Layout
from resweep.jobs.resources import trial_needs
from resweep.study.find import load_studies
from resweep.systems.registry import find_system
from resweep.trials.record import drop_dangling_records
from resweep.trials.trial import Trial, read_trial
from snakemake.exceptions import WorkflowError

# A plan of 10,000 trials is millions of small objects that stay: walking them over and over, as the
# collector's defaults do, costs a tenth of the time.
gc.set_threshold(200_000, 50, 100)

LAYOUT = Layout()
MAIN_PROCESS = workflow.exec_mode.name == "DEFAULT"

# Jobs call `python`: the one that runs Snakemake, unless a conda environment comes before it.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))

try:
    STUDIES = load_studies(config)
    for _study in STUDIES:
        for _settings in _study.data_settings():
            find_system(_study.system).source_files(_settings)
except ResweepError as error:
    raise WorkflowError(*str(error).splitlines()) from None

if not MAIN_PROCESS:
    # A cluster tells all processes of a job that its end is near. Snakemake would die of that, and
    # take the training along that saves.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)

PHASES = [(study, phase) for study in STUDIES for phase in study.phases]
SWEEPS = [(study, phase) for study, phase in PHASES if phase.kind == "sweep"]
STAGES = [(study, phase, stage) for study, phase in SWEEPS for stage in phase.stages]
RERUNS = [(study, phase) for study, phase in PHASES if phase.kind == "rerun"]

if MAIN_PROCESS:
    for _study in STUDIES:
        for _line in _study.warnings:
            print(f"warning: {_line}", file=sys.stderr)
        for _path in drop_dangling_records(LAYOUT, _study.name):
            print(f"{_path}: its run is gone from the store; it will be trained again")


def rule_name(verb, study, phase=None, stage=""):
    """`train_sweep`, `train_sweep_r02_b1`; `train_mystudy__sweep` where there are several studies."""
    names = ([study.name] if len(STUDIES) > 1 else []) + ([phase.name] if phase else [])
    parts = [verb] + ["__".join(names)] * bool(names) + [stage] * bool(stage)
    return "_".join(parts).replace("-", "_")


def study_file(study, name):
    return str(LAYOUT.study(study.name) / name)


def phase_file(phase, name):
    return str(LAYOUT.phase(phase.study, phase.name) / name)


def log_file(verb, study, phase=None, *more):
    """Logs mirror results: logs/{study}/{phase}/{verb}/{trial}.log."""
    return str(Path("logs", study.name, *([phase.name] if phase else []), verb, *more)) + ".log"


def stage_file(phase, stage, kind, name):
    """A trial file or record of a stage; `name` may be a wildcard."""
    return phase_file(phase, str(Path(kind, stage.folder, name)))


def stage_trials(phase, stage):
    return [stage_file(phase, stage, "trials", f"{name}.yaml") for name in stage.names]


def stage_records(phase, stages):
    """Records of all slots of some stages."""
    return [
        stage_file(phase, stage, "records", f"{name}.json")
        for stage in stages
        for name in stage.names
    ]


def round_files(phase, stage, kind, ending):
    """Files of the trials of a round, after its last rung."""
    first = phase.stages_of_round(stage)[0]
    return [phase_file(phase, f"{kind}/{name}.{ending}") for name in first.names]


def rung_decisions(phase, stages):
    """Who goes on from the rungs of some stages."""
    return [phase_file(phase, f"decisions/{s.name}.csv") for s in stages if not s.last]


def warm_start(phase):
    """Tables that a Bayesian sweep starts from."""
    return [str(path) for path in phase.warm_start_tables(LAYOUT)]


def records(phase):
    return [str(LAYOUT.record(phase.study, phase.name, trial)) for trial in phase.trials]


def trial_files(phase):
    return [str(LAYOUT.trial(phase.study, phase.name, trial)) for trial in phase.trials]


def data_name(study, settings):
    return data_id(find_system(study.system), settings)


def data_stamp(study, settings):
    return study_file(study, f"data/{data_name(study, settings)}.json")


def trial_data_stamp(study, phase):
    """The stamp of the phase's data, or an input function where trials differ in their data."""
    if len(phase.data_settings()) == 1:
        return data_stamp(study, phase.data_settings()[0])
    return lambda wildcards: data_stamp(study, phase.trial_data(wildcards.trial))


def quoted(content):
    """JSON as one word of a shell command."""
    return shlex.quote(canonical_json(content))


@functools.cache
def code(*modules):
    """Digest of modules: as a param, it reruns a cheap rule when they were edited."""
    total = hashlib.sha256()
    for module in modules:
        total.update(Path(workflow.basedir, "src/resweep", f"{module}.py").read_bytes())
    return total.hexdigest()[:12]


def train_command(study, phase, stage):
    """The command of a training, with settings that never make a finished one stale.

    exec: signals of the scheduler reach the trainer itself, and the job ends when it does.
    """
    return (
        f"exec python workflow/scripts/train.py --keep {phase.keep_at(stage)}"
        f" --tracking {quoted(study.tracking.model_dump())}".replace("{", "{{").replace("}", "}}")
        + " --record {output.record} --log {log} --memory-mb {resources.mem_mb}"
    )


_last_needs = (None, None, 0.0)


def needs(phase, stage, wildcards, input, attempt):
    """What a training asks for; Snakemake asks once a resource, so the answer is kept a second."""
    global _last_needs
    key = (phase.study, phase.name, stage and stage.name, wildcards.trial, attempt)
    known, answer, when = _last_needs
    if known != key or time.monotonic() - when > 1.0:
        trial = Trial(phase.study, phase.name, wildcards.trial, phase.config)
        if phase.static and stage.first:
            trial = phase.known_trial(wildcards.trial, stage.rung.band)
        elif Path(input.trial).exists():
            trial = read_trial(Path(input.trial))
        answer = trial_needs(trial, phase.resources, phase.keep, LAYOUT)
        _last_needs = (key, answer, time.monotonic())
    return answer


def need(phase, stage, what):
    """A resource function for one of `Needs`' fields."""

    def ask(wildcards, input, attempt):
        return getattr(needs(phase, stage, wildcards, input, attempt), what)

    return ask


def train_resources(phase, stage):
    """The resources of a training rule: functions of the trial. GPUs and a partition are among them
    only where a study asks for any."""
    names = {name: name for name in ("mem_mb", "runtime", "slurm_extra", "mpi", "tasks_per_gpu")}
    names |= {"nodes": "several_nodes", "tasks": "several_nodes"}
    names |= {"gres": "gres"} if phase.resources.gpus else {}
    names |= {"slurm_partition": "partition"} if phase.resources.partition else {}
    return {name: need(phase, stage, what) for name, what in names.items()}


def everything():
    """All files that the studies end in. Every record is asked for: Snakemake does not bring back
    missing files whose consumers exist."""
    files = []
    for study, phase in PHASES:
        files += records(phase)
        if phase.rungs:
            files += stage_records(phase, phase.stages) + rung_decisions(phase, phase.stages)
        files += [phase_file(phase, name) for name in ("scores.csv", "decisions.csv", "models")]
        files.append(phase_file(phase, f"top{phase.selects}_best_configs.yaml"))
    for study in STUDIES:
        files += [study_file(study, name) for name in ("study.yaml", "runs.csv", "report.html")]
        files += artifacts(study)
    return files


def artifacts(study):
    """Stamps of what a study publishes: configurations of its reruns, the last phase's best model."""
    last = study.phases[-1]
    names = [
        f"{p.name}-configs" for p in study.phases if p.kind == "rerun" and study.publish.configs
    ]
    names += [f"{last.name}-model"] if study.publish.models == "best" else []
    return [study_file(study, f"artifacts/{name}.json") for name in names]
