"""Versioned artifacts: what becomes one, and how it is sent."""
