"""Trainings by a bare loop, with the numbers of ours bit for bit, and nothing written beside them.

python -m benchmarks.packs.bare_loop WORKLOAD               all trials, one after the other
python -m benchmarks.packs.bare_loop WORKLOAD TRIAL FILE    one trial; its last loss as JSON
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.packs.workload import Workload
from resweep.config.training_section import Training
from resweep.data.store import Prepared
from resweep.systems.language.batches import TrainBatches, eval_batches
from resweep.systems.language.gpt import GPT
from resweep.systems.language.initialization_section import Initialization
from resweep.systems.language.model_section import Model
from resweep.systems.language.token_data import TokenData
from resweep.training.optimizer import AdamW, clip_gradients, parameter_groups
from resweep.training.schedule import learning_rate
from resweep.training.seeds import derive_seed

Line = dict[str, Any]


class BareLoop:
    """Trains the trials of a workload in this process.

    Args:
        workload: What to train.
    """

    def __init__(self, workload: Workload):
        self.workload = workload
        self.section = Model.model_validate(workload.model)
        about = json.loads((workload.data / "data.json").read_text())
        self.data = TokenData(Prepared(workload.data, about["digest"], about))
        torch.set_num_threads(1)

    @cached_property
    def splits(self) -> dict[str, np.ndarray]:
        """Tokens of each split."""
        return {name: self.data.split(name) for name in self.data.tokens}

    def train(self, assigned: dict[str, Any]) -> list[Line]:
        """Train one trial.

        Args:
            assigned: Values of fields of `training`.

        Returns:
            The lines that metrics.jsonl has, and the loss on the test split as a last one.
        """
        training = Training.model_validate({**self.workload.training, **assigned})
        assert training.max_steps is not None
        length = self.section.context_length
        tokens = self.splits["train"]
        batches = TrainBatches(tokens, length, training.batch_size, training.seed)
        model = GPT(self.section, self.data.vocab_size)
        seed = derive_seed(training.seed, "initialization")
        model.initialize(Initialization(), torch.Generator().manual_seed(seed))
        parameters = list(model.parameters())
        optimizer = AdamW(
            model,
            parameter_groups(model, training.weight_decay),
            beta1=training.beta1,
            beta2=training.beta2,
            eps=training.adam_eps,
        )
        lines: list[Line] = [{"step": 0, "val/loss": self._evaluate(model, "val", training)}]
        total, count = torch.zeros((), dtype=torch.float64), 0
        for step in range(1, training.max_steps + 1):
            loss = model.loss(torch.from_numpy(batches.at(step - 1)))
            loss.backward()
            total, count = total + loss.detach(), count + 1
            norm = clip_gradients(parameters, training.grad_clip)
            rate = learning_rate(step - 1, training, training.max_steps)
            optimizer.step(rate)
            optimizer.zero_grad()
            line: Line = {}
            if step % training.log_steps == 0 or step == training.max_steps:
                line = {"train/loss": total.item() / count, "lr": rate, "grad_norm": norm.item()}
                total, count = torch.zeros((), dtype=torch.float64), 0
            if step % training.eval_steps == 0 or step == training.max_steps:
                line["val/loss"] = self._evaluate(model, "val", training)
            if line:
                lines.append({"step": step, **line})
        lines.append({"test/loss": self._evaluate(model, "test", training)})
        return lines

    def last_loss(self, assigned: dict[str, Any]) -> float:
        """Train one trial and return its last loss on the validation split."""
        return float(self.train(assigned)[-2]["val/loss"])

    @torch.no_grad()
    def _evaluate(self, model: GPT, split: str, training: Training) -> float:
        length = self.section.context_length
        batches = eval_batches(
            self.splits[split], length, training.eval_batch_size, training.eval_sequences
        )
        model.eval()
        total = torch.zeros((), dtype=torch.float64)
        for batch in batches:
            total += model.loss(torch.from_numpy(batch), "sum")
        model.train()
        return total.item() / (sum(map(len, batches)) * length)


def main(workload: str, trial: str | None = None, file: str | None = None) -> None:
    """Train all trials of a workload, or one."""
    loop = BareLoop(Workload.read(Path(workload)))
    if trial is None:
        for assigned in loop.workload.trials.values():
            loop.train(assigned)
    elif file is not None:
        Path(file).write_text(json.dumps(loop.last_loss(loop.workload.trials[trial])))


if __name__ == "__main__":
    main(*sys.argv[1:])
