"""Workers that share a sweep through the run store, without Snakemake."""
