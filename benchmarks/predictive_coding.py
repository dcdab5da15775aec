"""Predictive coding beside a bare loop that shares no code with it, and a large grid in packs.

python -m benchmarks.predictive_coding STEPS    prints CPU seconds of STEPS steps of the bare loop
python -m benchmarks.predictive_coding grid     trains 350 tiny decoders in packs, on two cores

The first trains two blocks of width 32 on patches of 4 x 4 of the digits, 32 images a step and 20
steps of inference, on one thread. The bare loop has torch's own layers, one module for each block,
and torch's optimizer and clipping. The grid is that of the sweep guide: 7 depths, 2 seeds, 5 values
of each penalty; its decoders have width 8 and train for four steps.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.packs.workplace import ENVIRONMENT, WORKFLOW
from benchmarks.throughput import ROOT
from resweep import yaml12

STEPS, WARM, ROUNDS = 40, 10, 3
BLOCKS, HEADS, WIDTH, BATCH = 2, 4, 32, 32
INFERENCE, RATE, GROWTH, MOMENTUM, CLIP = 20, 0.095, 1.25, 0.4, 1.0
DIGITS = ROOT / "src/resweep/systems/predictive_coding/digits.npz"
PENALTIES = [0.0, 1e-4, 1e-3, 1e-2, 1e-1]


class BareBlock(nn.Module):
    """Attention and MLP, each after a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(images, patches, width) -> the same."""
        images, patches, _ = x.shape
        heads = self.qkv(self.norms[0](x)).view(images, patches, 3, HEADS, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norms[1](x))))


class BareModel(nn.Module):
    """Predictions from level to level."""

    def __init__(self) -> None:
        super().__init__()
        self.top, self.out = nn.Linear(16, WIDTH), nn.Linear(WIDTH, 16)
        self.places = nn.Parameter(torch.randn(4, WIDTH), requires_grad=False)
        self.blocks = nn.ModuleList(BareBlock() for _ in range(BLOCKS))

    def start(self, images: Tensor) -> list[Tensor]:
        """Return zeros for the top, and what follows from them."""
        states = [torch.zeros_like(images)]
        states.append(self.top(states[0]) + self.places)
        for block in self.blocks:
            states.append(block(states[-1]))
        return states

    def energy(self, states: list[Tensor], images: Tensor) -> Tensor:
        """Return half the squared errors of all predictions."""
        found = [self.top(states[0]) + self.places]
        found += [block(state) for block, state in zip(self.blocks, states[1:], strict=False)]
        found.append(self.out(states[-1]))
        wanted = [*states[1:], images]
        errors = zip(wanted, found, strict=True)
        return torch.stack([0.5 * (state - of).square().sum() for state, of in errors]).sum()


def infer(model: BareModel, images: Tensor) -> list[Tensor]:
    """Move the states down their energy."""
    with torch.no_grad():
        states = [state.requires_grad_() for state in model.start(images)]
    velocities = [torch.zeros_like(state) for state in states]
    for _ in range(INFERENCE):
        gradients = torch.autograd.grad(model.energy(states, images), states)
        with torch.no_grad():
            for level, (state, gradient) in enumerate(zip(states, gradients, strict=True)):
                norm = gradient.norm(dim=(1, 2), keepdim=True)
                clipped = gradient * (CLIP / (norm + 1e-12)).clamp(max=1.0)
                velocities[level] = MOMENTUM * velocities[level] + clipped
                state -= RATE * GROWTH ** (BLOCKS + 1 - level) * velocities[level]
    return [state.detach() for state in states]


def bare(steps: int) -> float:
    """Train; returns CPU seconds."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with np.load(DIGITS) as arrays:
        pixels = torch.from_numpy(arrays["images"][:1257] / np.float32(16))
    patches = pixels.view(-1, 2, 4, 2, 4).transpose(2, 3).reshape(-1, 4, 16)
    model = BareModel()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=2e-4, fused=True)
    started = 0.0
    for step in range(steps + WARM):
        if step == WARM:
            started = time.process_time()
        images = patches[torch.randint(len(patches), (BATCH,))]
        states = infer(model, images)
        energy = model.energy(states, images) / BATCH
        energy.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 10 == 0:
            energy.item()
    return time.process_time() - started


def ours(steps: int) -> float:
    """Train by the command of the project; returns CPU seconds."""
    from benchmarks.throughput import cpu_by_step

    with tempfile.TemporaryDirectory() as folder:
        words = ["--study=digits", f"--results={folder}", "--device=cpu", "--keep=none"]
        words += [f"--num_blocks={BLOCKS}", f"--num_heads={HEADS}", f"--hidden_size={WIDTH}"]
        words += ["--mlp_ratio=4", f"--batch_size={BATCH}", f"--max_steps={steps + WARM}"]
        words += ["--eval_steps=1000000", "--log_steps=10"]
        subprocess.run(
            [sys.executable, "workflow/scripts/train.py", *words],
            check=True,
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, "WANDB_MODE": "disabled"},
        )
        by_step = cpu_by_step(Path(folder))
    return by_step[steps + WARM] - by_step[WARM]


def measure() -> None:
    """Print the ratio to the bare loop, paired round by round."""
    ratios = []
    for _ in range(ROUNDS):
        command = [sys.executable, "-m", "benchmarks.predictive_coding", str(STEPS)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        ratios.append(float(done.stdout) / ours(STEPS))
    listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print("| | median | rounds |\n|---|---|---|")
    name = "steps per CPU second, over the bare loop"
    print(f"| {name} | {statistics.median(ratios):.2f} | {listed} |", flush=True)


def grid() -> None:
    """Print how long the guide's grid takes on two cores, from the first job to the report."""
    sweep = {
        "method": "grid",
        "metric": {"name": "best_val_mse", "goal": "minimize"},
        "parameters": {
            "num_blocks": {"values": list(range(7))},
            "seed": {"values": [10, 20]},
            "intermediate_l1_coeff": {"values": PENALTIES},
            "intermediate_l2_coeff": {"values": PENALTIES},
        },
    }
    small = {"hidden_size": 8, "num_heads": 2, "mlp_ratio": 2, "batch_size": 16}
    short = {"max_steps": 4, "log_steps": 2, "eval_steps": 4, "eval_sequences": 100}
    study = {
        "name": "grid",
        "system": "predictive_coding",
        "base": {},
        "set": {**small, **short, "inference.steps": 5},
        "phases": [{"name": "sweep", "kind": "sweep", "sweep": "grid"}],
        "resources": {"pack": 16},
        "publish": {"configs": False, "models": "none"},
        "tracking": {"wandb": "disabled"},
    }
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in WORKFLOW:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, place / name)
            else:
                shutil.copy(ROOT / name, place / name)
        (place / "config/sweep/grid.yaml").write_text(yaml12.dump(sweep))
        (place / "config/studies/grid.yaml").write_text(yaml12.dump(study))
        command = ["snakemake", "--cores", "2", "--quiet", "all", "--config", "study=grid"]
        began, cpu = time.monotonic(), os.times()
        subprocess.run(command, check=True, cwd=place, env=ENVIRONMENT)
        wall, used = time.monotonic() - began, os.times()
        trained = len(list(place.glob("results/runs/*/record.json")))
    seconds = used.children_user + used.children_system - cpu.children_user - cpu.children_system
    print(f"{trained} trainings: {wall:.0f} s on two cores, {seconds:.0f} CPU seconds")


def main(word: str) -> None:
    """Run one of the two commands."""
    if word == "grid":
        grid()
    else:
        print(bare(int(word)))


if __name__ == "__main__":
    main(sys.argv[1])
