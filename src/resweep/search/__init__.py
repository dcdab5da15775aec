"""Adaptive search: rounds of suggestions, rungs of training, and the decisions at them."""
