"""Versioned artifacts: their contents, and publishing them."""
