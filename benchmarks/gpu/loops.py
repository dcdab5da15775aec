"""The trainings that `benchmarks.gpu.speed` measures side by side, each a few steps at a time.

    Ours          the loop of a trial, with its metric files, from `resweep.training.loop`
    NanoGpt       a loop in the manner of nanoGPT around our model: torch.compile, fused AdamW
    Transformers  transformers.Trainer with GPT2LMHeadModel, fused AdamW

One step is the same work in all of them: model, batch, precision, clipping, a loss read every ten.
"""

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.learner import as_data, build_learner, loop_plan, no_monitors
from resweep.data.store import Prepared
from resweep.systems.language.gpt import GPT
from resweep.systems.language.initialization_section import Initialization
from resweep.systems.language.model_section import Model
from resweep.systems.language.token_data import TokenData
from resweep.systems.language.tokens import token_dtype
from resweep.training.gradient_learner import GradientLearner
from resweep.training.loop import Callbacks, LoopEnd, train
from resweep.training.metrics import MetricLog

TOKENS = 2_000_000
LOG_STEPS = 10
FOREVER = 10**6  # steps: the schedule's horizon, which no measurement reaches
LEARNING_RATE = 3e-4


@dataclass(frozen=True, kw_only=True)
class Size:
    """A model, and how much it is given a step.

    Attributes:
        name: For tables.
        n_layer, n_head, n_embd, context_length, vocab_size: Of the model.
        batch_size: Sequences a step.
    """

    name: str
    n_layer: int
    n_head: int
    n_embd: int
    context_length: int
    vocab_size: int
    batch_size: int

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one step trains on."""
        return self.batch_size * self.context_length

    @property
    def model(self) -> dict[str, Any]:
        """The `model` section."""
        names = ("n_layer", "n_head", "n_embd", "context_length", "vocab_size")
        return {name: getattr(self, name) for name in names}


WIDTH_96 = Size(
    name="width 96",
    n_layer=4,
    n_head=4,
    n_embd=96,
    context_length=128,
    vocab_size=257,
    batch_size=32,
)
SIZE_10M = Size(
    name="10M",
    n_layer=6,
    n_head=6,
    n_embd=384,
    context_length=256,
    vocab_size=257,
    batch_size=64,
)
SIZE_124M = Size(
    name="124M",
    n_layer=12,
    n_head=12,
    n_embd=768,
    context_length=1024,
    vocab_size=50304,
    batch_size=16,
)


def make_data(folder: Path, vocab_size: int) -> Prepared:
    """Write tokens that go round with noise, of which a model can learn something."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    counts = {"train": TOKENS, "val": TOKENS // 20, "test": 0}
    for name, count in counts.items():
        tokens = (np.arange(count) * 7 + random.integers(0, 5, count)) % 64 + 32
        tokens.astype(token_dtype(vocab_size)).tofile(folder / f"{name}.bin")
    return as_data(folder, vocab_size, counts)


def seconds(device: torch.device) -> float:
    """A clock: of the wall once the GPU is done, or CPU seconds of this process."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


@contextlib.contextmanager
def deterministic(on: bool) -> Iterator[None]:
    """Let torch choose only algorithms that give equal results, as a training does on a GPU."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(on, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=True)


def learner_of_size(
    size: Size, folder: Path, device: torch.device, max_steps: int = FOREVER, **training: Any
) -> GradientLearner:
    """Return a learner of this project, with settings of `training` as given."""
    data = make_data(folder / f"vocabulary-{size.vocab_size}", size.vocab_size)
    settings = {
        "batch_size": size.batch_size,
        "max_steps": max_steps,
        "learning_rate": LEARNING_RATE,
        "scheduler": "constant",
        "log_steps": LOG_STEPS,
        "eval_steps": FOREVER,
        "eval_sequences": 2,
        **training,
    }
    return build_learner({"model": size.model, "training": settings}, data, device)


def build_model(size: Size) -> GPT:
    """Return our model as a learner begins with it."""
    model = GPT(Model.model_validate(size.model), size.vocab_size)
    model.initialize(Initialization(), torch.Generator().manual_seed(0))
    return model


class Ours:
    """This project's loop.

    Args:
        size: The model and its batch.
        folder: For data and metric files.
        device: Where to train.
        repeatable: With deterministic algorithms, as every training on a GPU has them.
        training: Settings.
    """

    def __init__(
        self,
        size: Size,
        folder: Path,
        device: torch.device,
        *,
        repeatable: bool = True,
        **training: Any,
    ):
        self.learner = learner_of_size(size, folder, device, **training)
        self.repeatable = repeatable and device.type == "cuda"
        self.folder = folder / f"{id(self)}"

    def run(self, steps: int) -> float:
        """Train on; returns seconds."""
        learner = self.learner
        metrics, timing = (MetricLog(self.folder / name) for name in ("metrics", "timing"))
        plan = loop_plan(learner, learner.step + steps)
        nothing = Callbacks(lambda: None, lambda: False, lambda step: None)
        with deterministic(self.repeatable):
            start = seconds(learner.device)
            outcome = train(learner, plan, metrics, timing, nothing, no_monitors())
            spent = seconds(learner.device) - start
        metrics.close()
        timing.close()
        if outcome is not LoopEnd.REACHED:
            raise RuntimeError(f"the training ended otherwise: {outcome.value}")
        return spent


class NanoGpt:
    """A bare loop: random windows from pinned memory, torch.compile, fused AdamW, clipping."""

    def __init__(
        self, size: Size, folder: Path, device: torch.device, *, precision: str, compile: bool
    ):
        self.size, self.device, self.bf16 = size, device, precision == "bf16"
        data = make_data(folder / f"vocabulary-{size.vocab_size}", size.vocab_size)
        self.tokens = TokenData(data).split("train")
        self.model = build_model(size).to(device)
        parameters = list(self.model.parameters())
        groups = [
            {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": 0.1},
            {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95), fused=True)
        self.loss = torch.compile(self.model.loss) if compile else self.model.loss

    def run(self, steps: int) -> float:
        """Train on; returns seconds."""
        with deterministic(False):
            start = seconds(self.device)
            for step in range(steps):
                self._step()
                if step % LOG_STEPS == LOG_STEPS - 1:
                    self.last.item()
            return seconds(self.device) - start

    def _step(self) -> None:
        length = self.size.context_length
        starts = torch.randint(len(self.tokens) - length - 1, (self.size.batch_size,)).tolist()
        windows = [self.tokens[at : at + length + 1].astype(np.int64) for at in starts]
        batch = torch.from_numpy(np.stack(windows))
        if self.device.type == "cuda":
            batch = batch.pin_memory().to(self.device, non_blocking=True)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = self.loss(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.last = loss.detach()


class Transformers:
    """`transformers.Trainer` with GPT2LMHeadModel as is; it warms up again in each round."""

    WARM = 5

    def __init__(self, size: Size, folder: Path, device: torch.device, *, precision: str):
        from transformers import GPT2Config, GPT2LMHeadModel

        self.size, self.folder, self.device, self.precision = size, folder, device, precision
        config = GPT2Config(
            vocab_size=size.vocab_size,
            n_positions=size.context_length,
            n_embd=size.n_embd,
            n_layer=size.n_layer,
            n_head=size.n_head,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
        )
        self.model = GPT2LMHeadModel(config)
        data = make_data(folder / f"vocabulary-{size.vocab_size}", size.vocab_size)
        tokens = torch.from_numpy(TokenData(data).split("train").astype(np.int64))
        rows = tokens[: len(tokens) // size.context_length * size.context_length]
        self.rows = [
            {"input_ids": row, "labels": row} for row in rows.view(-1, size.context_length)
        ]

    def run(self, steps: int) -> float:
        """Train on; returns seconds."""
        import transformers

        marks: dict[int, float] = {}
        device = self.device

        class Mark(transformers.TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if state.global_step in (Transformers.WARM, Transformers.WARM + steps):
                    marks[state.global_step] = seconds(device)

        arguments = transformers.TrainingArguments(
            output_dir=str(self.folder / "transformers"),
            per_device_train_batch_size=self.size.batch_size,
            max_steps=steps + self.WARM,
            learning_rate=LEARNING_RATE,
            logging_steps=LOG_STEPS,
            save_strategy="no",
            report_to="none",
            use_cpu=device.type == "cpu",
            bf16=self.precision == "bf16",
            disable_tqdm=True,
            optim="adamw_torch_fused",
            max_grad_norm=1.0,
        )
        with contextlib.redirect_stdout(sys.stderr), deterministic(False):
            trainer = transformers.Trainer(
                self.model, arguments, train_dataset=self.rows, callbacks=[Mark()]
            )
            trainer.train()
        return marks[self.WARM + steps] - marks[self.WARM]
