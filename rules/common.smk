# What the other files of rules share: the studies, paths, and the resources of trainings.
# The only one with functions. Names, files and numbers come from the library.

import base64
import functools
import gc
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from resweep.machine.interruption import watch_interruption

if workflow.is_main_process:
    INTERRUPTION = watch_interruption(
        logger.handlers, f"stopped; to continue: {shlex.join(['snakemake', *sys.argv[1:]])}"
    )

from resweep.canonical import canonical_json
from resweep.errors import ResweepError, describe
from resweep.imports import code_digest
from resweep.jobs.initial_weights import check_initial_weights
from resweep.jobs.options import JobOptions
from resweep.jobs.resources import JobNeeds, scheduler_resources
from resweep.machine.programs import running_in
from resweep.paths import Layout
from resweep.report.equal_trials import equal_trials_lines
from resweep.study import files
from resweep.study.begin_build import begin_build
from resweep.study.build_note import note_begin, note_end
from resweep.study.data_sets import data_sets
from resweep.study.find import load_studies
from resweep.study.lost import find_lost
from resweep.study.removed import delete_old_packs, move_removed
from resweep.study.rule_names import packs_meant
from resweep.study.stage_targets import stage_targets
from resweep.study.targets import targets
from resweep.study.unknown_target import unknown_target
from resweep.systems.registry import system_file
from resweep.trials.pack import write_pack
from snakemake.cli import get_argument_parser
from snakemake.exceptions import WorkflowError
from snakemake.io import contains_wildcard
from snakemake.settings.enums import Quietness
from snakemake.utils import update_config

# A plan of 10,000 trials has millions of small long-lived objects: collecting as often as by
# default costs a tenth of the time.
gc.set_threshold(200_000, 50, 100)

# Jobs call `python`: the one that runs Snakemake, unless a conda environment precedes it.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))

# Another workflow may use this one as a module: then that one's folder is the working folder.
HERE = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
SCRIPTS = os.path.relpath(HERE / "workflow/scripts")
IS_MODULE = not Path(workflow.main_snakefile).samefile(HERE / "Snakefile")
if workflow.modifier.path_modifier.replace_prefix("results/") != "results/":
    raise WorkflowError("a prefix would move what rules declare, but not the stores: remove it")

LAYOUT = Layout()
LOST = {}  # what is gone from the store, by study: only looked at, since --dry-run comes here too
TARGETS = []  # what the whole call asks for; a cluster's jobs ask for their own files


# Snakemake passes --config on to the jobs of a cluster through two shells, in the quotes of Python:
# encoded, it has nothing that a shell would expand.
CONFIG = list(workflow.config_settings.config_args or [])
if "encoded" in config and not workflow.is_main_process:
    update_config(config, json.loads(base64.b64decode(config.pop("encoded"))))
elif CONFIG and not IS_MODULE:
    _given = json.dumps(dict(workflow.config_settings.overwrite_config)).encode()
    workflow.config_settings.config_args = [f"encoded={base64.b64encode(_given).decode()}"]


def without_braces(files):
    """Files that a study names, as inputs."""
    for file in filter(contains_wildcard, map(str, files)):
        raise WorkflowError(f"{file}: Snakemake reads braces in names as wildcards; rename it")
    return files


try:
    if IS_MODULE:
        STUDIES = load_studies(config, where="config of the module")
    else:
        STUDIES = load_studies(config, file=Path("config/config.yaml"))
    check_initial_weights(STUDIES, LAYOUT)
    DATA = [(study, one) for study in STUDIES for one in data_sets(study, LAYOUT)]
    if workflow.is_main_process:
        LOST.update({study.name: find_lost(LAYOUT, study) for study in STUDIES})
        TARGETS += [file for study in STUDIES for file in targets(LAYOUT, study)]
except ResweepError as error:
    raise WorkflowError(*str(error).splitlines()) from None
except OSError as error:
    raise WorkflowError(describe(error)) from None

NEEDS = JobNeeds(LAYOUT, planning=lambda: workflow.dryrun)
PHASES = [(study, phase) for study in STUDIES for phase in study.phases]
PACKS = [
    (study, phase, stage, pack)
    for study, phase in PHASES
    for stage in phase.stages
    for pack in phase.packs[stage.name]
]
PACK_IDS = {}
FILLS = [(study, phase, fill) for study, phase in PHASES for fill in phase.fills(LAYOUT)]

if workflow.is_main_process:
    for _line in dict.fromkeys(data.warning for _, data in DATA if data.warning):
        print(f"warning: {_line}", file=sys.stderr)
    for _study in STUDIES:
        for _line in (
            *_study.warnings,
            *equal_trials_lines(_study),
            *LOST[_study.name].lines(),
        ):
            print(f"warning: {_line}", file=sys.stderr)
        if IS_MODULE and _study.notify.has_receiver:
            print(
                f"warning: study {_study.name}: notify has no effect in a module, whose handlers "
                "Snakemake does not run; docs/module.md says what to call",
                file=sys.stderr,
            )
    _locked = any(Path(".snakemake/locks").glob("*")) and "--unlock" not in sys.argv
    if _locked and not running_in(Path(), "snakemake"):
        print(
            "warning: a Snakemake that was killed, as by a closed terminal, left its lock in this "
            "folder; if none runs in it from another machine, call `snakemake --unlock` and then "
            "the same command again: trainings continue from where they saved",
            file=sys.stderr,
        )
else:
    # A cluster signals all processes of a job before its time limit. Snakemake would die of it, and
    # would kill the training, which is saving.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)

SCREENS = [one for one in workflow.logger_manager.get_log_handlers() if hasattr(one, "watch")]
for _screen in SCREENS:
    _screen.watch(STUDIES, LAYOUT)

rule_name = functools.partial(files.rule_name, several=len(STUDIES) > 1)


def train_rule(study, phase, stage, pack):
    """The name of the rule of a training job."""
    return rule_name("train", study, phase, files.train_suffix(stage, pack))


if workflow.is_main_process and not IS_MODULE:
    # Snakemake ignores names of resources that no rule has, and explains no other.
    _set = workflow.resource_settings
    _given = [*sys.argv, *_set.overwrite_resources, *_set.overwrite_threads]
    for _line in packs_meant(_given, [train_rule(*of) for of in PACKS]):
        print(f"warning: {_line}", file=sys.stderr)


def targets_given():
    """What this call asks for by name; nothing in jobs. Snakemake itself says so too late."""
    words = [word for word in sys.argv[1:] if not word.startswith("-") and "=" not in word]
    if not words or IS_MODULE or not workflow.is_main_process:
        return []
    return get_argument_parser().parse_known_args(sys.argv[1:])[0].targets


@functools.cache
def code(script):
    """Digest of a script, or a file of the library, and its imports: reruns cheap rules."""
    return code_digest(HERE / "workflow/scripts" / script)


def trials_of(pack, wildcards):
    """The trials of a training job."""
    return (wildcards.trial,) if pack.is_alone else pack.names


def need(phase, stage, pack, what):
    """A resource function for one of `Needs`' fields."""
    return lambda wildcards, attempt: getattr(
        NEEDS.of(phase, stage, trials_of(pack, wildcards), attempt), what
    )


def training_inputs(phase, stage, pack, wildcards):
    """What a training waits for. Stops a call that what is gone of its study stands against."""
    names = trials_of(pack, wildcards)
    builds = workflow.executor_plugin is not None and not workflow.dryrun
    if phase.study in LOST:
        if LOST[phase.study].runs:
            stops = LOST[phase.study].stops(
                files.training_outputs(LAYOUT, phase, stage, names)["records"],
                builds=builds,
                plan=plan_command() if workflow.dryrun else None,
            )
            if stops:  # SystemExit ends Snakemake with this line alone
                raise SystemExit(f"error: {stops}")
        if builds:
            begin()
    if builds and not pack.is_alone:
        write_pack_file(phase, stage, pack)
    return files.training_inputs(LAYOUT, phase, stage, names)


def write_pack_file(phase, stage, pack):
    """Write what a pack trains; a cluster's job too, for a study edited while it was queued."""
    try:
        write_pack(pack_path(phase, stage, pack), files.pack_file(phase, stage, pack))
    except OSError as error:
        raise SystemExit(f"error: {describe(error)}") from None


def pack_id(phase, stage, pack):
    """The digest of a pack."""
    key = (phase.study, phase.name, stage.name, pack.number)
    if key not in PACK_IDS:
        PACK_IDS[key] = files.pack_file(phase, stage, pack).id
    return PACK_IDS[key]


def pack_path(phase, stage, pack):
    """The file of a pack."""
    return LAYOUT.phase(phase.study, phase.name).pack(pack_id(phase, stage, pack))


@functools.cache
def begin():
    """Take the studies for this call; only known to build once the graph is made."""
    try:
        if any(study.budget.has_limits for study in STUDIES):
            # Only where it is needed: it imports what an audit does.
            from resweep.report.budget import check_budget

            for study in STUDIES:
                check_budget(study, LAYOUT)
        begin_build(LAYOUT, [study.name for study in STUDIES])
        for study in STUDIES:
            others = {key: config[key] for key in config if key not in ("study", "studies")}
            note_begin(LAYOUT.study(study.name), {**others, "study": study.origin})
            move_removed(LAYOUT, study)
            delete_old_packs(LAYOUT, study)
    except ResweepError as error:
        raise SystemExit(f"error: {error}") from None
    except OSError as error:
        raise SystemExit(f"error: {describe(error)}") from None


@functools.cache
def plan_command():
    """The command that plans the whole study; None if this call does, or asks for rules."""
    if all(map(workflow.is_rule, workflow.dag_settings.targets)):
        return None
    return shlex.join(["snakemake", "-n", *(["--config", *CONFIG] if CONFIG else [])])


def train_resources(phase, stage, pack):
    """The resources of a training: functions of its trials."""
    named = scheduler_resources(phase.resources, of_pack=not pack.is_alone)
    return {name: need(phase, stage, pack, what) for name, what in named.items()}


def train_content(phase, stage, pack, wildcards):
    """What makes a training stale: the content of its trial, or the digest of its pack."""
    if pack.is_alone:
        return files.trial_content(phase, stage, wildcards.trial)
    return pack_id(phase, stage, pack)


def train_job(study, phase, stage, pack, wildcards):
    """What a training's message and command have that never makes a finished one stale."""
    options = JobOptions(keep=phase.keep_at(stage), tracking=study.tracking.model_dump()).words()
    if not pack.is_alone:
        words = ["train_pack.py", "--pack", pack_path(phase, stage, pack)]
        words += ["--cpus", phase.resources.cpus]
        line = f"{len(pack.names)} trials"
    else:
        slot = stage.slot(wildcards.trial)
        folder = LAYOUT.phase(phase.study, phase.name)
        words = ["train.py", "--trial", folder.trial(slot), "--record", folder.record(slot)]
        line = files.trial_line(phase, wildcards.trial)
    command = shlex.join(map(str, [*words, *options]))
    if pack.is_alone and phase.is_known(stage):
        content = files.trial_content(phase, stage, wildcards.trial)
        command += f" --content=@<(printf %s {shlex.quote(content)})"
    return {"line": line, "command": command}


def begin_screen():
    """Show how far the studies are from now on, on a terminal; --touch is over at once."""
    for screen in SCREENS if not workflow.touch else ():
        screen.begin()


def end(failed, logs):
    """Leave the screen, say what each study came to, and notify."""
    for screen in SCREENS:
        screen.end()
    if workflow.touch or not workflow.is_main_process:
        return
    faulty = [study.name for study in STUDIES if has_open_jobs(study)] if failed else []
    for study in STUDIES:
        if INTERRUPTION.happened:  # who pressed Ctrl-C knows it
            note_end(LAYOUT.study(study.name), stopped=True)
            continue
        failed_here = failed and (not faulty or study.name in faulty)
        if not failed_here and not asks_for_all():  # a part was built: nothing to say
            note_end(LAYOUT.study(study.name))
            continue
        words = [sys.executable, f"{SCRIPTS}/end_study.py", study.name]
        words += ["--notify", canonical_json(study.notify.model_dump())]
        words += ["--failed"] if failed_here else []
        words += ["--log", logs[-1]] if logs else []
        words += ["--quiet"] if Quietness.ALL in (workflow.output_settings.quiet or ()) else []
        subprocess.run(words, check=False)


def has_open_jobs(study):
    """Whether a job of a study failed, or was not run since another one failed."""
    folder = LAYOUT.study(study.name).path
    unfinished = workflow.dag.needrun_jobs()
    return any(Path(file).is_relative_to(folder) for job in unfinished for file in job.output)


def asks_for_all():
    """Whether this call builds whole studies, and no part of one by name."""
    asked = workflow.dag_settings
    return set(map(str, asked.targets)) <= {"all"} and not (asked.until or asked.omit_from)
