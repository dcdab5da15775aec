"""Run a W&B sweep file: make a study from it and build that, or join it as a worker.

    python workflow/scripts/run_sweep.py --sweep-config sweep.yaml --count 10

trains, ranks and reports with Snakemake, on this machine or, with these words at the end, on a
cluster: -- --profile profiles/slurm

    python workflow/scripts/run_sweep.py --sweep-config sweep.yaml --create-only
    python workflow/scripts/run_sweep.py --sweep-id ID --count 5

print an id, and work on the sweep of that id without Snakemake. Start any number of workers, in
several terminals or on machines that share this folder; each trial is trained once.

After an interruption, the same command continues.
"""

import os
import signal

if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports: end without a trace
# One thread a training; and libraries that begin theirs when they are imported could not fork.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import logging
import shlex
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from resweep.agents.base_study import find_base_study
from resweep.agents.sweep_study import SweepStudy, create_sweep, find_sweep, read_changes
from resweep.agents.worker import Worker
from resweep.command_help import HelpFormatter
from resweep.command_line import file_path, plain_text, positive, split_words
from resweep.errors import ConfigError, Interrupted, Problem, run_command
from resweep.jobs.forked_trainings import ForkedTrainings
from resweep.jobs.options import JobOptions, device
from resweep.machine.gpus import lease_gpu
from resweep.machine.launch import processes_of_a_node
from resweep.machine.log_file import ScreenFormatter
from resweep.machine.signals import SAVED_AND_STOPPED, watch_signals
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.report.equal_trials import equal_trials_lines
from resweep.sweep import load_sweep
from resweep.systems.registry import system_names
from resweep.trials.trial import Trial
from resweep.wandb.follower import Follower

DEFAULT_TRIALS = 16  # of a sweep without an end, if nobody says how many
OF_WORKERS = ("device",)
OF_NEW_SWEEPS = (
    "create_only",
    "study",
    "system",
    "set",
    "wandb",
    "metric",
    "goal",
    "own",
    "round_size",
)

log = logging.getLogger("resweep.run_sweep")


def main() -> int:
    """Create, run or join; returns the exit code."""
    arguments, for_snakemake = parse_arguments()
    screen = logging.StreamHandler(sys.stderr)
    screen.setFormatter(ScreenFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[screen])
    layout = Layout(arguments.results)
    if arguments.sweep_id is not None:
        return work(find_sweep(arguments.sweep_id, arguments.config_dir, layout), arguments, layout)
    sweep = create(arguments, layout)
    if arguments.create_only and (sweep.trials is not None or not sweep.open_ended):
        log_warnings(sweep)  # otherwise Snakemake does
    if arguments.count is not None:
        log_count(sweep, arguments.count)
    elif not arguments.create_only and sweep.open_ended and sweep.trials is None:
        sweep.ask_for(DEFAULT_TRIALS)
        log.info("%d trials: the sweep has no run_cap; for more, --count N", DEFAULT_TRIALS)
    if arguments.create_only:
        log.info("created %s; to train it, in any number of terminals:", sweep.folder.study)
        log.info("%s", shlex.join(worker_command(sweep, arguments)))
        print(sweep.id)
        return 0
    command = ["snakemake", "--config", f"study={sweep.folder.study}", *for_snakemake]
    log.info("sweep %s: %s", sweep.id, shlex.join(command))
    log.info("afterwards: resweep summary %s", sweep.name)
    # Replaces this process, so that signals and exit codes are those of Snakemake.
    os.execv(sys.executable, [sys.executable, "-m", *command])


def create(arguments: argparse.Namespace, layout: Layout) -> SweepStudy:
    """Make the study of the sweep file."""
    given = {"project": arguments.project, "entity": arguments.entity, "wandb": arguments.wandb}
    return create_sweep(
        arguments.sweep_config,
        find_base_study(arguments.sweep_config, arguments.study, arguments.config_dir),
        arguments.config_dir,
        layout,
        changes=read_changes(arguments.set),
        tracking={name: value for name, value in given.items() if value},
        score={
            name: getattr(arguments, name)
            for name in ("metric", "goal")
            if getattr(arguments, name)
        },
        own=arguments.own,
        round_size=arguments.round_size,
        trials=arguments.count,
        system=arguments.system,
    )


def worker_command(sweep: SweepStudy, arguments: argparse.Namespace) -> list[str]:
    """Return the command of a worker of a sweep."""
    command = ["resweep", "sweep", "--sweep-id", sweep.id]
    for option, path in (("--results", arguments.results), ("--config-dir", arguments.config_dir)):
        if path != Path(option.removeprefix("--").removesuffix("-dir")):
            command += [option, str(path)]
    return command


def log_count(sweep: SweepStudy, count: int) -> None:
    """Log what a number of trials means where the sweep file has its own."""
    cap, there = load_sweep(sweep.folder.sweep).run_cap, len(sweep.phase().trials)
    if there < count:
        trials = counted(there, "trial")
        log.warning("--count %d: the sweep has only %s; all are trained", count, trials)
    elif there > count and cap is None:
        log.info("--count %d: the sweep has %d trials by now; all are trained", count, there)
    elif cap is not None and count != cap:
        log.info("%s instead of the file's run_cap: %d", counted(count, "trial"), cap)


def log_warnings(sweep: SweepStudy) -> None:
    """Log the warnings of a sweep's study."""
    study = sweep.load()
    for warning in (*study.warnings, *equal_trials_lines(study)):
        log.warning("%s", warning)


def work(sweep: SweepStudy, arguments: argparse.Namespace, layout: Layout) -> int:
    """Be a worker; returns the exit code."""
    for name in ("project", "entity"):
        given, known = getattr(arguments, name), sweep.tracking[name]
        if given is not None and given != known:
            hint = f"sweep {sweep.id} has {known or 'none'}; leave the option out"
            raise ConfigError(Problem("command line", f"--{name}", given, hint))
    signals = watch_signals()
    options = JobOptions(
        results=layout.root,
        device=arguments.device or "auto",
        tracking=sweep.tracking,
        lock_timeout=0.0,
    )

    trainings = ForkedTrainings(lambda: bool(signals), shown=logging.INFO)
    follower = Follower(options.tracking, layout.study(sweep.name))

    def train(trial: Trial, record: Path, keep: str) -> bool:
        job = trainings.ask(trial, record, replace(options, keep=keep), follower)
        return job is not None and trainings.train(job)

    if not sweep.open_ended:
        log_warnings(sweep)
    worker = Worker(
        sweep=sweep,
        layout=layout,
        train=train,
        count=arguments.count,
        interrupted=lambda: bool(signals),
    )
    # The same GPUs for all trials.
    name, automatic = f"sweep {sweep.id}", options.device in ("auto", "cuda")
    try:
        each = processes_of_a_node(sweep.training())
        with (
            lease_gpu(name, worker.interrupted, each) if automatic else nullcontext(),
            follower,
        ):
            done = worker.work()
    except Interrupted as error:
        log.info("%s", error)
        return SAVED_AND_STOPPED
    taken = counted(len(worker.taken), "trial")
    log.info("sweep %s: this worker trained %s", sweep.id, taken)
    how = "to rank and report" if done else "to train the remaining trials, rank and report"
    log.info("snakemake --config study=%s   # %s", sweep.folder.study, how)
    return 0


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what follows `--` is for Snakemake."""
    own, rest = split_words(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--sweep-config",
        "--sweep_config",
        "--config",
        type=file_path,
        metavar="FILE",
        help="the sweep file",
    )
    what.add_argument(
        "--sweep-id",
        "--sweep_id",
        type=plain_text,
        metavar="ID",
        help="a sweep to join as a worker",
    )
    add = parser.add_argument
    add("--create-only", "--create_only", action="store_true", help="print the id and exit")
    add(
        "--count",
        type=positive,
        metavar="N",
        help=f"number of trials of the sweep, or of this worker (run_cap, else {DEFAULT_TRIALS})",
    )
    add(
        "--study",
        type=plain_text,
        help="study whose base and settings to use (that of the folder of the sweep file's "
        "program, else of config/config.yaml)",
    )
    add("--system", choices=system_names(), help="what to train (what that study trains)")
    add(
        "--set",
        type=plain_text,
        nargs="*",
        default=[],
        metavar="NAME=VALUE",
        help="values that override that base, and what the sweep file has under value:",
    )
    add("--project", type=plain_text, help="W&B project; of a sweep to join, the one it has")
    add("--entity", type=plain_text, help="W&B user or team; the same")
    add("--wandb", choices=("offline", "online", "disabled"), help="W&B mode (the study's)")
    add("--metric", type=plain_text, help="rank by this metric instead of the sweep file's")
    add("--goal", choices=("minimize", "maximize"), help="direction of that metric")
    add("--round-size", type=positive, metavar="N", help="trials per round of a Bayesian sweep")
    add(
        "--own",
        type=plain_text,
        nargs="*",
        default=[],
        metavar="NAME",
        help="hyperparameters of your own",
    )
    add(
        "--device",
        type=device,
        metavar="DEVICE",
        help="for workers: auto, cpu, cuda or cuda:N (auto)",
    )
    add("--config-dir", type=file_path, default=Path("config"), help="studies and modules (config)")
    add("--results", type=file_path, default=Path("results"), help="results folder (results)")
    given = parser.parse_args(own)
    if given.sweep_id is None:
        wrong = [name for name in OF_WORKERS if getattr(given, name)]
        required = "--sweep-id"
    else:
        wrong = [name for name in OF_NEW_SWEEPS if getattr(given, name)]
        required = "--sweep-config"
        if rest:
            parser.error("options after -- are for Snakemake, which workers do not use")
    if wrong:
        parser.error(f"--{wrong[0].replace('_', '-')} is only for {required}")
    return given, rest


if __name__ == "__main__":
    run_command(main)
