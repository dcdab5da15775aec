"""Graphs, and what a model is shown of them."""

import numpy as np
import pytest

from resweep.systems.pathstar.graph import SPECIAL, Format, draw_spokes
from resweep.systems.pathstar.sections import Examples
from tests.support.pathstar import graph

TINY = {"graph_d": 2, "graph_l": 3, "graph_vocab_size": 10, "num_pause_tokens": 2}
SPOKES = np.array([[7, 1, 4], [7, 0, 9]])
PAD, PAUSE, AWAY, TOWARDS, PATH, EDGE = (
    10 + SPECIAL.index(name) for name in ("PAD", "PAUSE", ">", "<", "PATH", "EDGE")
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {},
            [
                [EDGE, AWAY, 7, 1],
                [EDGE, AWAY, 1, 4],
                [EDGE, AWAY, 7, 0],
                [EDGE, AWAY, 0, 9],
                [EDGE, TOWARDS, 1, 7],
                [EDGE, TOWARDS, 4, 1],
                [EDGE, TOWARDS, 0, 7],
                [EDGE, TOWARDS, 9, 0],
            ],
        ),
        (
            {"use_undirected": False, "use_directional_tokens": False},
            [[EDGE, 7, 1], [EDGE, 1, 4], [EDGE, 7, 0], [EDGE, 0, 9]],
        ),
        (
            {"use_directional_tokens": False},
            [
                *([EDGE, 7, 1], [EDGE, 1, 4], [EDGE, 7, 0], [EDGE, 0, 9]),
                *([EDGE, 1, 7], [EDGE, 4, 1], [EDGE, 0, 7], [EDGE, 9, 0]),
            ],
        ),
    ],
)
def test_edges_are_two_vertices_with_their_direction(changes, expected):
    known = Format(graph(**TINY | changes))
    assert known.edges(SPOKES).tolist() == expected


@pytest.mark.parametrize("pauses", [0, 2])
def test_paths_follow_their_leaf_and_pauses(pauses):
    known = Format(graph(**TINY | {"num_pause_tokens": pauses}))
    assert known.paths(SPOKES).tolist() == [
        [PATH, 4, *[PAUSE] * pauses, 7, 1, 4],
        [PATH, 9, *[PAUSE] * pauses, 7, 0, 9],
    ]


def test_the_shorter_examples_are_padded():
    known = Format(graph(**TINY))
    assert known.pad(known.edges(SPOKES))[0].tolist() == [EDGE, AWAY, 7, 1, PAD, PAD, PAD]


@pytest.mark.parametrize("vocabulary", [None, 5000])
def test_vertices_are_distinct_and_share_the_root(vocabulary):
    data = graph(graph_d=30, graph_l=6, graph_vocab_size=vocabulary)
    spokes, held_out = draw_spokes(data)
    assert spokes.shape == (30, 6) and held_out.shape == (30,)
    assert len(np.unique(spokes)) == data.vertices == 30 * 5 + 1
    assert (spokes[:, 0] == spokes[0, 0]).all()
    assert spokes.min() >= 0 and spokes.max() < data.names == (vocabulary or 151)
    if vocabulary is None:
        assert sorted(np.unique(spokes)) == list(range(151))


@pytest.mark.parametrize(
    ("spokes", "fraction", "held_out"),
    [(10, 0.0, 0), (10, 0.01, 1), (10, 0.25, 2), (10, 0.5, 5), (10, 1.0, 10), (1, 0.1, 1)],
)
def test_a_fraction_of_the_paths_is_held_out(spokes, fraction, held_out):
    data = graph(graph_d=spokes, graph_holdout_percentage=fraction)
    assert Examples.of(data).held_out == held_out == draw_spokes(data)[1].sum()


def test_the_seed_draws_another_graph():
    one, again, other = (draw_spokes(graph(graph_seed=seed))[0] for seed in (1, 1, 2))
    assert (one == again).all() and (one != other).any()


@pytest.mark.parametrize(
    ("changes", "edges", "paths", "repeats"),
    [
        ({}, 800, 90, 9),
        ({"use_undirected": False}, 400, 90, 4),
        ({"train_on_edges": False}, 0, 90, 1),
        ({"graph_holdout_percentage": 1.0}, 800, 0, 0),
        ({"graph_l": 2, "use_undirected": False, "graph_holdout_percentage": 0.0}, 100, 100, 1),
    ],
)
def test_paths_are_repeated_to_balance_the_edges(changes, edges, paths, repeats):
    examples = Examples.of(graph(graph_d=100, **changes))
    assert (examples.edges, examples.paths, examples.repeats) == (edges, paths, repeats)


@pytest.mark.parametrize(
    ("spokes", "batch"), [(2, 16), (20, 32), (100, 128), (1000, 1024), (100_000, 1024)]
)
def test_the_batch_size_follows_from_the_data(spokes, batch):
    assert Examples.of(graph(graph_d=spokes)).batch_size == batch
