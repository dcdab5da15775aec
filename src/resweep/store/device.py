"""What the store needs to know of a device: its name, its memory, whether others use it."""

import os

import torch


def device_name(device: torch.device) -> str:
    """Return what records call the device."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"cpu ({os.uname().machine})"


def device_memory(device: torch.device) -> int | None:
    """Bytes of a GPU's memory; None for main memory, which a retry can have more of."""
    if device.type != "cuda":
        return None
    return int(torch.cuda.get_device_properties(device).total_memory)


def is_shared(device: torch.device) -> bool:
    """Whether other processes hold so much of a GPU that lack of memory says nothing of the run."""
    if device.type != "cuda":
        return False
    free, total = torch.cuda.mem_get_info(device)
    return bool(total - free - torch.cuda.memory_reserved(device) > 0.1 * total)
