"""Search methods side by side: simple regret against trainings, and against trained steps.

objective: a test function, or curves interpolated from a table of real trainings
method:    proposes points, with or without rungs
measure:   every method on every objective over many seeds, results in a cache
report:    tables and pictures of docs/search-benchmarks.md
"""
