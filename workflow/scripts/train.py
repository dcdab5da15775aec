r"""Train one configuration, or one trial of a study, into the run store.

    python workflow/scripts/train.py --learning_rate=5e-4 --n_layer=4
    python workflow/scripts/train.py --trial results/STUDY/PHASE/trials/TRIAL.yaml \
        --record results/STUDY/PHASE/records/TRIAL.json

Finished runs of the run store are linked, partial ones are continued. On SIGTERM, SIGUSR1, SIGINT
and SIGHUP it saves and exits with code 75; run the same command again to continue.

Without --trial, parameters override the base and set of a study. Each of these sets one, by its
flat name or its path (training.learning_rate):

    --learning_rate=5e-4   --learning_rate 5e-4   learning_rate=5e-4   +...   ++learning_rate=5e-4
    --bias   --no-bias     a boolean
    model=gpt2   a section: its module of config/, as in a study's base
    '{"learning_rate": 5e-4}'   parameters.json   parameters.yaml      several

Under torchrun, its number of processes is training.processes.

So W&B's sweep agents can call it with any macro; the file of WANDB_SWEEP_PARAM_PATH is read as
well. Other options:

    --study NAME           whose base and set (the study of config/config.yaml)
    --config NAME          modules of that name, as config/model/NAME.yaml, in place of those of the
                           study's base; values of other options override them
    --results FOLDER       results folder (results)
    --device DEVICE        auto, cpu, cuda or cuda:N (auto)
    --keep KEEP            best: keep weights; all: train again if they are gone; none (best)
"""

import os
import signal

if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports: end without a trace
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # waiting threads must not use up cores

import argparse
import functools
import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from resweep.command_help import HelpFormatter
from resweep.command_line import JsonArgument, count, file_path, text_argument
from resweep.data.opened import Opened
from resweep.errors import ResweepError, end_by_signal, run_command
from resweep.jobs.job_log import log_in_store, report, show_log, text_of
from resweep.jobs.options import JobOptions
from resweep.jobs.train_trial import train_trial
from resweep.machine.answer import answer_of, answer_of_error
from resweep.machine.children import end_now
from resweep.machine.launch import RankZero, under_torchrun
from resweep.machine.signals import SAVED_AND_STOPPED, end_with_parent, watch_signals
from resweep.machine.under_torchrun import become_launcher, is_helper
from resweep.systems.registry import system_of
from resweep.systems.system import System
from resweep.trials.trial import read_trial, require_unchanged, trial_from, write_trial

if TYPE_CHECKING:
    from resweep.data.store import Prepared
    from resweep.training.learner import Learner
    from resweep.training.micro_batch_limit import MicroBatchLimit

OF_A_TRIAL = ("--trial", "--record", "--content", "--help", "-h")

log = logging.getLogger("resweep.train")


def main() -> int:
    """Train; returns the exit code."""
    words = sys.argv[1:]
    if any(word.partition("=")[0] in OF_A_TRIAL for word in words):
        return train_one_trial(words)
    return train_parameters(words)


def train_one_trial(words: list[str]) -> int:
    """Train a trial of a study."""
    arguments = parse_arguments(words)
    signals = watch_signals()
    if arguments.parent:  # 0 where it is outside of a container
        end_with_parent(arguments.parent)
    if arguments.content is not None:
        trial = trial_from(arguments.content, "--content")
        if arguments.trial:
            write_trial(arguments.trial, trial)
    else:
        trial = read_trial(arguments.trial)
        require_unchanged(trial, arguments.trial)
    options = JobOptions.of(arguments)
    show_log(f"{trial.study}/{trial.phase}/{trial.trial}: ", options.log_file)
    if not under_torchrun():  # otherwise the process that started it did
        log.info("%s", trial.line)
    train = functools.partial(
        train_trial,
        trial,
        arguments.record,
        options,
        interrupted=lambda: bool(signals),
        on_run=log_in_store,
    )
    try:
        if under_torchrun():
            train_together(train, system_of(trial.config), options.device)
        else:
            train()
    except (ResweepError, OSError) as error:
        report(error)
        return SAVED_AND_STOPPED if signals else 1
    return 0


def train_together(train: Callable[..., bool], system: System, device_name: str) -> None:
    """Be one of several processes that train a trial, as `resweep.machine.launch` starts them.

    Rank 0 answers for all: only bugs are errors here.
    """
    from resweep.training.device import pick_device
    from resweep.training.mirror import mirror_rank_zero
    from resweep.training.place import Place
    from resweep.training.processes import Processes

    end_with_parent()  # torchrun, which cannot signal its processes when it is killed
    processes = Processes(os.environ)
    device = pick_device(device_name, processes.local_rank)
    if processes.rank > 0:  # rank 0 decides when to stop, and receives the same signals
        processes.join(device)

        def build(
            config: dict[str, Any],
            data: "Prepared",
            most_rows: int | None,
            limit: "MicroBatchLimit",
        ) -> "Learner":
            place = Place(device=device, processes=processes, most_rows=most_rows, limit=limit)
            with Opened(data):
                return system.learner(config, data, place)

        mirror_rank_zero(processes, build)
        return
    rank_zero = RankZero()
    processes.join(device)
    try:
        rank_zero.answer(answer_of(train(processes=processes)))
    except ResweepError as error:
        rank_zero.answer(answer_of_error(error, str(error)))
    except OSError as error:
        rank_zero.answer(answer_of_error(error, text_of(error)))
    finally:
        processes.leave()


def train_parameters(words: list[str]) -> int:
    """Train a configuration by hand, or for a W&B agent."""
    # With all that reads a study, which a job of a trial does without.
    from resweep.jobs.train_by_hand import plan_by_hand, result_text, train_by_hand

    if is_helper(os.environ):
        return 0
    plan = plan_by_hand(words)
    become_launcher(os.environ)
    signals = watch_signals()
    trial = plan.trial
    show_log(f"{trial.study}/{trial.phase}/{trial.trial}: ")
    log.info("%s", trial.line)
    try:
        record = train_by_hand(
            plan,
            interrupted=lambda: bool(signals),
            on_run=log_in_store,
        )
    except (ResweepError, OSError) as error:
        report(error)
        if signals and "agent_run" in plan.options.tracking:
            end_by_signal(signals[0])  # an agent counts every exit code above 0 as a failure
        return SAVED_AND_STOPPED if signals else 1
    print(result_text(record, plan.layout))
    return 0 if record.status.was_trained else 1


def parse_arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line of a trial."""
    parser = argparse.ArgumentParser(
        usage="%(prog)s [PARAMETER ...] | %(prog)s --trial FILE --record FILE [...]",
        description=__doc__,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--trial", type=file_path, help="the trial file")
    add("--record", type=file_path, required=True, help="the record to write")
    add(
        "--content",
        type=content_argument,
        help="the trial as JSON, or @FILE; written to the trial file, if one is given",
    )
    add("--parent", type=count, metavar="PID", help="save and stop when this process ends")
    JobOptions.add_to(parser)
    arguments = parser.parse_args(words)
    if not arguments.trial and arguments.content is None:
        parser.error("--trial or --content is missing")
    return arguments


def content_argument(text: str) -> Any:
    """Return the content of a trial; None where it is empty, for a trial that has its file."""
    text = text_argument(text)
    return JsonArgument()(text) if text else None


if __name__ == "__main__":
    run_command(main, end_now)
