"""Train the trials of a pack into the run store, several at once, from one process.

    python workflow/scripts/train_pack.py --pack results/STUDY/PHASE/packs/ID.json

Finished runs of the run store are linked, partial ones are continued. On SIGTERM, SIGUSR1, SIGINT
and SIGHUP all trainings save, and it exits with code 75; run the same command again to continue.
"""

import os
import signal

if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while it imports: end without a trace
# One thread a training; and libraries that begin theirs when they are imported could not fork.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
# A look at the GPUs by the driver's list leaves CUDA to the processes that train.
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"

import argparse

from resweep.command_help import HelpFormatter
from resweep.command_line import count, file_path, positive
from resweep.errors import Interrupted, run_command
from resweep.jobs.job_log import report, show_log
from resweep.jobs.options import JobOptions
from resweep.jobs.train_pack import PackJob
from resweep.machine.children import end_now
from resweep.machine.signals import SAVED_AND_STOPPED, end_with_parent, watch_signals
from resweep.trials.pack import read_pack


def main() -> int:
    """Train; returns the exit code."""
    arguments = parse_arguments()
    signals = watch_signals()
    if arguments.parent:  # 0 where it is outside of a container
        end_with_parent(arguments.parent)
    file, options = read_pack(arguments.pack), JobOptions.of(arguments)
    show_log(f"{file.study}/{file.phase}: ", options.log_file)
    at_once = max(1, options.cores // arguments.cpus)
    pack = PackJob(file, options, at_once, interrupted=lambda: bool(signals))
    try:
        return 0 if pack.train() else 1
    except Interrupted as error:
        report(error)
        return SAVED_AND_STOPPED


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add = parser.add_argument
    add("--pack", type=file_path, required=True, metavar="FILE", help="the trials")
    add("--cpus", type=positive, default=1, metavar="N", help="cores of a training (1)")
    add("--parent", type=count, metavar="PID", help="save and stop when this process ends")
    JobOptions.add_to(parser)
    return parser.parse_args()


if __name__ == "__main__":
    run_command(main, end_now)
