"""What docs/benchmarks.md reports: ratios, measured side by side in one run."""
