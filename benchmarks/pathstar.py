"""PathStar beside a bare loop that shares neither batches nor model with it.

python -m benchmarks.pathstar STEPS     prints CPU seconds of STEPS steps of the bare loop
python -m benchmarks.pathstar picture   draws docs/pathstar.svg from examples/pathstar's question

Both train three layers of width 96 on a graph of 100 paths of 5 vertices, 128 examples a step, on
one thread. The bare loop has torch's own layers, optimizer and clipping, and reports its loss every
ten steps.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import itertools
import random
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

STEPS, WARM, ROUNDS = 400, 50, 5
SPOKES, LENGTH, BATCH = 100, 5, 128
LAYERS, HEADS, WIDTH = 3, 4, 96
PAD, PAUSE, PATH, EDGE, AWAY, TOWARDS = range(6)
TOKENS = 6 + SPOKES * (LENGTH - 1) + 1
ROW = 3 + LENGTH


class BareBlock(nn.Module):
    """Attention and MLP, each after a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, tokens, width) -> the same."""
        rows, tokens, _ = x.shape
        heads = self.qkv(self.norms[0](x)).view(rows, tokens, 3, HEADS, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norms[1](x)), approximate="tanh"))


class BareModel(nn.Module):
    """Embeddings, blocks, and a head that is tied to the embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(TOKENS, WIDTH), nn.Embedding(ROW, WIDTH)
        self.blocks = nn.Sequential(*(BareBlock() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        """(rows, tokens) -> logits."""
        x = self.words(tokens) + self.places.weight[: tokens.shape[1]]
        return F.linear(self.norm(self.blocks(x)), self.words.weight)


def bare_examples() -> list[list[int]]:
    """Edges in both directions, and nine tenths of the paths as often as edges."""
    names = random.Random(0).sample(range(6, TOKENS), TOKENS - 6)
    spokes = [[names[0], *names[1 + 4 * n : 5 + 4 * n]] for n in range(SPOKES)]
    edges = []
    for spoke in spokes:
        for u, v in itertools.pairwise(spoke):
            edges += [[EDGE, AWAY, u, v], [EDGE, TOWARDS, v, u]]
    paths = [[PATH, spoke[-1], PAUSE, *spoke] for spoke in spokes[: SPOKES * 9 // 10]]
    return [row + [PAD] * (ROW - len(row)) for row in edges + paths * (len(edges) // len(paths))]


def bare(steps: int) -> float:
    """Train; returns CPU seconds."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = torch.tensor(bare_examples())
    model = BareModel()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1, fused=True)
    order, at, started = torch.randperm(len(rows)), 0, 0.0
    for step in range(steps + WARM):
        if step == WARM:
            started = time.process_time()
        if at + BATCH > len(rows):
            order, at = torch.randperm(len(rows)), 0
        batch = rows[order[at : at + BATCH]]
        at += BATCH
        logits = model(batch[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), ignore_index=PAD)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 10 == 0:
            loss.item()
    return time.process_time() - started


def ours(steps: int, eval_steps: int) -> float:
    """Train by the command of the project; returns CPU seconds."""
    from benchmarks.throughput import cpu_by_step

    with tempfile.TemporaryDirectory() as folder:
        words = [f"--results={folder}", "--device=cpu", "--keep=none", f"--graph_d={SPOKES}"]
        words += [f"--batch_size={BATCH}", f"--max_steps={steps + WARM}"]
        words += [f"--eval_interval={eval_steps}", "--log_steps=10"]
        subprocess.run(
            [sys.executable, "train.py", *words],
            check=True,
            capture_output=True,
            cwd=ROOT / "examples/pathstar",
            env={**os.environ, "WANDB_MODE": "disabled"},
        )
        by_step = cpu_by_step(Path(folder))
    return by_step[steps + WARM] - by_step[WARM]


def measure() -> None:
    """Print ratios to the bare loop, paired round by round, and the share of evaluations."""
    ratios, shares = [], []
    for _ in range(ROUNDS):
        command = [sys.executable, "-m", "benchmarks.pathstar", str(STEPS)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        without, with_evaluations = ours(STEPS, 10**6), ours(STEPS, 100)
        ratios.append(float(done.stdout) / without)
        shares.append(with_evaluations / without - 1)
    print("| | median | rounds |\n|---|---|---|")
    for name, values in (
        ("steps per CPU second, over the bare loop", ratios),
        ("CPU time of an evaluation every 100 steps, over that of training", shares),
    ):
        listed = ", ".join(f"{value:.2f}" for value in values)
        print(f"| {name} | {statistics.median(values):.2f} | {listed} |", flush=True)


def draw(study: Path, path: Path) -> None:
    """Draw the accuracy of each vertex over steps, from the first seed of each kind of study.

    Args:
        study: Results of the study `question`.
        path: The picture.
    """
    import altair as alt

    from resweep.training.metrics import read_metrics
    from resweep.trials.trial import read_outcome

    titles = {
        "sweep": {True: "edges both ways", False: "no edges in training"},
        "one-way": {True: "edges away from the root only"},
    }
    lines = []
    for phase, kinds in titles.items():
        for record in sorted((study / phase / "records").glob("*.json")):
            outcome = read_outcome(record)
            config = outcome.trial.config
            data = config["data"]
            if config["training"]["seed"] != 1:
                continue
            run = study.parent / "runs" / str(outcome.record.run_id) / "metrics.jsonl"
            for line in read_metrics(run):
                for token in range(1, data["graph_l"] + 1):
                    value = line.get(f"val/accuracy/token_{token}")
                    if value is not None:
                        lines.append(
                            {
                                "step": line["step"],
                                "accuracy": value,
                                "token": token,
                                "edges": kinds[data["train_on_edges"]],
                                "paths": f"paths of {data['graph_l']} vertices",
                            }
                        )
    chart = (
        alt.Chart(alt.Data(values=lines))
        .mark_line()
        .encode(
            x=alt.X("step:Q"),
            y=alt.Y("accuracy:Q", title="accuracy on held-out paths"),
            color=alt.Color("token:O", title="vertex").scale(scheme="tableau10"),
            column=alt.Column(
                "edges:N", title=None, sort=[t for k in titles.values() for t in k.values()]
            ),
            row=alt.Row("paths:N", title=None),
        )
        .properties(width=210, height=140)
    )
    chart.save(path)


def main(word: str) -> None:
    """Run one of the two commands."""
    if word == "picture":
        draw(ROOT / "examples/pathstar/results/question", ROOT / "docs/pathstar.svg")
    else:
        print(bare(int(word)))


if __name__ == "__main__":
    main(sys.argv[1])
