"""`python -m benchmarks.packs`: see `benchmarks.packs.command`."""

import sys

from benchmarks.packs.command import main

if __name__ == "__main__":
    main(sys.argv[1:])
