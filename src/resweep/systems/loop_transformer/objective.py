"""Deep supervision on Sudoku: each optimizer step continues where the last left each puzzle.

    rows_at(step)    a new puzzle for each place of the batch     (rows, 2 + 2 cells) of int64:
                     its place, the step before which it may not halt, question, answer
    loss(rows)       carry -> one supervision step -> next carry  puzzles that halted are replaced
    after_step()     the next carry becomes the carry; weights are averaged

`loss` reads the carry and writes the next one, so that a step that ran out of memory, or that is
repeated for samples of gradients, can be computed again. The carry is part of checkpoints.

    loss = stablemax cross-entropy per cell + 1/2 binary cross-entropy of the halting logit against
           "all cells are right"

In training, a puzzle halts when its logit is positive, after halt_max_steps at the latest; with
halt_exploration_prob, not before a random step. Evaluations do all halt_max_steps.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from resweep.errors import ConfigError, Problem
from resweep.systems.loop_transformer.carry import Carry
from resweep.systems.loop_transformer.checkpoint import CONFIG, WEIGHTS
from resweep.systems.loop_transformer.figures import ANSWERS, SHOWN
from resweep.systems.loop_transformer.loss import stablemax_cross_entropy
from resweep.systems.loop_transformer.model import LoopTransformer
from resweep.systems.loop_transformer.puzzle_data import PuzzleData
from resweep.systems.loop_transformer.sections import Arch, LoopTraining
from resweep.systems.loop_transformer.size import EMPTY, step_flops
from resweep.systems.loop_transformer.symmetry import augment
from resweep.training.objective import Objective
from resweep.training.place import Place
from resweep.training.seeds import derive_seed

TRAINED = "trained.safetensors"  # the weights that an average was made of
SHOWN_PUZZLES = 2  # of the test set, whose solving steps reports draw
HALT_WEIGHT = 0.5  # of the halting loss
NETWORK, AVERAGE = "network.", "average."


class LoopObjective(Objective):
    """A loop transformer on puzzles.

    Args:
        arch, training: Sections of a resolved configuration.
        data: Its data.
        parent: Folder of the initial weights, if any.
        place: Where it is trained.
    """

    model: LoopTransformer
    loss_name = "train/loss"

    def __init__(
        self,
        *,
        arch: Arch,
        training: LoopTraining,
        data: PuzzleData,
        parent: Path | None,
        place: Place,
    ):
        self.arch, self.training, self.parent = arch, training, parent
        self.board_size, self.cells = data.size, data.size**2
        self.train, self.test = data.read("train"), data.read("test")
        self.model = LoopTransformer(arch, data.size, training.ema)
        self.shapes = {name: p.shape for name, p in self.model.named_parameters()}
        self.rows_per_step = training.batch_size * training.gradient_accumulation_steps
        self.step_units = self.rows_per_step
        self.step_flops = step_flops(arch, training, data.size)
        shape = (len(arch.known_states), self.cells, arch.hidden_size)
        self.carry, self.next = (
            Carry(self.rows_per_step, shape, place.device, place.processes) for _ in range(2)
        )
        self._order_of = functools.lru_cache(maxsize=2)(self._draw_order)

    @property
    def size(self) -> int:
        """Number of weights; those of their average are not counted."""
        return sum(parameter.numel() for parameter in self.model.network.parameters())

    def initialize(self) -> None:
        """Draw all weights from the training's seed."""
        seed = derive_seed(self.training.seed, "initialization")
        self.model.network.initialize(torch.Generator().manual_seed(seed))
        self.model.start_average()

    def recompute_blocks(self, on: bool) -> None:
        """Turn activation checkpointing on or off."""
        self.model.network.recompute = on

    def rows_at(self, step: int) -> np.ndarray:
        """Return a puzzle for each place; each epoch has all of them, in an order of its own."""
        positions = np.arange(step * self.rows_per_step, (step + 1) * self.rows_per_step)
        epochs, within = np.divmod(positions, len(self.train[0]))
        chosen = np.empty_like(within)
        for epoch in np.unique(epochs):
            chosen[epochs == epoch] = self._order_of(int(epoch))[within[epochs == epoch]]
        random = np.random.Generator(
            np.random.Philox(key=derive_seed(self.training.seed, "puzzles", step))
        )
        questions, answers = augment(
            self.train[0][chosen],
            self.train[1][chosen],
            self.board_size,
            self.training.augmentations_of(self.board_size),
            random,
        )
        explores = random.random(len(chosen)) < self.arch.halt_exploration_prob
        most = self.arch.halt_max_steps
        at_least = random.integers(min(2, most), most + 1, len(chosen))
        return _rows(np.where(explores, at_least, 1), questions, answers)

    def _draw_order(self, epoch: int) -> np.ndarray:
        seed = derive_seed(self.training.seed, "order", epoch)
        random = np.random.Generator(np.random.Philox(key=seed))
        return random.permutation(len(self.train[0]))

    def loss(self, rows: Tensor) -> Tensor:
        """Do a supervision step in the places of the rows; returns the mean loss."""
        carry, after = self.carry, self.next
        place = rows[:, 0] - carry.here.start
        new = carry.halted[place]
        puzzles = rows[:, 2:].view(-1, 2, self.cells)
        puzzles = torch.where(new[:, None, None], puzzles, carry.puzzles[place])
        states = torch.where(
            new[:, None, None, None],
            self.model.network.begin(len(rows), self.cells),
            carry.states[place],
        )
        steps = torch.where(new, 0, carry.steps[place]) + 1
        states, logits, halt = self.model.network(states, puzzles[:, 0])
        with torch.no_grad():
            right = (logits.argmax(-1) == puzzles[:, 1]).all(1)
            # A puzzle that is continued has kept the earliest step that it was drawn with.
            earliest = torch.where(new, rows[:, 1], carry.earliest[place])
            halted = (steps >= self.arch.halt_max_steps) | ((halt > 0) & (steps >= earliest))
            after.states[place] = states.detach().to(after.states.dtype)
            after.puzzles[place], after.steps[place] = puzzles, steps
            after.earliest[place], after.halted[place] = earliest, halted
        answering = stablemax_cross_entropy(logits, puzzles[:, 1]).mean()
        halting = F.binary_cross_entropy_with_logits(halt.double(), right.double())
        return answering + HALT_WEIGHT * halting

    def after_step(self) -> None:
        """Carry on, and average the weights."""
        self.carry, self.next = self.next, self.carry
        self.model.update_average(self.training.ema_rate)

    def begin(self) -> None:
        """Start the average at the weights to start with."""
        self.model.start_average()

    def extra_state(self) -> dict[str, Tensor]:
        """Return the puzzles that are being worked on; and how others are solved, for reports."""
        return self.carry.gathered() | self._solve_shown()

    @torch.no_grad()
    def _solve_shown(self) -> dict[str, Tensor]:
        """Return a few test puzzles and the answers to them, step by step, as digits.

        Puzzles are (n, 2, cells), answers (n, steps, cells), both of uint8.
        """
        questions, answers = self.test
        hardest = np.argsort((questions > 0).sum(1), kind="stable")[:SHOWN_PUZZLES]
        network = self.model.measured
        puzzles = torch.from_numpy(np.stack([questions[hardest], answers[hardest]], 1))
        tokens = puzzles[:, 0].to(network.embedding.weight.device).long() + EMPTY
        states, found = network.begin(len(tokens), self.cells), []
        for _ in range(self.arch.halt_max_steps):
            states, logits, _ = network(states, tokens)
            found.append((logits.argmax(-1) - EMPTY).clamp(min=0).to(torch.uint8))
        return {SHOWN: puzzles, ANSWERS: torch.stack(found, 1)}

    def load_extra_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore the puzzles that are being worked on.

        Raises:
            ConfigError: There are more or fewer than the batch has places.
        """
        there = len(state["carry.steps"])
        if there != self.rows_per_step:
            hint = (
                f"batch_size * gradient_accumulation_steps = {self.rows_per_step} should be "
                f"{there}, as in the run that it continues: its puzzles are still being worked on"
            )
            raise ConfigError(Problem("trial", "run.resume", True, hint))
        self.carry.restore(state)

    def measure(self, rows: Tensor) -> Tensor:
        """Return sums over puzzles, after all supervision steps, as one vector of float64.

        Of right puzzles and the share of right cells; of halting logits that agree with that; of
        the supervision steps until one is positive; of the two losses.
        """
        network = self.model.measured
        puzzles = rows[:, 2:].view(-1, 2, self.cells)
        states = network.begin(len(rows), self.cells)
        most = self.arch.halt_max_steps
        needed = torch.full((len(rows),), most, device=rows.device)
        for step in range(1, most + 1):
            states, logits, halt = network(states, puzzles[:, 0])
            needed = torch.where(halt > 0, needed.clamp(max=step), needed)
        cells_right = logits.argmax(-1) == puzzles[:, 1]
        right = cells_right.all(1)
        answering = stablemax_cross_entropy(logits, puzzles[:, 1]).mean(1)
        halting = F.binary_cross_entropy_with_logits(
            halt.double(), right.double(), reduction="none"
        )
        sums = (
            right,
            cells_right.double().mean(1),
            (halt > 0) == right,
            needed,
            answering,
            halting,
        )
        return torch.stack([values.double().sum() for values in sums])

    def eval_batches(self, split: str, most_rows: int) -> Sequence[np.ndarray]:
        """Return the test puzzles; they are those of all evaluations, and there are no others."""
        if split == "test":
            return []
        count = self.training.eval_sequences
        questions, answers = (boards[:count] for boards in self.test)
        rows = _rows(np.ones(len(questions), np.int64), questions, answers)
        return [rows[first : first + most_rows] for first in range(0, len(rows), most_rows)]

    def summarize(self, split: str, sums: Tensor, rows: int) -> dict[str, float]:
        """Return means over the puzzles; losses are in nats, per cell and per puzzle."""
        names = ("exact_accuracy", "accuracy", "q_halt_accuracy", "steps", "lm_loss", "q_halt_loss")
        return dict(zip(names, (sums / rows).tolist(), strict=True))

    def write(self, weights: Mapping[str, Tensor], folder: Path) -> None:
        """Write the measured weights, what describes them, and those that training continues from.

        Without an average, they are the same.
        """
        network, average = _part(weights, NETWORK), _part(weights, AVERAGE)
        save_file(average or network, folder / WEIGHTS, metadata={"format": "pt"})
        if average:
            save_file(network, folder / TRAINED, metadata={"format": "pt"})
        described = {
            "architectures": ["LoopTransformer"],
            "model_type": "loop_transformer",
            "size": self.board_size,
            "arch": self.arch.model_dump(mode="json"),
        }
        text = json.dumps(described, indent=2, sort_keys=True)
        (folder / CONFIG).write_text(text + "\n")

    def read(self, folder: Path) -> dict[str, Tensor]:
        """Return all weights of a checkpoint."""
        if self.model.average is None:
            return self._named(NETWORK, folder / WEIGHTS)
        return {
            **self._named(AVERAGE, folder / WEIGHTS),
            **self._named(NETWORK, folder / TRAINED),
        }

    def read_parent(self) -> dict[str, Tensor] | None:
        """Return the measured weights of `run.checkpoint`, to start training and average with."""
        if self.parent is None:
            return None
        prefixes = [NETWORK] if self.model.average is None else [NETWORK, AVERAGE]
        file = self.parent / WEIGHTS
        return {k: v for prefix in prefixes for k, v in self._named(prefix, file).items()}

    def _named(self, prefix: str, file: Path) -> dict[str, Tensor]:
        """Read the weights of a part of the model by their names in it.

        Raises:
            ConfigError: Names or shapes do not fit.
        """
        found = {f"{prefix}{name}": tensor for name, tensor in load_file(file).items()}
        shapes = {name: s for name, s in self.shapes.items() if name.startswith(prefix)}
        for name in sorted(shapes.keys() | found.keys()):
            there = tuple(found[name].shape) if name in found else "missing"
            wanted = tuple(shapes[name]) if name in shapes else "missing"
            if there != wanted:
                hint = f"{name.removeprefix(prefix)} is {there} there and {wanted} in this model"
                raise ConfigError(Problem("run.checkpoint", str(file), None, hint))
        return found


def _rows(earliest: np.ndarray, questions: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return puzzles as rows of tokens, in their places: (n, 2 + 2 cells) of int64."""
    place = np.arange(len(questions))
    boards = np.concatenate([questions, answers], axis=1).astype(np.int64) + EMPTY
    return np.concatenate([np.stack([place, earliest], 1), boards], axis=1)


def _part(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the weights below a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
