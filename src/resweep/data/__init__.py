"""The store of prepared data, and batches made ready in time; what is in them, systems know."""
