"""The interface of language models."""

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
        sample_keys: Keys of the dropout masks of the next forward; None without dropout.
        shapes: Of all parameters by name, as built; an engine may shard them.
    """

    vocab_size: int
    context_length: int
    sample_keys: SampleKeys | None
    shapes: dict[str, torch.Size]

    def note_shapes(self) -> None:
        """Set `shapes`, at the end of a constructor."""
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
        """Initialize all weights by the `initialization` section."""

    def lr_scales(self, settings: Initialization) -> dict[str, float]:
        """Return learning-rate multipliers by parameter name; others use the schedule's rate.

        Args:
            settings: The `initialization` section.
        """
        return {}

    @abstractmethod
    def checkpoint_blocks(self, on: bool) -> None:
        """Turn activation checkpointing on or off."""

    @abstractmethod
    def flops_per_token(self) -> float:
        """Floating-point operations of one training step per token."""

    @abstractmethod
    def write(self, state: Mapping[str, Tensor], folder: Path) -> None:
        """Write a folder that transformers can load.

        Called from a background thread while training continues: use `state`, not the parameters.

        Args:
            state: All parameters by name, full tensors on the CPU.
            folder: An existing folder.
        """

    @abstractmethod
    def read(self, folder: Path) -> dict[str, Tensor]:
        """Read the parameters that `write` or transformers wrote, by name.

        Raises:
            ConfigError: Names or shapes do not fit this model.
        """

    def read_parent(self, folder: Path) -> dict[str, Tensor]:
        """Return all initial parameters by name, for a run that starts from a folder's weights.

        Raises:
            ConfigError: Names or shapes do not fit this model.
        """
        return self.read(folder)
