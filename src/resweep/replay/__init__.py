"""Decide a finished sweep again, from its recorded curves."""
