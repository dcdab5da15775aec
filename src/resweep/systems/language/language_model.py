"""What a training asks of a model, whatever it is made of."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resweep.systems.language.initialization_section import Initialization
from resweep.training.dropout import SampleKeys


class LanguageModel(nn.Module, ABC):
    """A causal language model.

    Attributes:
        vocab_size: Number of tokens.
        context_length: Tokens per sequence.
        sample_keys: Of the samples of the next forward, from which dropout draws its masks.
        shapes: Of all parameters by name, noted when built: an engine may cut them into shards.
    """

    vocab_size: int
    context_length: int
    sample_keys: SampleKeys
    shapes: dict[str, torch.Size]

    def note_shapes(self) -> None:
        """Set `shapes`; for the end of a constructor."""
        self.shapes = {name: parameter.shape for name, parameter in self.named_parameters()}

    @property
    def size(self) -> int:
        """Number of parameters, frozen ones too; tied ones count once."""
        return sum(shape.numel() for shape in self.shapes.values())

    @abstractmethod
    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, tokens) of int64 -> logits (batch, tokens, vocab_size)."""

    def loss(self, sequences: Tensor, reduction: str = "mean") -> Tensor:
        """Cross-entropy of each token given those before it, in nats.

        Args:
            sequences: (batch, tokens + 1), int64.
            reduction: `mean` or `sum` over all predicted tokens.
        """
        logits = self(sequences[:, :-1])
        return F.cross_entropy(
            logits.view(-1, self.vocab_size), sequences[:, 1:].reshape(-1), reduction=reduction
        )

    @abstractmethod
    def initialize(self, settings: Initialization, generator: torch.Generator) -> None:
        """Draw all weights anew, as the `initialization` section says."""

    def lr_scales(self, settings: Initialization) -> dict[str, float]:
        """Return the parameters that learn at another rate than the schedule's: how many times it.

        Args:
            settings: The `initialization` section.
        """
        return {}

    @abstractmethod
    def checkpoint_blocks(self, on: bool) -> None:
        """Keep each block's input alone for backward, and compute the rest again: or stop it."""

    @abstractmethod
    def flops_per_token(self) -> float:
        """Floating-point operations of one training step per token."""

    @abstractmethod
    def write(self, state: Mapping[str, Tensor], folder: Path) -> None:
        """Write a folder that transformers loads.

        Called from another thread while the model is trained on: its parameters move, `state` not.

        Args:
            state: All parameters by name, whole and on the CPU.
            folder: An existing folder.
        """

    @abstractmethod
    def read(self, folder: Path) -> dict[str, Tensor]:
        """Return the parameters by name that `write`, or transformers, wrote.

        Raises:
            ConfigError: Names or shapes do not fit this model.
        """

    def read_parent(self, folder: Path) -> dict[str, Tensor]:
        """Return all parameters to start with, by name, where a run starts from a folder's weights.

        Raises:
            ConfigError: Names or shapes do not fit this model.
        """
        return self.read(folder)
