"""This machine: its GPUs, the processes of a training, signals."""
