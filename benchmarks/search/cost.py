"""What a suggestion costs, in seconds of one core."""

import time

from benchmarks.search.functions import FUNCTIONS
from resweep.search.suggest import Observation, suggest
from resweep.sweep.points import sobol_points

ROUND = 8
CASES = (("gp", 50), ("gp", 100), ("gp", 200), ("tpe", 200), ("tpe", 1000))
ROUNDS = 3  # measured; one more before, which imports


def measure() -> None:
    """Print a Markdown table: seconds per trial of a round of 8, by trials so far."""
    function = next(function for function in FUNCTIONS if function.name == "Hartmann 6")
    print("| sampler | trials so far | seconds per trial |\n|---|---|---|")
    for sampler, past in CASES:
        points = sobol_points(function.parameters, past, seed=0)
        known = [Observation(point, float(function.curve(point)[-1])) for point in points]
        seconds = []
        for seed in range(ROUNDS + 1):
            start = time.process_time()
            suggest(function.parameters, known, ROUND, seed=seed, sampler=sampler)
            seconds.append((time.process_time() - start) / ROUND)
        shown = sorted(seconds[1:])
        print(f"| {sampler} | {past} | {shown[0]:.3f} to {shown[-1]:.3f} |", flush=True)
