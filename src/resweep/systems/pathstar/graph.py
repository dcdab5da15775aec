"""A path-star graph as examples for a language model.

    root - n2 - ... - leaf      d spokes of l vertices, which share the root

    edge     EDGE > u v         both directions, if undirected: EDGE < v u
    path     PATH leaf PAUSE ... root n2 ... leaf

Vertices have random names 0, 1, ..., below `graph_vocab_size`; the special tokens follow. A model
sees all edges, and the paths of some leaves. The paths of the others have to be composed from edges
that it only has in its weights.
"""

from dataclasses import dataclass

import numpy as np

from resweep.systems.pathstar.sections import Data, Examples

SPECIAL = (
    "PAD", "PAUSE", ">", "<", "SEP", "START", "GOAL", "PATH_START", "EOS", "PATH", "EDGE",
)  # fmt: skip


@dataclass(frozen=True)
class Format:
    """Where the tokens of an example are.

    Args:
        data: The graph's section.
    """

    data: Data

    @property
    def vocab_size(self) -> int:
        """Number of tokens: names of vertices, and the special ones."""
        return self.data.names + len(SPECIAL)

    def token(self, special: str) -> int:
        """Return a special token."""
        return self.data.names + SPECIAL.index(special)

    @property
    def prompt(self) -> int:
        """Tokens before a path: PATH, the leaf, pauses."""
        return 2 + self.data.num_pause_tokens

    @property
    def path_length(self) -> int:
        """Tokens of a path example."""
        return self.prompt + self.data.graph_l

    @property
    def edge_length(self) -> int:
        """Tokens of an edge example."""
        return 4 if self.data.use_directional_tokens else 3

    @property
    def length(self) -> int:
        """Tokens of a row: the longer one of the two; the other is padded."""
        return max(self.path_length, self.edge_length if self.data.train_on_edges else 0)

    def targets(self, loss_on: str) -> tuple[int, int]:
        """Return how many tokens of an edge, and of a path, count in the loss."""
        if loss_on == "target":
            return 1, self.data.graph_l
        return self.edge_length - 1, self.path_length - 1

    def paths(self, spokes: np.ndarray) -> np.ndarray:
        """Return path examples of spokes: (n, l) -> (n, path_length)."""
        head = np.full((len(spokes), self.prompt), self.token("PAUSE"))
        head[:, 0] = self.token("PATH")
        head[:, 1] = spokes[:, -1]
        return np.concatenate([head, spokes], axis=1)

    def edges(self, spokes: np.ndarray) -> np.ndarray:
        """Return edge examples of spokes: (n, l) -> (edges, edge_length)."""
        away = np.stack([spokes[:, :-1].ravel(), spokes[:, 1:].ravel()], axis=1)
        directed = [(">", away)]
        if self.data.use_undirected:
            directed.append(("<", away[:, ::-1]))
        return np.concatenate([self._edges(mark, pairs) for mark, pairs in directed])

    def _edges(self, mark: str, pairs: np.ndarray) -> np.ndarray:
        words = ["EDGE", mark] if self.data.use_directional_tokens else ["EDGE"]
        head = np.tile([self.token(word) for word in words], (len(pairs), 1))
        return np.concatenate([head, pairs], axis=1)

    def pad(self, examples: np.ndarray) -> np.ndarray:
        """Return examples as rows: (n, tokens) -> (n, length)."""
        missing = self.length - examples.shape[1]
        return np.pad(examples, ((0, 0), (0, missing)), constant_values=self.token("PAD"))


def draw_spokes(data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Draw a graph.

    Returns:
        Its spokes, (d, l), each from the root to the leaf; and which are held out, (d,) of bool.
    """
    random = np.random.Generator(np.random.Philox(key=[data.graph_seed, 0]))
    names = random.choice(data.names, data.vertices, replace=False)
    rest = names[1:].reshape(data.graph_d, data.graph_l - 1)
    spokes = np.concatenate([np.full((data.graph_d, 1), names[0]), rest], axis=1)
    held_out = np.zeros(data.graph_d, bool)
    held_out[random.permutation(data.graph_d)[: Examples.of(data).held_out]] = True
    return spokes, held_out
