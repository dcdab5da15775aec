"""The sections of a PathStar configuration: the graph, the model, its training."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from resweep.config.section import (
    MOST_SIZE,
    BelowOne,
    Fraction,
    Int,
    NonNegative,
    Section,
    Seed,
    Size,
)
from resweep.config.training_section import Training
from resweep.systems.language.model_section import require_heads_divide_width


class Data(Section):
    """A path-star graph, and what a model is shown of it."""

    graph_d: Size = Field(50, description="spokes: paths that leave the root")
    graph_l: Annotated[Int, Field(ge=2, le=MOST_SIZE)] = Field(
        5, description="vertices of a path, with the root and the leaf"
    )
    graph_vocab_size: Size | None = Field(
        None, description="vertices get names below this; null: as many as there are vertices"
    )
    graph_holdout_percentage: Fraction = Field(
        0.1, description="fraction of the paths that are held out for validation"
    )
    num_pause_tokens: Annotated[Int, Field(ge=0, le=MOST_SIZE)] = Field(
        1, description="pause tokens between the leaf and its path"
    )
    use_undirected: bool = Field(True, description="show each edge in both directions")
    use_directional_tokens: bool = Field(
        True, description="begin an edge with > away from the root, with < towards it"
    )
    train_on_edges: bool = Field(True, description="show the edges in training; false: paths only")
    graph_seed: Seed = Field(0, description="names of vertices, and which paths are held out")

    @property
    def vertices(self) -> int:
        """Number of vertices."""
        return self.graph_d * (self.graph_l - 1) + 1

    @property
    def names(self) -> int:
        """Number of names that vertices can have."""
        return self.vertices if self.graph_vocab_size is None else self.graph_vocab_size


class Model(Section):
    """A GPT with tied embeddings."""

    n_layer: Size = Field(3, description="transformer blocks")
    n_head: Size = Field(4, description="attention heads; must divide n_embd")
    n_embd: Size = Field(96, description="width")
    dropout: BelowOne = Field(0.0, description="on embeddings, attention and residual branches")
    bias: bool = Field(True, description="biases in linear layers and layer norms")

    @model_validator(mode="after")
    def _heads_divide_width(self) -> "Model":
        require_heads_divide_width(self.n_embd, self.n_head)
        return self


class PathStarTraining(Training):
    """The shared section, with a batch size from the data, and a schedule that can end early."""

    batch_size: Size | None = Field(  # type: ignore[assignment]  # null until the data is known
        None,
        description="examples per accumulated batch; null: the largest power of two up to an "
        "eighth of an epoch, 16 to 1024",
    )
    loss_on: Literal["all", "target"] = Field(
        "all", description="which tokens count: all, or what follows from the prompt"
    )
    label_smoothing: BelowOne = Field(0.0, description="of the training loss")
    decay_lr: bool = Field(True, description="false: after its warmup the learning rate stays")
    lr_decay_frac: Fraction = Field(
        1.0, description="fraction of the run after which the learning rate has reached its minimum"
    )
    min_lr: NonNegative | None = Field(
        None, description="final learning rate, at most the peak; null: from min_lr_ratio"
    )

    @property
    def examples_per_step(self) -> int | None:
        """Examples of an optimizer step; None if they follow from the data."""
        return None if self.batch_size is None else super().examples_per_step


@dataclass(frozen=True, kw_only=True)
class Examples:
    """How many examples a graph gives.

    Attributes:
        edges: Different edges in training, each direction by itself.
        paths: Different paths in training.
        repeats: How often an epoch has each of these paths.
        held_out: Paths that are not in training.
    """

    edges: int
    paths: int
    repeats: int
    held_out: int

    @classmethod
    def of(cls, data: Data) -> "Examples":
        """Count the examples of a graph.

        Paths are repeated so that about as many paths as edges are seen.
        """
        held_out = round(data.graph_d * data.graph_holdout_percentage)
        if data.graph_holdout_percentage > 0:
            held_out = max(1, held_out)
        paths = data.graph_d - held_out
        edges = (data.vertices - 1) * (2 if data.use_undirected else 1)
        edges = edges if data.train_on_edges else 0
        repeats = max(1, round(edges / paths)) if paths else 0
        return cls(edges=edges, paths=paths, repeats=repeats, held_out=held_out)

    @property
    def train(self) -> int:
        """Examples of an epoch."""
        return self.edges + self.paths * self.repeats

    @property
    def batch_size(self) -> int:
        """The batch size where none is given: an eighth of an epoch, as a power of two."""
        return min(1024, max(16, 1 << max(0, (self.train // 8).bit_length() - 1)))
