"""W&B sweep files: reading them, their search space, and its points.

A point is a mapping from a parameter's name in the file to its value.
"""

from resweep.sweep.definition import Sweep, SweepMetric
from resweep.sweep.early_terminate import EarlyTerminate
from resweep.sweep.load import load_sweep
from resweep.sweep.parameter import Parameter
from resweep.sweep.points import uniform

__all__ = ["EarlyTerminate", "Parameter", "Sweep", "SweepMetric", "load_sweep", "uniform"]
