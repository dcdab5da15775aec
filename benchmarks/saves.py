"""The cost of checkpoints: written in the background, written in the loop, and none."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.learner import as_data, build_learner, loop_plan, no_monitors
from benchmarks.loops import VOCAB, tokens
from resweep.store import checkpoints as checkpoint
from resweep.training.gradient_learner import GradientLearner
from resweep.training.loop import Callbacks, train
from resweep.training.metrics import MetricLog
from resweep.training.writer import Writer

# 10.8 million parameters: with both moments, a checkpoint has 130 MB.
MODEL = {"n_layer": 6, "n_head": 6, "n_embd": 384, "context_length": 128}
BATCH = 2
EVERY = 4  # steps; longer than a checkpoint takes to write
SAVES = 3
ROUNDS = 5
MINUTE = 60.0
WAYS = ("none", "beside", "in its way")


def measure() -> None:
    """Print the time of equally many steps in each way, and the cost at one save a minute.

    Where other work shares the machine, the time between two saves varies by more than a save
    costs: so what the training stands still for is timed by itself too.
    """
    torch.set_num_threads(1)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    held_up: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        learner = _learner(Path(folder))
        _train(learner, "none", Path(folder))
        for _ in range(ROUNDS):
            for way in WAYS:
                total, held = _train(learner, way, Path(folder))
                seconds[way].append(total)
                held_up[way].append(held / SAVES)
    print(f"| a save every {EVERY} steps | time over that of none | holds up for | of a minute |")
    print("|---|---|---|---|")
    for way in WAYS[1:]:
        ratios = [some / none for some, none in zip(seconds[way], seconds["none"], strict=True)]
        listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        held = statistics.median(held_up[way])
        ratio = statistics.median(ratios)
        print(f"| {way} | {ratio:.2f} ({listed}) | {held:.2f} s | {held / MINUTE:.1%} |")


def _learner(folder: Path) -> GradientLearner:
    text = tokens().astype("<u2")
    for split in ("train", "val", "test"):
        text.tofile(folder / f"{split}.bin")
    data = as_data(folder, VOCAB, dict.fromkeys(("train", "val", "test"), len(text)))
    training = {
        "batch_size": BATCH,
        "max_steps": 10**6,
        "eval_steps": 10**6,
        "save_steps": EVERY,
        "eval_sequences": 1,
    }
    return build_learner({"model": MODEL, "training": training}, data, torch.device("cpu"))


def _train(learner: GradientLearner, way: str, folder: Path) -> tuple[float, float]:
    """Seconds of the loop for SAVES saves, and those of them in which it stood still for these."""
    held_up = 0.0

    def save() -> None:
        nonlocal held_up
        start = time.perf_counter()
        if way != "none":
            _save(learner, writer, way, Path(place))
        held_up += time.perf_counter() - start

    with tempfile.TemporaryDirectory(dir=folder) as place, Writer() as writer:
        until = (learner.step // EVERY + SAVES) * EVERY + EVERY - 1  # room for the last write
        start = time.perf_counter()
        _loop(learner, until, Path(place), save)
        waiting = time.perf_counter()
        writer.wait()
        done = time.perf_counter()
    return done - start, held_up + done - waiting


def _save(learner: GradientLearner, writer: Writer, way: str, folder: Path) -> None:
    writer.wait()
    snapshot = learner.snapshot()
    path = folder / checkpoint.folder_name(learner.step)
    writer.begin(lambda: checkpoint.write_checkpoint(path, snapshot.write, lambda: None))
    if way == "in its way":
        writer.wait()


def _loop(learner: GradientLearner, until: int, folder: Path, save: Callable[[], None]) -> None:
    metrics, timing = MetricLog(folder / "m"), MetricLog(folder / "t")
    callbacks = Callbacks(save, lambda: False, lambda step: None)
    train(learner, loop_plan(learner, until), metrics, timing, callbacks, no_monitors())
    metrics.close()
    timing.close()
