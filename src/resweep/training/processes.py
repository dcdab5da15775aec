"""The processes that train one run together: rank 0 decides, the others do what it tells them.

    rank 0     the store, the metric files, every decision   (resweep.store.advance, .training.loop)
      tells    train_step, evaluate, snapshot, ...           (a method's name and its arguments)
    rank 1...  the same methods of their own trainer         (resweep.training.follow)

So the loop is the same for one process and for many, and no decision has to be taken twice. Started
by torchrun, which sets RANK, WORLD_SIZE, LOCAL_RANK and where to meet.
"""

import functools
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from resweep.errors import ProcessLost

# Who follows waits as long as rank 0 waits for a lock, or writes; a dead one is noticed at once.
PATIENCE = timedelta(days=7)
_REASON_SECONDS = 10.0


class Processes:
    """The processes of a training, seen from one of them. Alone, every method does nothing.

    Attributes:
        rank: This one's number; 0 decides.
        world_size: How many there are.
        local_rank: Its number on its machine, and of its GPU there.
        local_world_size: How many are on this machine.
    """

    def __init__(self, environment: Mapping[str, str] | None = None):
        of = environment or {}
        self.rank = int(of.get("RANK", 0))
        self.world_size = int(of.get("WORLD_SIZE", 1))
        self.local_rank = int(of.get("LOCAL_RANK", 0))
        self.local_world_size = int(of.get("LOCAL_WORLD_SIZE", 1))
        self._words: dist.ProcessGroup | None = None  # for what is told, on the CPU

    @property
    def together(self) -> bool:
        """Whether there are others, or torchrun started this one as if there were."""
        return self._words is not None

    def meet(self, device: torch.device) -> None:
        """Wait for the others: gloo between CPUs, NCCL between GPUs."""
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(minutes=30))
        self._words = dist.new_group(backend="gloo", timeout=PATIENCE)

    def part(self) -> None:
        """Let the others go, and leave the group."""
        if self._words is not None:
            self.tell("end")
            self._words = None
            dist.destroy_process_group()

    def tell(self, name: str, *arguments: Any) -> None:
        """Have the others call a method of their trainer; only rank 0 tells."""
        if self._words is not None and self.rank == 0:
            with self.watched():
                dist.broadcast_object_list([name, arguments], 0, group=self._words)

    def listen(self) -> tuple[str, tuple[Any, ...]]:
        """Wait for what rank 0 tells: the name of a method, and its arguments."""
        told: list[Any] = [None, None]
        with self.watched():
            dist.broadcast_object_list(told, 0, group=self._words)
        return told[0], told[1]

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum over all processes, on each of them."""
        if self._words is None:
            return tensor
        total = tensor.clone()
        with self.watched():
            dist.all_reduce(total)
        return total

    def fail(self, reason: str) -> None:
        """Leave word why this process ends, for those who will miss it."""
        if self._words is not None:
            _word_board().set("failed", reason)

    def watched(self) -> "_Watched":
        """While in it, an error because another process is gone says so (`ProcessLost`)."""
        return _Watched(self)

    def why_lost(self) -> str:
        """Return the word that a process left, or that it left none."""
        try:
            board = _word_board()
            board.wait(["failed"], timedelta(seconds=_REASON_SECONDS))
            return board.get("failed").decode()
        except (RuntimeError, dist.DistError):
            return "another process of the training is gone"


ALONE = Processes()


class _Watched:
    """Tells the loss of another process from all other errors."""

    def __init__(self, processes: Processes):
        self.processes = processes

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, RuntimeError) and self.processes.together and _is_of_the_group(error):
            raise ProcessLost(self.processes.why_lost()) from error


def _is_of_the_group(error: RuntimeError) -> bool:
    if isinstance(error, dist.DistError):
        return True
    text = str(error).lower()
    return any(word in text for word in ("gloo", "connection", "nccl", "peer"))


def _word_board() -> dist.Store:
    return dist.distributed_c10d._get_default_store()


def under_torchrun(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in environment and "RANK" in environment


def together(method: Callable[..., Any]) -> Callable[..., Any]:
    """Make a trainer's method one that all processes call when rank 0 calls it."""

    @functools.wraps(method)
    def called(self: Any, *arguments: Any) -> Any:
        self.processes.tell(method.__name__, *arguments)
        return method(self, *arguments)

    return called
