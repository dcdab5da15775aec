"""resweep: sweeps, reruns and published models, every step a file."""

__version__ = "0.1.0"
