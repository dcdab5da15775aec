"""train.py, whose second process has memory for MOST_SEQUENCES a forward: for test_launch.py."""

import os
import runpy
from typing import Any

import torch
from torch import Tensor

from resweep.training.engine import Ddp

accumulate = Ddp.accumulate


def limited(engine: Any, part: Tensor, share: float, last: bool) -> Tensor:
    """In place of `Ddp.accumulate`."""
    if os.environ["RANK"] == "1" and len(part) > int(os.environ["MOST_SEQUENCES"]):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
    return accumulate(engine, part, share, last)


if __name__ == "__main__":
    Ddp.accumulate = limited  # type: ignore[method-assign]
    runpy.run_path("workflow/scripts/train.py", run_name="__main__")
