"""A system for the tests: images of blobs, told apart by Hebbian prototypes, without gradients."""
