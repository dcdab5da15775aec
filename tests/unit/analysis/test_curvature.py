"""Curvature of trajectories whose angles are known, and the sentences that it is measured on."""

import math

import pytest
import torch
from torch import Tensor

from resweep.analysis.curvature import by_layer, curvature
from resweep.analysis.trajectories import choose, split_sentences


def points(*rows: tuple[float, ...]) -> Tensor:
    return torch.tensor(rows)


@pytest.mark.parametrize(
    ("states", "degrees"),
    [
        (points((0, 0), (1, 2), (2, 4), (5, 10)), 0.0),  # a line, with steps of any length
        (points((0, 0), (1, 0), (1, 1), (0, 1)), 90.0),
        (points((0, 0), (1, 1), (0, 0), (1, 1)), 180.0),
        (points((0, 0), (1, 0), (2, 0), (2, 3)), 45.0),  # the mean of 0 and 90
        (points((0, 0), (1, 0), (1.5, math.sqrt(0.75))), 60.0),
        (points((0, 0), (1, 0), (1, 0), (1, 1), (2, 1)), 90.0),  # standing still has no angle
    ],
)
def test_known_angles(states: Tensor, degrees: float) -> None:
    # Those of float32 states: 1 / 3 of them is none.
    assert curvature(states).item() == pytest.approx(degrees, abs=1e-5)


def test_almost_straight_lines_keep_their_digits() -> None:
    states = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 1e-9]], dtype=torch.float64)
    assert curvature(states).item() == pytest.approx(math.degrees(1e-9), rel=1e-6)


def test_layers_are_measured_at_once() -> None:
    line, turn = points((0, 0), (1, 0), (2, 0)), points((0, 0), (1, 0), (1, 1))
    torch.testing.assert_close(
        curvature(torch.stack([line, turn])).float(), torch.tensor([0, 90.0])
    )


def test_independent_random_states_have_120_degrees() -> None:
    states = torch.randn(2000, 200, generator=torch.Generator().manual_seed(1))
    assert curvature(states).item() == pytest.approx(120, abs=0.5)


def test_no_movement_has_no_curvature() -> None:
    assert curvature(torch.zeros(4, 3)).isnan()


def test_means_errors_and_changes_are_over_sentences() -> None:
    table = [torch.tensor(row).double() for row in ([100.0, 90], [110.0, 80], [120.0, math.nan])]
    first, second = by_layer(table)
    assert (first.mean, first.change) == (110.0, 0.0)
    assert first.error == pytest.approx(10 / math.sqrt(3))
    assert (second.mean, second.change) == (85.0, -20.0)  # of the sentences that have both
    assert second.change_error == pytest.approx(math.sqrt(200) / math.sqrt(2))
    (alone,) = by_layer([torch.tensor([math.nan]).double()])
    assert alone.mean is None and alone.error is None


def test_sentences_end_with_a_mark_and_have_five_words() -> None:
    text = "A TITLE\n\nThis is\na sentence of  words. Too short. Is this one a question? yes\n\nis."
    assert split_sentences([text, "Another text has sentences too!"]) == [
        "This is a sentence of words.",
        "Is this one a question?",
        "Another text has sentences too!",
    ]


def test_chosen_sentences_are_spread() -> None:
    sentences = [f"{number}" for number in range(10)]
    assert choose(sentences, 3) == ["0", "3", "6"]
    assert choose(sentences, 10) == choose(sentences, 11) == sentences
