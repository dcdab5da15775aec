"""A training job from its command line to the trial's record."""
