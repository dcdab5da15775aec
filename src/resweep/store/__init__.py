"""The run store: names of runs, their locks, and what trials can ask of them."""
