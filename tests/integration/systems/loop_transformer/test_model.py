"""The model against a plain one that is written out for three stages."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from resweep.systems.loop_transformer.loss import stablemax_cross_entropy
from resweep.systems.loop_transformer.model import LoopTransformer, Network
from resweep.systems.loop_transformer.sections import THREE_STAGES, Arch, Stage

WIDTH, HEADS, CELLS, ROWS = 16, 2, 16, 3


def network(**fields: object) -> Network:
    made = Network(Arch(hidden_size=WIDTH, num_heads=HEADS, **fields), 4)  # type: ignore[arg-type]
    made.initialize(torch.Generator().manual_seed(0))
    return made


def question() -> Tensor:
    return torch.randint(1, 6, (ROWS, CELLS), generator=torch.Generator().manual_seed(1))


def norm(x: Tensor) -> Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()


def turned(x: Tensor) -> Tensor:
    """Rotary positions as products of complex numbers: (rows, cells, heads, width of a head)."""
    half = x.shape[-1] // 2
    pairs = torch.complex(x[..., :half], x[..., half:])
    rates = 10_000.0 ** (-torch.arange(half) / half)
    angles = torch.outer(torch.arange(CELLS), rates)[None, :, None]
    pairs = pairs * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([pairs.real, pairs.imag], -1)


def plain_layer(weights: dict[str, Tensor], h: Tensor) -> Tensor:
    """One layer by its formulas, a row and a head at a time."""
    q, k, v = (h @ weights["qkv.weight"].T).view(ROWS, CELLS, 3, HEADS, -1).unbind(2)
    q, k = turned(q), turned(k)
    attended = torch.empty_like(v)
    for row in range(ROWS):
        for head in range(HEADS):
            scores = q[row, :, head] @ k[row, :, head].T / math.sqrt(q.shape[-1])
            attended[row, :, head] = scores.softmax(-1) @ v[row, :, head]
    h = norm(h + attended.reshape(ROWS, CELLS, WIDTH) @ weights["out.weight"].T)
    gate, up = (h @ weights["gate_up.weight"].T).chunk(2, -1)
    return norm(h + (F.silu(gate) * up) @ weights["down.weight"].T)


def plain_forward(model: Network, tokens: Tensor, cycles: int) -> tuple[Tensor, Tensor]:
    """The document's three stages, written out."""
    layer = {k: v.detach() for k, v in model.layers[0][0].named_parameters()}  # type: ignore[index]
    start = {
        name: v.detach().expand(ROWS, CELLS, -1)
        for name, v in zip(model.states, model.initial, strict=True)
    }
    low, mid, high = start["z_L"], start["z_M"], start["z_H"]
    assert model.places is not None
    x = math.sqrt(WIDTH) * (model.embedding.weight[tokens] + model.places).detach()
    for _ in range(cycles):
        for _ in range(3):
            low = plain_layer(layer, low + x + high)
        for _ in range(2):
            mid = plain_layer(layer, mid + x + low)
        high = plain_layer(layer, high + mid)
    return high @ model.answer.weight.detach().T, high


def test_a_forward_is_the_three_stages_written_out() -> None:
    model = network()
    with torch.no_grad():
        model.halt.weight.fill_(0.1)
        states, logits, halt = model(model.begin(ROWS, CELLS), question())
    expected, high = plain_forward(model, question(), cycles=3)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
    where = model.states.index("z_H")
    torch.testing.assert_close(states[:, where], high, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(halt, 0.1 * high.mean(1).sum(-1) - 5, atol=1e-4, rtol=1e-4)


def test_a_stage_with_repeat_0_is_as_if_it_were_not_there() -> None:
    skipped = tuple(
        stage.model_copy(update={"repeat": 0}) if stage.target == "z_M" else stage
        for stage in THREE_STAGES
    )
    without = (THREE_STAGES[0], THREE_STAGES[2])
    states = [{"name": "z_L"}, *({"name": n, "share_weights_with": "z_L"} for n in ("z_M", "z_H"))]
    found = []
    for stages in (skipped, without):
        model = network(stages=stages, states=states)
        found.append(model(model.begin(ROWS, CELLS), question())[1])
    assert torch.equal(*found)
    assert not torch.equal(found[0], network()(network().begin(ROWS, CELLS), question())[1])


def test_only_the_last_cycles_have_gradients() -> None:
    """Of a state that the last cycle alone reads, the gradient ends at its begin."""
    for free, depends in ((0, True), (1, False)):
        model = network(outer_cycles=2, no_grad_cycles=free)
        start = model.begin(ROWS, CELLS).clone().requires_grad_(True)
        _, logits, _ = model(start, question())
        logits.sum().backward()
        assert (start.grad is not None and bool(start.grad.abs().sum() > 0)) is depends
        assert all(p.grad is not None for p in model.layers.parameters())


def test_without_a_gradient_the_numbers_are_the_same() -> None:
    found = []
    for free in (0, 1, 2):
        model = network(no_grad_cycles=free)
        found.append(model(model.begin(ROWS, CELLS), question())[1])
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def test_inputs_reach_only_stages_that_include_them() -> None:
    stages = (Stage(target="z", include_inputs=False, repeat=2),)
    model = network(stages=stages)
    blind = model(model.begin(ROWS, CELLS), question())[1]
    assert torch.allclose(blind, blind[:1].expand_as(blind))
    model = network(stages=(stages[0].model_copy(update={"include_inputs": True}),))
    seen = model(model.begin(ROWS, CELLS), question())[1]
    assert not torch.allclose(seen, seen[:1].expand_as(seen))


def test_with_one_digit_everywhere_only_learned_positions_tell_cells_apart() -> None:
    """All values that attention averages are equal then, whatever its weights."""
    for learned, equal in ((False, True), (True, False)):
        model = network(learned_positions=learned)
        logits = model(model.begin(1, CELLS), torch.ones(1, CELLS, dtype=torch.int64))[1]
        assert torch.allclose(logits, logits[:, :1].expand_as(logits), atol=1e-5) is equal


def test_states_with_own_layers_use_them() -> None:
    states = [{"name": "z_L", "layers": 2}, {"name": "z_M"}, {"name": "z_H"}]
    model = network(states=states)
    before = model(model.begin(ROWS, CELLS), question())[1]
    with torch.no_grad():
        model.layers[1][0].down.weight.mul_(2)  # type: ignore[index,union-attr]
    assert not torch.equal(model(model.begin(ROWS, CELLS), question())[1], before)
    assert len(model.layers) == 3


def test_states_may_be_called_as_torch_calls_its_own() -> None:
    names = ("update", "values", "training", "forward")
    stages = tuple(Stage(target=name, include_inputs=True) for name in names)
    model = network(stages=stages)
    assert model.states == sorted(names)
    assert model(model.begin(ROWS, CELLS), question())[1].isfinite().all()


def test_there_are_no_biases_but_that_of_halting() -> None:
    model = network()
    assert [name for name, p in model.named_parameters() if "bias" in name] == ["halt.bias"]
    assert model.halt.bias.item() == -5


def test_averages_follow_the_weights_at_their_rate() -> None:
    model = LoopTransformer(Arch(hidden_size=WIDTH, num_heads=HEADS), 4, averaged=True)
    model.network.initialize(torch.Generator().manual_seed(0))
    model.start_average()
    before = model.network.answer.weight.detach().clone()
    with torch.no_grad():
        model.network.answer.weight.add_(1.0)
    model.update_average(0.75)
    torch.testing.assert_close(model.measured.answer.weight, before + 0.25)
    assert not any(p.requires_grad for p in model.measured.parameters())


@pytest.mark.parametrize("x", [[0.0, 0.0], [1.0, -1.0], [3.0, 1.0], [-1e4, 2e6], [1e300, -1e300]])
def test_stablemax_is_its_formula_and_does_not_overflow(x: list[float]) -> None:
    def s(value: float) -> float:
        return value + 1 if value >= 0 else 1 / (1 - value)

    logits = torch.tensor([x], dtype=torch.float64, requires_grad=True)
    found = stablemax_cross_entropy(logits, torch.tensor([0]))
    expected = -math.log(s(x[0]) / sum(map(s, x)))
    assert found.item() == pytest.approx(expected) and found.dtype is torch.float64
    found.sum().backward()
    assert logits.grad is not None and bool(logits.grad.isfinite().all())
