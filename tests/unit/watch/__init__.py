"""Tests of `resweep.watch`."""
