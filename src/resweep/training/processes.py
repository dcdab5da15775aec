"""The processes that train one run together: rank 0 decides, the others follow.

    rank 0       the store, the metric files, every decision  (resweep.store.advance,
    .training.loop)
      broadcasts train_step, evaluate, snapshot, ...          (a method's name and its arguments)
    rank 1...    the same methods of their own learner        (resweep.training.mirror)

So the loop is the same for one process and for many, and every decision is made once. Started by
torchrun, which sets RANK, WORLD_SIZE, LOCAL_RANK and the rendezvous address.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from resweep.errors import ProcessLost

# Other ranks wait as long as rank 0 waits for a lock or writes; dead processes are noticed at once.
CONTROL_TIMEOUT = timedelta(days=7)
SECONDS_FOR_A_REPORT = 5.0


class Processes:
    """The processes of a training, seen from one of them; no-ops for a single process.

    Attributes:
        rank: Rank of this process; 0 decides.
        world_size: Number of processes.
        local_rank: Rank on this machine, and number of its GPU.
        local_world_size: Number of processes on this machine.
        together: Whether this process joined a group, even of one; stays true if others die.
    """

    def __init__(self, environment: Mapping[str, str] | None = None):
        of = environment or {}
        self.rank = int(of.get("RANK", 0))
        self.world_size = int(of.get("WORLD_SIZE", 1))
        self.local_rank = int(of.get("LOCAL_RANK", 0))
        self.local_world_size = int(of.get("LOCAL_WORLD_SIZE", 1))
        self.together = False
        self._control: dist.ProcessGroup | None = None  # for calls of rank 0, on the CPU

    def join(self, device: torch.device) -> None:
        """Join the process group: gloo for CPUs, NCCL for GPUs."""
        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(minutes=10))
        self._control = dist.new_group(backend="gloo", timeout=CONTROL_TIMEOUT)
        self.together = True

    def leave(self) -> None:
        """Leave the process group; rank 0 ends the training of the others."""
        if self._control is not None:
            with suppress(RuntimeError):  # others may be gone already
                self.broadcast("end")
            self._control = None
            dist.destroy_process_group()

    def broadcast(self, name: str, *arguments: Any) -> None:
        """Have the others call a method of their learner; does nothing except on rank 0."""
        if self._control is not None and self.rank == 0:
            dist.broadcast_object_list([name, arguments], 0, group=self._control)

    def receive(self) -> tuple[str, tuple[Any, ...]]:
        """Wait for the next call of rank 0: the name of a method, and its arguments."""
        call: list[Any] = [None, None]
        dist.broadcast_object_list(call, 0, group=self._control)
        return call[0], call[1]

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes, on each of them."""
        if self._control is None:
            return tensor
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def report_failure(self, reason: str) -> None:
        """Report to the others why this process exits."""
        if self._control is not None:
            _shared_store().set("failed", f"process {self.rank}: {reason}")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Distinguish errors caused by the loss of another process from all others.

        Raises:
            ProcessLost: Another process died without a report, as after a machine failure.
            torch.OutOfMemoryError: It reported running out of memory.
            RuntimeError: It reported another error.
        """
        try:
            yield
        except RuntimeError as error:
            if self._control is None or not _is_communication_error(error):
                raise
            self._control = None  # the group is broken
            report = _reported_failure()
            if report is None:
                raise ProcessLost("another process of the training died") from error
            out_of_memory = torch.OutOfMemoryError.__name__ in report
            raise (torch.OutOfMemoryError if out_of_memory else RuntimeError)(report) from error


ALONE = Processes()


def _is_communication_error(error: RuntimeError) -> bool:
    if isinstance(error, dist.DistError):
        return True
    text = str(error).lower()
    return any(word in text for word in ("gloo", "nccl", "connection", "peer"))


def _shared_store() -> dist.Store:
    """The key-value store of torchrun, which outlives the processes."""
    return dist.distributed_c10d._get_default_store()


def _reported_failure() -> str | None:
    try:
        store = _shared_store()
        store.wait(["failed"], timedelta(seconds=SECONDS_FOR_A_REPORT))
        return str(store.get("failed").decode())
    except RuntimeError:
        return None


def together(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a learner's method: all processes call it when rank 0 does."""

    @functools.wraps(method)
    def called(self: Any, *arguments: Any) -> Any:
        with self.processes.watched():
            self.processes.broadcast(method.__name__, *arguments)
            return method(self, *arguments)

    return called
