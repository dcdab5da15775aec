"""Batches for a GPU prepared in the background while it computes the previous step.

On a CPU the training itself makes them: a thread would take its time from the cores that compute
the step, and switching between the two costs more than making a small batch.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor


class Prefetch:
    """The batches of successive steps; for a GPU each is prepared during the step before it.

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
        self._thread: ThreadPoolExecutor | None = None
        if device.type == "cuda":
            # By default each thread pins memory through the first GPU.
            self._thread = ThreadPoolExecutor(1, "prefetch", torch.cuda.set_device, (device,))
        self._ready: tuple[int, Future[Tensor]] | None = None

    def at(self, step: int) -> Tensor:
        """Return the batch of a step, on the device; without waiting if steps are in order."""
        if self._thread is None:
            return torch.from_numpy(self._batch_at(step)).to(self._device)
        if self._ready is None or self._ready[0] != step:
            self._ready = (step, self._thread.submit(self._pin, step))
        batch = self._ready[1].result()
        self._ready = None
        if step + 1 < self._most_steps:
            self._ready = (step + 1, self._thread.submit(self._pin, step + 1))
        return batch.to(self._device, non_blocking=True)

    def _pin(self, step: int) -> Tensor:
        return torch.from_numpy(self._batch_at(step)).pin_memory()
