"""Predictive coding of images by local energies: `system: predictive_coding`."""
