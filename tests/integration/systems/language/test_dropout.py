"""Masks of dropout: as random as they should be, and functions of samples alone."""

import math

import pytest
import torch
from torch import nn

from resweep.systems.language.gpt import GPT
from resweep.systems.language.initialization_section import Initialization
from resweep.systems.language.model_section import Model
from resweep.training.dropout import (
    SampleDropout,
    SampleKeys,
    sample_keys,
    use_sample_dropout,
)

CPU = torch.device("cpu")
ELEMENTS = 4096


def dropout(p: float = 0.3, site: int = 0, words: torch.Tensor | None = None) -> SampleDropout:
    keys = SampleKeys()
    keys.set(sample_keys(1, 0, 8) if words is None else words)
    return SampleDropout(p, site, keys)


def dropped(p: float, site: int, words: torch.Tensor) -> torch.Tensor:
    return dropout(p, site, words).dropped(torch.Size((len(words), ELEMENTS)), CPU)


def model(p: float = 0.3, **changes) -> GPT:
    shape = {"n_layer": 2, "n_head": 2, "n_embd": 16, "context_length": 12, "bias": True}
    made = GPT(Model.model_validate(shape | {"dropout": p} | changes), 61)
    settings = Initialization(init_std=0.2)
    made.initialize(settings, torch.Generator().manual_seed(0))
    return made


def sequences(count: int = 6) -> torch.Tensor:
    return torch.randint(61, (count, 13), generator=torch.Generator().manual_seed(5))


def gradients(made: GPT, words: torch.Tensor, rows: torch.Tensor, cut: int) -> dict:
    made.zero_grad()
    for first in range(0, len(rows), cut):
        if made.sample_keys is not None:
            made.sample_keys.set(words[first : first + cut])
        (made.loss(rows[first : first + cut], "sum") / len(rows)).backward()
    return {name: p.grad.clone() for name, p in made.named_parameters()}


# One mask


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
def test_the_share_of_zeros_is_p(p):
    masks = dropped(p, 3, sample_keys(7, 0, 256)).double()
    error = math.sqrt(p * (1 - p) / masks.numel())
    assert masks.mean().item() == pytest.approx(p, abs=4 * error)
    # Rows, and columns over the rows, spread as independent draws do: by 1 in standard errors.
    for dim in (0, 1):
        shares = masks.mean(dim)
        spread = shares.var().item() / (p * (1 - p)) * masks.shape[dim]
        assert spread == pytest.approx(1.0, abs=4 * math.sqrt(2 / len(shares)))


def test_what_stays_is_scaled_so_that_the_mean_stays():
    y = dropout(0.2)(torch.ones(8, 50, 40))
    assert set(y.unique().tolist()) == {0.0, 1.25}
    assert y.mean().item() == pytest.approx(1.0, abs=0.02)


def test_gradients_flow_where_values_do():
    x = torch.randn(8, 30, requires_grad=True)
    y = dropout(0.5)(x)
    y.sum().backward()
    assert torch.equal(x.grad, torch.where(y == 0, 0.0, 2.0))


def masks_of_many(what: str) -> torch.Tensor:
    one = sample_keys(1, 0, 1)
    if what == "samples":
        return dropped(0.3, 2, sample_keys(1, 0, 128))
    if what == "sites":
        return torch.cat([dropped(0.3, site, one) for site in range(128)])
    return torch.cat([dropped(0.3, 2, sample_keys(step, 0, 1)) for step in range(128)])


@pytest.mark.parametrize("what", ["samples", "sites", "steps"])
def test_masks_are_independent(what):
    masks = (masks_of_many(what).double() - 0.3) / math.sqrt(0.3 * 0.7)
    pairs = (masks @ masks.T / math.sqrt(ELEMENTS))[~torch.eye(128, dtype=torch.bool)]
    assert pairs.abs().max() < 6  # in standard errors
    assert pairs.var().item() == pytest.approx(1.0, abs=0.06)
    for lag in (1, 2, 8, 64, 1024):
        together = (masks[:, lag:] * masks[:, :-lag]).sum() / math.sqrt(128 * (ELEMENTS - lag))
        assert abs(together.item()) < 4.5


def by_hand(seed: int, row: int, site: int, element: int, p: float) -> bool:
    """Whether an element is dropped: the formulas in Python's own integers."""
    low, full = 2**32 - 1, 2**64 - 1
    key = (seed + (row + 1) * 0x9E3779B97F4A7C15) & full
    key = (key ^ (key >> 30)) * 0xBF58476D1CE4E5B9 & full
    key = (key ^ (key >> 27)) * 0x94D049BB133111EB & full
    key ^= key >> 31
    x = element ^ (((key & low) + site * 0x9E3779B9) & low)
    x = (x ^ (x >> 16)) * 0x7FEB352D & low
    x ^= (key >> 32) ^ (site * 0x846CA68B & low)
    x = (x ^ (x >> 15)) * 0x846CA68B & low
    return (x ^ 2**31) < p * 2**32  # as signed numbers are ordered


@pytest.mark.parametrize("seed", [0, 9, 2**62 + 5, 2**63 - 1])
@pytest.mark.parametrize("site", [0, 4, 200])
def test_masks_are_those_of_the_formulas(seed, site):
    """Other masks are other numbers: raise DROPOUT_RECIPE in resweep/store/identity.py."""
    mask = dropout(0.4, site, sample_keys(seed, 2, 3)).dropped(torch.Size((3, 5, 8)), CPU)
    expected = [[by_hand(seed, row, site, e, 0.4) for e in range(40)] for row in (2, 3, 4)]
    assert mask.flatten(1).tolist() == expected


def test_in_evaluations_and_at_zero_nothing_happens():
    x = torch.randn(3, 4)
    assert SampleDropout(0.5, 0, SampleKeys()).eval()(x) is x
    assert SampleDropout(0.0, 0, SampleKeys())(x) is x


@pytest.mark.parametrize("count", [0, 1, 5])
def test_without_the_keys_of_its_samples_it_refuses(count):
    keys = SampleKeys()
    if count:
        keys.set(sample_keys(0, 0, count))
    with pytest.raises(RuntimeError, match="3 samples"):
        SampleDropout(0.5, 0, keys)(torch.ones(3, 4))


def test_generators_of_torch_are_neither_read_nor_moved():
    made, words, rows = model(), sample_keys(1, 0, 6), sequences()
    torch.manual_seed(1)
    first = gradients(made, words, rows, 6)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = gradients(made, words, rows, 6)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], second[name]) for name in first)


# However a batch is cut


def test_keys_are_those_of_the_rows_of_the_global_batch():
    whole = sample_keys(11, 0, 9)
    assert torch.equal(sample_keys(11, 4, 3), whole[4:7])
    assert len(torch.cat([whole, sample_keys(12, 0, 9)]).unique(dim=0)) == 18


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_gradients_are_the_same_for_every_cut(cut):
    made, words, rows = model(), sample_keys(1, 0, 6), sequences()
    whole, parts = gradients(made, words, rows, 6), gradients(made, words, rows, cut)
    for name, gradient in whole.items():
        torch.testing.assert_close(parts[name], gradient, atol=1e-6, rtol=1e-4)


def test_masks_follow_their_samples_when_rows_change_places():
    made, words, rows = model(), sample_keys(1, 0, 6), sequences()
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    made.sample_keys.set(words)
    logits = made(rows[:, :-1])
    made.sample_keys.set(words[order])
    torch.testing.assert_close(made(rows[order, :-1]), logits[order])


def test_keys_of_equal_number_keep_their_address():
    keys = SampleKeys()
    keys.set(sample_keys(1, 0, 4))
    before = keys.words
    keys.set(sample_keys(2, 0, 4))
    assert keys.words is before
    assert torch.equal(before, sample_keys(2, 0, 4))


# In the GPT


def test_explicit_attention_is_the_fused_one():
    """With a probability that rounds to no element at all."""
    nearly, none = model(1e-12), model(0.0)
    nearly.sample_keys.set(sample_keys(1, 0, 6))
    torch.testing.assert_close(nearly.loss(sequences()), none.loss(sequences()))


def test_every_site_of_the_model_has_masks_of_its_own():
    sites = [part.site for part in model(n_layer=3).modules() if isinstance(part, SampleDropout)]
    assert sorted(sites) == list(range(10))


@pytest.mark.parametrize("p", [0.0, 0.3])
def test_blocks_that_are_recomputed_give_the_same_gradients_bit_for_bit(p):
    kept, recomputed, words, rows = model(p), model(p), sample_keys(1, 0, 6), sequences()
    recomputed.checkpoint_blocks(True)
    runs = []
    recomputed.transformer.h[1].register_forward_pre_hook(lambda *_: runs.append(1))
    expected, found = gradients(kept, words, rows, 3), gradients(recomputed, words, rows, 3)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert len(runs) == 4  # of two micro-batches, forward and again in backward
    recomputed.checkpoint_blocks(False)
    gradients(recomputed, words, rows, 6)
    assert len(runs) == 5


@pytest.mark.long
@pytest.mark.parametrize("recompute", [False, True])
def test_compiled_masks_are_those_of_eager(recompute):
    made, words, rows = model(), sample_keys(1, 0, 6), sequences()
    expected = gradients(made, words, rows, 6)
    made.checkpoint_blocks(recompute)
    made.loss = torch.compile(made.loss)
    for name, gradient in gradients(made, words, rows, 6).items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=1e-4)


@pytest.mark.long
def test_compiled_bits_are_those_of_eager():
    torch.compiler.reset()
    layer, shape = dropout(0.3, 5), torch.Size((8, 33, 7))
    compiled = torch.compile(lambda: layer.dropped(shape, CPU))
    assert torch.equal(compiled(), layer.dropped(shape, CPU))
    layer.keys.set(sample_keys(2, 0, 8))
    assert torch.equal(compiled(), layer.dropped(shape, CPU))


# In models of others


def test_every_dropout_of_a_module_is_replaced_in_the_order_of_names():
    def branch() -> nn.Sequential:
        return nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.ReLU(), nn.Dropout(0.1))

    made = nn.ModuleDict({"b": branch(), "a": branch()})
    names = set(made.state_dict())
    keys = use_sample_dropout(made)
    found = {
        name: (part.site, part.p)
        for name, part in made.named_modules()
        if isinstance(part, SampleDropout)
    }
    assert found == {"a.1": (0, 0.5), "a.3": (1, 0.1), "b.1": (2, 0.5), "b.3": (3, 0.1)}
    assert set(made.state_dict()) == names
    keys.set(sample_keys(1, 0, 5))
    x = torch.ones(5, 4)
    assert torch.equal(made["a"](x), made["a"](x))
    assert not any(part.training for part in made.eval().modules())
