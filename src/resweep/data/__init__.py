"""Text to tokens: sources, splits, the data store, and the batches that training reads."""
