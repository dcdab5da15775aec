"""The store of prepared data, and prefetching of batches; systems define what is in them."""
