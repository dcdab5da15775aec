"""The probe of the top latents."""

import numpy as np
import pytest

from resweep.systems.predictive_coding.probe import Probe

RANDOM = np.random.default_rng(3)


def made(count, spread):
    labels = RANDOM.integers(0, 3, count)
    centres = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    return centres[labels] + spread * RANDOM.normal(size=(count, 2)), labels


def test_it_separates_what_lies_apart():
    probe = Probe(*made(200, 0.3), 3)
    assert probe.accuracy(*made(100, 0.3)) == 1.0
    assert 0.4 < probe.accuracy(*made(2000, 4.0)) < 0.8


def test_scale_and_offset_of_a_latent_do_not_matter():
    x, y = made(200, 2.0)
    other, labels = made(200, 2.0)
    scale, offset = np.array([1e4, 1e-4]), np.array([-5e3, 7.0])
    plain = Probe(x, y, 3).accuracy(other, labels)
    assert Probe(x * scale + offset, y, 3).accuracy(other * scale + offset, labels) == plain


def test_a_latent_that_never_varies_is_not_read():
    x, y = made(200, 0.3)
    constant = np.ones((200, 1))
    probe = Probe(np.hstack([x, constant]), y, 3)
    assert probe.accuracy(np.hstack([x, constant]), y) == Probe(x, y, 3).accuracy(x, y)


def test_it_is_at_the_minimum_of_its_loss():
    x, y = made(150, 2.0)
    probe = Probe(x, y, 3)
    z = np.hstack([(x - probe.mean) / probe.deviation, np.ones((150, 1))])
    logits = z @ probe.weights
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gradient = z.T @ (chances - np.eye(3)[y]) / 150
    gradient[:-1] += probe.weights[:-1] / 150
    assert np.abs(gradient).max() == pytest.approx(0.0, abs=1e-4)
