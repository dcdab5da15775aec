"""The training loops that ours is compared with, each in its own process.

    python -m benchmarks.loops bare|transformers STEPS     prints CPU seconds of STEPS steps

The same model (4 layers, width 128, context 64), batch (12) and optimizer settings as
`benchmarks.throughput`; one thread.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import sys
import time
from typing import Any

import numpy as np
import torch

MODEL = {"n_layer": 4, "n_head": 4, "n_embd": 128, "context_length": 64}
VOCAB = 257
BATCH = 12
WARM = 50  # steps before the first mark


def tokens() -> np.ndarray:
    """Random tokens: what they say does not change the speed."""
    return np.random.default_rng(0).integers(0, VOCAB, 400_000).astype(np.uint16)


def bare(steps: int) -> float:
    """A loop in the manner of nanoGPT around our model, with fused AdamW and clipping."""
    from resweep.systems.language.gpt import GPT
    from resweep.systems.language.initialization_section import Initialization
    from resweep.systems.language.model_section import Model

    model = GPT(Model.model_validate(MODEL), VOCAB)
    model.initialize(Initialization(), torch.Generator().manual_seed(0))
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": 0.1},
        {"params": others, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), fused=True)
    data, length = tokens(), MODEL["context_length"]
    started = 0.0
    for step in range(steps + WARM):
        if step == WARM:
            started = time.process_time()
        starts = torch.randint(len(data) - length - 1, (BATCH,)).tolist()
        rows = [torch.from_numpy(data[i : i + length + 1].astype(np.int64)) for i in starts]
        loss = model.loss(torch.stack(rows))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 10 == 0:
            loss.item()
    return time.process_time() - started


def with_transformers(steps: int) -> float:
    """`transformers.Trainer` with GPT2LMHeadModel as it comes."""
    from transformers import (
        GPT2Config,
        GPT2LMHeadModel,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    config = GPT2Config(
        vocab_size=VOCAB,
        n_positions=MODEL["context_length"],
        n_embd=MODEL["n_embd"],
        n_layer=MODEL["n_layer"],
        n_head=MODEL["n_head"],
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    rows = torch.from_numpy(tokens().astype(np.int64))
    rows = rows[: len(rows) // 64 * 64].view(-1, 64)
    dataset = [{"input_ids": row, "labels": row} for row in rows]
    marks: dict[int, float] = {}

    class Mark(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            marks[state.global_step] = time.process_time()

    arguments = TrainingArguments(
        output_dir="/tmp/resweep-benchmark",
        per_device_train_batch_size=BATCH,
        max_steps=steps + WARM,
        logging_steps=10,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        optim="adamw_torch_fused",
        max_grad_norm=1.0,
    )
    torch.set_num_threads(1)
    Trainer(GPT2LMHeadModel(config), arguments, train_dataset=dataset, callbacks=[Mark()]).train()
    return marks[steps + WARM] - marks[WARM]


if __name__ == "__main__":
    loop = {"bare": bare, "transformers": with_transformers}[sys.argv[1]]
    torch.set_num_threads(1)
    print(json.dumps({"cpu_seconds": loop(int(sys.argv[2]))}))
