"""From records to ranks, to the best configurations, to the weights that are kept."""
