"""Learning by local energies: inference on a batch, then one step of AdamW on the weights.

    images of the step -> states by inference -> gradient of the mean energy -> AdamW

The gradient of a level's weights is that of its own term of the energy, whose states inference has
fixed: nothing is propagated through the network as a whole.

All randomness is derived from (seed, epoch), without any generator state; the best values so far
are part of the checkpoint. So a restored learner continues bit for bit.
"""

import functools
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from resweep.systems.predictive_coding.checkpoint import PredictiveCodingSnapshot
from resweep.systems.predictive_coding.checkpoint_files import WEIGHTS
from resweep.systems.predictive_coding.cost import SHOWN_IMAGES, step_flops
from resweep.systems.predictive_coding.image_data import ImageData
from resweep.systems.predictive_coding.inference import infer
from resweep.systems.predictive_coding.network import Decoder
from resweep.systems.predictive_coding.probe import Probe
from resweep.systems.predictive_coding.sections import (
    Inference,
    Model,
    PredictiveCodingTraining,
)
from resweep.training.device import matmul_precision, to_device
from resweep.training.optimizer import AdamW, Group, clip_gradients
from resweep.training.place import Place
from resweep.training.schedule import learning_rate
from resweep.training.seeds import derive_seed
from resweep.training.snapshot import read_counters, read_moments, to_memory

log = logging.getLogger(__name__)

# Best so far -> the value of an evaluation that it is the best of, and what is better.
BEST: Mapping[str, tuple[str, Callable[..., float]]] = {
    "best_val_mse": ("val_mse", min),
    "best_train_mse": ("final_train_mse", min),
    "best_probe_accuracy": ("val_probe_accuracy", max),
}


class PredictiveCodingLearner:
    """Trains one run; `step` steps are done.

    Args:
        model, inference, training: Sections of a resolved configuration.
        patch_size: Pixels along an edge of a patch.
        data: Its images.
        place: Where to compute; one process trains.
        parent: Folder of the initial weights, if any.
    """

    def __init__(
        self,
        *,
        model: Model,
        inference: Inference,
        training: PredictiveCodingTraining,
        patch_size: int,
        data: ImageData,
        place: Place,
        parent: Path | None,
    ):
        assert training.max_steps is not None, "resolved"
        self.training = training
        self.inference = inference
        self.max_steps = training.max_steps
        self.data = data
        self.device = device = place.device
        self.parent = parent
        self.images = data.pixels("train")
        self.step_units = training.batch_size * training.gradient_accumulation_steps
        limits = (training.batch_size, training.max_gpu_batch_size, place.most_rows)
        self.micro_batch = min(n for n in limits if n)
        self.eval_batch = min(n for n in (training.eval_batch_size, place.most_rows) if n)
        self.decoder = Decoder(model, patch_size)
        seed = derive_seed(training.seed, "initialization")
        self.decoder.initialize(torch.Generator().manual_seed(seed))
        self.decoder.to(device)
        self.size = sum(parameter.numel() for parameter in self.decoder.parameters())
        self.step_flops: float = step_flops(model, inference, patch_size, self.step_units)
        matrices = self.decoder.matrices()
        vectors = [name for name, _ in self.decoder.named_parameters() if name not in matrices]
        groups = [Group(tuple(matrices), training.weight_decay), Group(tuple(vectors), 0.0)]
        self.optimizer = AdamW(
            self.decoder,
            groups,
            beta1=training.beta1,
            beta2=training.beta2,
            eps=training.adam_eps,
        )
        self.step = 0
        self.best: dict[str, float] = {}
        # Since the last line of metrics.jsonl. Part of the state, so that a resumed run averages
        # over the same steps.
        self.energy_sum = torch.zeros((), dtype=torch.float64, device=device)
        self.energy_count = 0
        self.grad_norm = torch.zeros((), device=device)
        self._order_of = functools.lru_cache(maxsize=2)(self._draw_order)

    def begin(self) -> None:
        """Start from the weights that the configuration names, if it names any."""
        if self.parent is not None:
            self.decoder.load_state_dict(load_file(self.parent / WEIGHTS))

    def load(self, folder: Path) -> None:
        """Continue from a checkpoint."""
        counters = read_counters(folder)
        self.decoder.load_state_dict(load_file(folder / WEIGHTS))
        self.optimizer.load_state(read_moments(folder), counters["optimizer_steps"])
        self.step = counters["step"]
        self.best = counters["best"]
        self.energy_sum.fill_(counters["energy_sum"])
        self.energy_count = counters["energy_count"]

    def snapshot(self) -> PredictiveCodingSnapshot:
        """Return the complete state, with how the model sees some validation images."""
        shown = self.data.pixels("val")[:SHOWN_IMAGES]
        reconstructed = self._reconstruct(shown)
        counters: dict[str, Any] = {
            "step": self.step,
            "optimizer_steps": self.optimizer.steps,
            "best": dict(self.best),
            "energy_sum": self.energy_sum.item(),
            "energy_count": self.energy_count,
        }
        return PredictiveCodingSnapshot(
            model=self.decoder.model,
            patch_size=self.decoder.patch_size,
            inference=self.inference,
            weights=to_memory(dict(self.decoder.named_parameters())),
            moments=to_memory(self.optimizer.state()),
            images=np.ascontiguousarray(shown),
            reconstructions=reconstructed,
            counters=counters,
        )

    def train_step(self, keep_gradients: bool = False) -> None:
        """Do one step on the next batch; there are no gradients to keep (`check` refuses them)."""
        images = self.images[self._positions_at(self.step)]
        while True:
            try:
                energy = self._accumulate(images)
                break
            except torch.OutOfMemoryError:
                if self.micro_batch == 1:
                    raise
            torch.cuda.empty_cache()
            self.micro_batch //= 2
            log.warning("out of memory: continuing with micro-batch size %d", self.micro_batch)
        self.grad_norm = clip_gradients(
            list(self.optimizer.parameters.values()), self.training.grad_clip
        )
        self.optimizer.step(learning_rate(self.step, self.training, self.max_steps))
        self.energy_sum += energy
        self.energy_count += 1
        self.step += 1

    def _accumulate(self, images: np.ndarray) -> Tensor:
        """Compute the gradient of the mean energy, in parts; returns that energy."""
        self.optimizer.zero_grad()
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for patches in self._parts(images, self.micro_batch):
            with matmul_precision(self.device, self.training.precision):
                states = infer(self.decoder, patches, self.inference)
                energy = self.decoder.energies(states, patches).sum() / len(images)
                energy.backward()
            total += energy.detach()
        return total

    def _parts(self, images: np.ndarray, size: int) -> Iterator[Tensor]:
        """Yield images as patches on the device: (n, height, width, channels) each."""
        for first in range(0, len(images), size):
            part = torch.from_numpy(np.array(images[first : first + size]))  # a copy: maps are r/o
            yield self.decoder.to_patches(to_device(part, self.device))

    def _positions_at(self, step: int) -> np.ndarray:
        """Return the images of a step; each epoch has all of them, in an order of its own."""
        positions = np.arange(step * self.step_units, (step + 1) * self.step_units)
        epochs, within = np.divmod(positions, len(self.images))
        parts = [self._order_of(int(e))[within[epochs == e]] for e in np.unique(epochs)]
        return np.concatenate(parts)

    def _draw_order(self, epoch: int) -> np.ndarray:
        random = np.random.Generator(np.random.Philox(key=[self.training.seed, epoch]))
        return random.permutation(len(self.images))

    def interval_metrics(self) -> dict[str, float]:
        """Return metrics of the steps since the last call, and start a new interval."""
        metrics = {
            "train_energy": self.energy_sum.item() / max(1, self.energy_count),
            "lr": learning_rate(self.step - 1, self.training, self.max_steps),
            "grad_norm": self.grad_norm.item(),
        }
        self.energy_sum.zero_()
        self.energy_count = 0
        return metrics

    def evaluate(self) -> dict[str, float]:
        """Return errors, the accuracy of the probe, and the best of each so far.

        The evaluation before the first step counts for no later best: an untrained decoder is close
        to a random linear map, from which a probe reads the classes well. Nor does one between two
        regular ones, as where a rung ends: a run is the same with rungs and without.
        """
        metrics = self._measure_splits()
        if not all(map(math.isfinite, metrics.values())):
            # Not the best of finite values: the loop has to see that the run has diverged.
            return metrics | {name: math.nan for name in BEST}
        best = {
            name: better(self.best.get(name, metrics[of]), metrics[of])
            for name, (of, better) in BEST.items()
            if of in metrics
        }
        regular = self.step % self.training.eval_steps == 0 or self.step == self.max_steps
        if regular and self.step > 0:
            self.best = best
        return metrics | best

    def conclude(self) -> dict[str, float]:
        """Return what the test split says, if it has images."""
        if not self.data.counts["test"]:
            return {}
        train = self._measure("train", self.training.eval_sequences)
        test = self._measure("test", None)
        return {"test_mse": test.mse, **self._probe("test", train, test)}

    def _measure_splits(self) -> dict[str, float]:
        most = self.training.eval_sequences
        train, val = self._measure("train", most), self._measure("val", most)
        metrics = {"final_train_mse": train.mse, "val_mse": val.mse}
        return metrics | self._probe("val", train, val)

    def _measure(self, split: str, most: int | None) -> "_Measured":
        """Infer the states of a split's first images, and reconstruct these from the top."""
        images = self.data.pixels(split)[:most]
        squares, tops = torch.zeros((), dtype=torch.float64, device=self.device), []
        for patches in self._parts(images, self.eval_batch):
            z0, reconstructed = self._see(patches)
            squares += (reconstructed - patches).double().square().sum()
            tops.append(z0.flatten(1).cpu().numpy())
        labels = self.data.labels(split)
        return _Measured(
            mse=squares.item() / images.size,
            tops=np.concatenate(tops),
            labels=None if labels is None else labels[:most],
        )

    @torch.no_grad()
    def _see(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return z0 of a batch after inference, and what z0 alone predicts of its images.

        In halves when memory runs out.
        """
        try:
            with matmul_precision(self.device, self.training.precision):
                z0 = infer(self.decoder, patches, self.inference).z0
                return z0, self.decoder.reconstruct(z0)
        except torch.OutOfMemoryError:
            if len(patches) == 1:
                raise
        torch.cuda.empty_cache()
        half = len(patches) // 2
        (z0, seen), (more_z0, more_seen) = self._see(patches[:half]), self._see(patches[half:])
        return torch.cat([z0, more_z0]), torch.cat([seen, more_seen])

    def _probe(self, split: str, train: "_Measured", held_out: "_Measured") -> dict[str, float]:
        if train.labels is None or held_out.labels is None:
            return {}
        if not (np.isfinite(train.tops).all() and np.isfinite(held_out.tops).all()):
            return {}  # the errors are not finite either: the run has diverged
        probe = Probe(train.tops, train.labels, len(self.data.classes))
        return {f"{split}_probe_accuracy": probe.accuracy(held_out.tops, held_out.labels)}

    def _reconstruct(self, images: np.ndarray) -> np.ndarray:
        """Return the reconstructions of a few images: (n, height, width, channels)."""
        (patches,) = self._parts(images, len(images))
        return self.decoder.to_images(self._see(patches)[1]).cpu().contiguous().numpy()


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """Some images of a split after inference.

    Attributes:
        mse: Mean squared error per pixel of what the top predicts, unclipped.
        tops: z0, (n, patches * values).
        labels: (n,); None without classes.
    """

    mse: float
    tops: np.ndarray
    labels: np.ndarray | None
