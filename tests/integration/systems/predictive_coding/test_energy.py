"""The energy, its gradients, and where inference goes."""

import itertools
import math

import pytest
import torch

from resweep.systems.predictive_coding.inference import (
    gradients,
    infer,
    initial_states,
    level_rates,
)
from resweep.systems.predictive_coding.network import States, grid_positions
from resweep.systems.predictive_coding.sections import Inference
from tests.support.predictive_coding import make_decoder, some_patches

PENALTIES = {"intermediate_l1_coeff": 0.02, "intermediate_l2_coeff": 0.03}
BY = 1e-6  # of central differences, in float64


def drawn_states(decoder, count):
    """States away from any minimum, and from the kink of |h| at 0."""
    generator = torch.Generator().manual_seed(5)
    shape = (decoder.levels, count, decoder.patches, decoder.model.hidden_size)
    h = torch.randn(shape, generator=generator, dtype=torch.float64)
    z0 = torch.randn(count, decoder.patches, decoder.values, generator=generator).double()
    return States(z0, torch.where(h.abs() < 0.01, 0.01, h))


def by_differences(function, tensor, position):
    """The derivative of a function with respect to one number of a tensor, which it reads."""
    flat = tensor.view(-1)
    before = flat[position].item()
    ends = []
    for moved in (before + BY, before - BY):
        flat[position] = moved
        ends.append(function().item())
    flat[position] = before
    return (ends[0] - ends[1]) / (2 * BY)


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_gradients_of_the_states_are_differences_of_the_energy(blocks):
    decoder, images = make_decoder(num_blocks=blocks, **PENALTIES), some_patches(2)
    states = drawn_states(decoder, 2)
    for state, found in zip((states.z0, states.h), gradients(decoder, states, images), strict=True):
        for position in range(0, state.numel(), max(1, state.numel() // 40)):
            with torch.no_grad():
                expected = by_differences(
                    lambda: decoder.energies(states, images).sum(), state, position
                )
            assert found.reshape(-1)[position].item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("blocks", [0, 2])
def test_gradients_of_the_weights_are_differences_of_the_energy(blocks):
    decoder, images = make_decoder(num_blocks=blocks, **PENALTIES), some_patches(2)
    states = drawn_states(decoder, 2)
    decoder.energies(states, images).sum().backward()
    for name, parameter in decoder.named_parameters():
        size = parameter.numel()
        for position in {0, size // 3, size - 1}:
            with torch.no_grad():
                expected = by_differences(
                    lambda: decoder.energies(states, images).sum(), parameter, position
                )
            assert parameter.grad.reshape(-1)[position].item() == pytest.approx(
                expected, rel=1e-5, abs=1e-6
            ), name


def test_a_block_only_learns_from_the_states_beside_it():
    decoder, images = make_decoder(num_blocks=3), some_patches(2)
    states = drawn_states(decoder, 2)

    def gradient_of_second_block():
        decoder.zero_grad()
        decoder.energies(states, images).sum().backward()
        return decoder.blocks.mlp.weight.grad[1].clone()

    before = gradient_of_second_block()
    states.z0 += 1.0
    states.h[0] += 1.0
    states.h[3] += 1.0
    assert torch.equal(gradient_of_second_block(), before)
    states.h[2] += 1.0
    assert not torch.equal(gradient_of_second_block(), before)


@pytest.mark.parametrize("blocks", [0, 4])
def test_energy_falls_in_each_small_step_of_inference(blocks):
    decoder, images = make_decoder(num_blocks=blocks, **PENALTIES), some_patches(5)
    energies = []
    for steps in range(1, 12):
        settings = Inference(steps=steps, rate=0.01, momentum=0.0, norm_clip=0.0, rate_factor=1.0)
        with torch.no_grad():
            energies.append(decoder.energies(infer(decoder, images, settings), images))
    for before, after in itertools.pairwise(energies):
        assert (after < before).all()


def test_states_start_as_the_forward_pass_from_zero():
    decoder, images = make_decoder(num_blocks=2), some_patches(3)
    states = initial_states(decoder, images)
    assert not states.z0.any()
    with torch.no_grad():
        errors = (images - decoder.out(states.h[-1])).square().sum((1, 2)) / 2
        assert torch.allclose(decoder.energies(states, images), errors)
        assert torch.allclose(decoder.reconstruct(states.z0), decoder.out(states.h[-1]))


def exact_minimum(decoder, image):
    """Solve for the states of least energy of a decoder without blocks, patch by patch.

    The energy is quadratic in s = (z0, h): 1/2 |A s - b|^2 + l2 |h|^2.
    """
    top, out = decoder.top.weight.detach(), decoder.out.weight.detach()
    width, values = top.shape
    eye = torch.eye(width, dtype=torch.float64)
    zeros = torch.zeros(values, values, dtype=torch.float64)
    matrix = torch.cat([torch.cat([-top, eye], 1), torch.cat([zeros, out], 1)])
    penalty = torch.zeros(values + width, dtype=torch.float64)
    penalty[values:] = 2 * decoder.model.intermediate_l2_coeff
    found = []
    for patch, position in zip(image, decoder.positions, strict=True):
        target = torch.cat(
            [decoder.top.bias.detach() + position, patch - decoder.out.bias.detach()]
        )
        normal = matrix.T @ matrix + torch.diag(penalty)
        found.append(torch.linalg.solve(normal, matrix.T @ target))
    solved = torch.stack(found)
    return solved[:, :values], solved[:, values:]


def test_without_blocks_inference_finds_the_exact_minimum():
    # More latents than width would leave the minimum undetermined.
    decoder = make_decoder(num_blocks=0, hidden_size=32, intermediate_l2_coeff=0.05)
    images = some_patches(3)
    settings = Inference(steps=500, rate=0.3, momentum=0.9, norm_clip=0.0)
    states = infer(decoder, images, settings)
    for index, image in enumerate(images):
        z0, h = exact_minimum(decoder, image)
        assert torch.allclose(states.z0[index], z0, atol=1e-4)
        assert torch.allclose(states.h[0, index], h, atol=1e-4)
        exact = States(z0[None], h[None, None])
        with torch.no_grad():
            least = decoder.energies(exact, image[None]).item()
            reached = decoder.energies(states, images)[index].item()
        assert reached == pytest.approx(least, abs=1e-4)


def test_images_do_not_influence_each_other():
    decoder, images = make_decoder(num_blocks=2), some_patches(4)
    settings = Inference()
    together = infer(decoder, images, settings)
    alone = infer(decoder, images[2:3], settings)
    assert torch.allclose(together.z0[2:3], alone.z0, atol=1e-12)
    assert torch.allclose(together.h[:, 2:3], alone.h, atol=1e-12)


def test_all_blocks_at_once_are_each_block_alone():
    decoder = make_decoder(num_blocks=3)
    states = drawn_states(decoder, 2)
    with torch.no_grad():
        together = decoder.blocks(states.h[:-1], slice(None))
        for block in range(3):
            alone = decoder.blocks(states.h[block : block + 1], slice(block, block + 1))
            assert torch.allclose(together[block], alone[0], atol=1e-12)


def test_a_step_of_inference_is_clipped_for_each_image_and_level():
    decoder, images = make_decoder(num_blocks=1), some_patches(3)
    images[1] *= 100.0
    settings = Inference(steps=1, rate=0.5, momentum=0.0, norm_clip=0.25, rate_factor=2.0)
    before, after = initial_states(decoder, images), infer(decoder, images, settings)
    moved = torch.linalg.vector_norm(after.h - before.h, dim=(-2, -1))
    assert moved[1].tolist() == pytest.approx([0.5 * 0.25] * 3)  # next to the image
    assert not moved[0].any()  # its prediction is met, and so is the one it makes


def test_rates_grow_with_the_distance_from_the_image():
    rates = level_rates(3, Inference(rate=0.1, rate_factor=2.0), torch.zeros(()))
    assert rates.tolist() == pytest.approx([0.8, 0.4, 0.2, 0.1])


def test_patches_are_squares_of_the_image():
    decoder = make_decoder(num_blocks=0)
    image = torch.arange(64.0).view(1, 8, 8, 1)
    patches = decoder.to_patches(image)
    assert patches[0, 1].tolist() == image[0, :4, 4:, 0].flatten().tolist()
    assert torch.equal(decoder.to_images(patches), image)


def test_positions_tell_all_patches_apart():
    found = grid_positions(4, 3, 16)
    assert found.shape == (12, 16)
    assert (torch.cdist(found, found) + torch.eye(12) > 0.1).all()
    assert found.square().sum(1).tolist() == pytest.approx([8.0] * 12, rel=1e-5)
    assert found[3, 0].item() == pytest.approx(math.sin(1.0), rel=1e-6)  # row 1, column 0
