"""The training device: choice, name and memory."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from resweep.errors import ConfigError, Problem
from resweep.plurals import counted


def device_name(device: torch.device) -> str:
    """Return the device name used in records."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"cpu ({os.uname().machine})"


def device_memory(device: torch.device) -> int | None:
    """Bytes of a GPU's memory; None for a CPU, where a retry may get more."""
    if device.type != "cuda":
        return None
    return int(torch.cuda.get_device_properties(device).total_memory)


def is_shared(device: torch.device) -> bool:
    """Whether other processes use so much of a GPU that they may cause out-of-memory errors."""
    if device.type != "cuda":
        return False
    free, total = torch.cuda.mem_get_info(device)
    return bool(total - free - torch.cuda.memory_reserved(device) > 0.1 * total)


def pick_device(name: str = "auto", local_rank: int | None = None) -> torch.device:
    """Return the device to train on, set up to give equal results on equal devices.

    On a CPU, torch uses one thread: it is more efficient to run several trials at once.

    Args:
        name: auto, cpu, cuda or cuda:N.
        local_rank: Rank among the processes of this machine; each uses the GPU of its rank.

    Raises:
        ConfigError: There is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and local_rank is not None:
        name = f"cuda:{local_rank}"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        hint = "should be auto, cpu, cuda or cuda:N"
        raise ConfigError(Problem("command line", "--device", name, hint))
    if name != "cpu" and int(name.partition(":")[2] or 0) >= torch.cuda.device_count():
        hint = f"no such device: torch finds {counted(torch.cuda.device_count(), 'GPU')}"
        raise ConfigError(Problem("command line", "--device", name, hint))
    if name.startswith("cuda"):
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first matmul
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Otherwise each new tensor is filled first, to expose reads of uninitialized memory.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    else:
        torch.set_num_threads(1)
    return torch.device(name)


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor from main memory to a device; to a GPU without waiting."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


@contextmanager
def matmul_precision(device: torch.device, precision: str) -> Iterator[None]:
    """Allow or forbid TF32 in float32 matrix products on a GPU, within the context.

    torch has one switch per process; it is restored afterwards.

    Args:
        device: Where the products are computed; a CPU needs no switch.
        precision: As in `training.precision`.
    """
    if device.type != "cuda":
        yield
        return
    switch = torch.backends.cuda.matmul
    before = switch.allow_tf32
    switch.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        switch.allow_tf32 = before
