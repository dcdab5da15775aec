"""The loop transformer beside a bare loop that shares neither puzzles nor model with it.

python -m benchmarks.loop_transformer STEPS     prints CPU seconds of STEPS steps of the bare loop

Both train the model of the study sudoku-4x4, 32 puzzles a step, on one thread. The bare loop has
torch's own optimizer and clipping, carries states and replaces puzzles that halt, averages the
weights, and reports its loss every ten steps. And: how the time of a step grows with repeats.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import copy
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.throughput import ROOT

STEPS, WARM, ROUNDS = 100, 20, 5
WIDTH, HEADS, INNER, CELLS, TOKENS, BATCH = 64, 4, 192, 16, 6, 32
REPEATS = {"low": 2, "mid": 1, "high": 1}
SUPERVISION, CYCLES = 4, 2
SWEPT = (1, 2, 4, 8)  # repeats of the first stage
States = tuple[Tensor, Tensor, Tensor]  # (rows, cells, width) each


class BareLayer(nn.Module):
    """Attention and SwiGLU, each followed by a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.gate, self.up = (nn.Linear(WIDTH, INNER, bias=False) for _ in range(2))
        self.down = nn.Linear(INNER, WIDTH, bias=False)

    def forward(self, h: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """(rows, cells, width) -> the same."""
        rows = len(h)
        q, k, v = self.qkv(h).view(rows, CELLS, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        q, k = (x * turn[0] + torch.cat([-x[..., 8:], x[..., :8]], -1) * turn[1] for x in (q, k))
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        h = F.rms_norm(h + self.out(y), (WIDTH,))
        return F.rms_norm(h + self.down(F.silu(self.gate(h)) * self.up(h)), (WIDTH,))


class BareModel(nn.Module):
    """Three states that share a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(TOKENS, WIDTH)
        self.places = nn.Parameter(torch.randn(CELLS, WIDTH))
        self.layer = BareLayer()
        self.answer, self.halt = nn.Linear(WIDTH, TOKENS, bias=False), nn.Linear(WIDTH, 1)
        rates = 10_000.0 ** (-torch.arange(8) / 8)
        angles = torch.outer(torch.arange(CELLS), rates).repeat(1, 2)
        self.turn = angles.cos(), angles.sin()

    def cycle(self, states: States, x: Tensor) -> States:
        """Update the states once."""
        low, mid, high = states
        for _ in range(REPEATS["low"]):
            low = self.layer(low + x + high, self.turn)
        for _ in range(REPEATS["mid"]):
            mid = self.layer(mid + x + low, self.turn)
        for _ in range(REPEATS["high"]):
            high = self.layer(high + mid, self.turn)
        return low, mid, high


def bare(steps: int) -> float:
    """Train; returns CPU seconds."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = BareModel()
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1, fused=True)
    first = torch.randn(3, WIDTH)[:, None, None].expand(3, BATCH, CELLS, WIDTH)
    pool = torch.randint(1, TOKENS, (1000, 2, CELLS))
    states, puzzles = first, pool[:BATCH]
    done, count, started = torch.ones(BATCH, dtype=torch.bool), torch.zeros(BATCH), 0.0
    for step in range(steps + WARM):
        if step == WARM:
            started = time.process_time()
        puzzles = torch.where(done[:, None, None], pool[torch.randint(0, 1000, (BATCH,))], puzzles)
        states = torch.where(done[None, :, None, None], first, states)
        count = torch.where(done, 0, count) + 1
        x = math.sqrt(WIDTH) * (model.words(puzzles[:, 0]) + model.places)
        now = (states[0], states[1], states[2])
        with torch.no_grad():
            for _ in range(CYCLES - 1):
                now = model.cycle(now, x)
        now = model.cycle(now, x)
        logits = model.answer(now[2]).double()
        halt = model.halt(now[2].mean(1))[:, 0]
        s = torch.where(logits >= 0, logits + 1, 1 / (1 - logits.clamp(max=0)))
        of_target = s.gather(2, puzzles[:, 1, :, None])[..., 0]
        right = (logits.argmax(2) == puzzles[:, 1]).all(1)
        loss = (s.sum(2).log() - of_target.log()).mean()
        loss = loss + F.binary_cross_entropy_with_logits(halt, right.float()) / 2
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 0.01)
        states = torch.stack(now).detach()
        done = (count >= SUPERVISION) | (halt > 0)
        if step % 10 == 0:
            loss.item()
    return time.process_time() - started


def ours(steps: int, repeat: int) -> float:
    """Train by the command of the project; returns CPU seconds."""
    from benchmarks.throughput import cpu_by_step

    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *(sys.executable, "workflow/scripts/train.py", "--study=sudoku-4x4"),
                *(f"--results={folder}", "--device=cpu", "--keep=none", "--log_steps=10"),
                *(f"--max_steps={steps + WARM}", f"--eval_steps={10**6}"),
                f"--arch.stages.0.repeat={repeat}",
            ],
            check=True,
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, "WANDB_MODE": "disabled"},
        )
        by_step = cpu_by_step(Path(folder))
    return by_step[steps + WARM] - by_step[WARM]


def measure() -> None:
    """Print ratios to the bare loop, and the time of a step by repeats, paired round by round."""
    ratios: list[float] = []
    by_repeat: dict[int, list[float]] = {repeat: [] for repeat in SWEPT}
    for _ in range(ROUNDS):
        command = [sys.executable, "-m", "benchmarks.loop_transformer", str(STEPS)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        seconds = {repeat: ours(STEPS, repeat) for repeat in SWEPT}
        ratios.append(float(done.stdout) / seconds[REPEATS["low"]])
        for repeat in SWEPT:
            by_repeat[repeat].append(seconds[repeat] / seconds[SWEPT[0]])
    print("| | median | rounds |\n|---|---|---|")
    rows = {"steps per CPU second, over the bare loop": ratios} | {
        f"CPU time of a step with arch.stages.0.repeat {repeat}, over that with {SWEPT[0]}": values
        for repeat, values in by_repeat.items()
    }
    for name, values in rows.items():
        listed = ", ".join(f"{value:.2f}" for value in values)
        print(f"| {name} | {statistics.median(values):.2f} | {listed} |", flush=True)


if __name__ == "__main__":
    print(bare(int(sys.argv[1])))
