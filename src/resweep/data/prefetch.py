"""Batches prepared in the background while the previous step is computed."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor


class Prefetch:
    """The batches of successive steps, each prepared while the previous one is trained on.

    Args:
        batch_at: Returns the batch of a step, int64.
        device: Where it goes; to a GPU from pinned memory, overlapping the computation.
        most_steps: Steps are below this.
    """

    def __init__(
        self, batch_at: Callable[[int], np.ndarray], device: torch.device, most_steps: int
    ):
        self._batch_at = batch_at
        self._device = device
        self._most_steps = most_steps
        self._thread = ThreadPoolExecutor(1, "prefetch", _choose_gpu, (device,))
        self._ready: tuple[int, Future[Tensor]] | None = None

    def at(self, step: int) -> Tensor:
        """Return the batch of a step, on the device; without waiting if steps are in order."""
        if self._ready is None or self._ready[0] != step:
            self._ready = (step, self._thread.submit(self._make, step))
        batch = self._ready[1].result()
        self._ready = None
        if step + 1 < self._most_steps:
            self._ready = (step + 1, self._thread.submit(self._make, step + 1))
        return batch.to(self._device, non_blocking=True)

    def _make(self, step: int) -> Tensor:
        batch = torch.from_numpy(self._batch_at(step))
        return batch.pin_memory() if self._device.type == "cuda" else batch


def _choose_gpu(device: torch.device) -> None:
    """Make a thread pin memory through its GPU: by default each thread uses the first one."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
