"""The files of a decoder's checkpoint, which reports read without torch."""

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
RECONSTRUCTIONS = "reconstructions.safetensors"
