"""Replay the stopping decisions of a finished sweep, from its recorded curves."""
