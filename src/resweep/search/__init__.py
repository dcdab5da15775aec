"""Adaptive search over files: rounds of suggestions, rungs of training, and their decisions."""
