"""`python -m benchmarks.search`: see `benchmarks.search.command`."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import functools
import sys

from benchmarks.search.command import main
from resweep.errors import run_command

if __name__ == "__main__":
    run_command(functools.partial(main, sys.argv[1:]))
