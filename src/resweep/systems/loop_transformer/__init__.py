"""A transformer that loops over its own states, on Sudoku: `system: loop_transformer`."""
