"""train.py, whose second process has memory for MOST_SEQUENCES a forward: for test_launch.py.

In training, or in evaluations: LACKING is the engine's method that needs too much.
"""

import os
import runpy
from typing import Any

import torch
from torch import Tensor

from resweep.training.engine import Ddp


def limit(name: str, most: int) -> None:
    """Have a method of `Ddp` take so many sequences at a time."""
    compute = getattr(Ddp, name)

    def limited(engine: Any, part: Tensor, *more: Any) -> Tensor:
        if os.environ["RANK"] == "1" and len(part) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return compute(engine, part, *more)

    setattr(Ddp, name, limited)


if __name__ == "__main__":
    limit(os.environ["LACKING"], int(os.environ["MOST_SEQUENCES"]))
    runpy.run_path("workflow/scripts/train.py", run_name="__main__")
