"""The processes that train one run together: rank 0 decides, the others do what it tells them.

    rank 0     the store, the metric files, every decision   (resweep.store.advance, .training.loop)
      tells    train_step, evaluate, snapshot, ...           (a method's name and its arguments)
    rank 1...  the same methods of their own trainer         (resweep.training.mirror)

So the loop is the same for one process and for many, and no decision has to be taken twice. Started
by torchrun, which sets RANK, WORLD_SIZE, LOCAL_RANK and where to meet.
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

# Who follows waits as long as rank 0 waits for a lock, or writes; a dead one is noticed at once.
PATIENCE = timedelta(days=7)
SECONDS_FOR_A_WORD = 5.0


class Processes:
    """The processes of a training, seen from one of them. Alone, every method does nothing.

    Attributes:
        rank: This one's number; 0 decides.
        world_size: How many there are.
        local_rank: Its number on its machine, and of its GPU there.
        local_world_size: How many are on this machine.
        together: Whether there are others, or torchrun started this one as if there were; stays
            so when they are lost.
    """

    def __init__(self, environment: Mapping[str, str] | None = None):
        of = environment or {}
        self.rank = int(of.get("RANK", 0))
        self.world_size = int(of.get("WORLD_SIZE", 1))
        self.local_rank = int(of.get("LOCAL_RANK", 0))
        self.local_world_size = int(of.get("LOCAL_WORLD_SIZE", 1))
        self.together = False
        self._words: dist.ProcessGroup | None = None  # for what is told, on the CPU

    def meet(self, device: torch.device) -> None:
        """Wait for the others: gloo between CPUs, NCCL between GPUs."""
        if device.type == "cuda":
            torch.cuda.set_device(device)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(minutes=10))
        self._words = dist.new_group(backend="gloo", timeout=PATIENCE)
        self.together = True

    def part(self) -> None:
        """Let the others go, and leave the group."""
        if self._words is not None:
            with suppress(RuntimeError):  # whoever is not there needs no word
                self.tell("end")
            self._words = None
            dist.destroy_process_group()

    def tell(self, name: str, *arguments: Any) -> None:
        """Have the others call a method of their trainer; only rank 0 tells."""
        if self._words is not None and self.rank == 0:
            dist.broadcast_object_list([name, arguments], 0, group=self._words)

    def listen(self) -> tuple[str, tuple[Any, ...]]:
        """Wait for what rank 0 tells: the name of a method, and its arguments."""
        told: list[Any] = [None, None]
        dist.broadcast_object_list(told, 0, group=self._words)
        return told[0], told[1]

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes, on each of them."""
        if self._words is None:
            return tensor
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def leave_word(self, reason: str) -> None:
        """Say why this process ends, to those who will miss it."""
        if self._words is not None:
            _board().set("failed", f"process {self.rank}: {reason}")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Tell errors that come from the loss of another process from all others.

        Raises:
            ProcessLost: Another process is gone, and nobody knows why: a fault of the machine.
            torch.OutOfMemoryError: It left word that it lacks memory.
            RuntimeError: It left word of another error of its own.
        """
        try:
            yield
        except RuntimeError as error:
            if self._words is None or not _is_of_the_group(error):
                raise
            self._words = None  # nobody is there to be told anything
            word = _last_word()
            if word is None:
                raise ProcessLost("another process of the training is gone") from error
            lacks_memory = torch.OutOfMemoryError.__name__ in word
            raise (torch.OutOfMemoryError if lacks_memory else RuntimeError)(word) from error


ALONE = Processes()


def _is_of_the_group(error: RuntimeError) -> bool:
    if isinstance(error, dist.DistError):
        return True
    text = str(error).lower()
    return any(word in text for word in ("gloo", "nccl", "connection", "peer"))


def _board() -> dist.Store:
    """Where words are left: it is held by torchrun, and outlives the processes."""
    return dist.distributed_c10d._get_default_store()


def _last_word() -> str | None:
    try:
        board = _board()
        board.wait(["failed"], timedelta(seconds=SECONDS_FOR_A_WORD))
        return str(board.get("failed").decode())
    except RuntimeError:
        return None


def together(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a trainer's method one that all processes call when rank 0 calls it."""

    @functools.wraps(method)
    def called(self: Any, *arguments: Any) -> Any:
        with self.processes.watched():
            self.processes.tell(method.__name__, *arguments)
            return method(self, *arguments)

    return called
