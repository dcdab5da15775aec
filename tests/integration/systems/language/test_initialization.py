"""How weights start, and what muP makes of the width."""

import math
from collections import defaultdict

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from resweep.systems.language.gpt import GPT
from resweep.systems.language.initialization import draw_matrices
from resweep.systems.language.initialization_section import Initialization
from resweep.systems.language.model_section import Model
from resweep.training.optimizer import AdamW, parameter_groups

VOCABULARY = 61


def settings(**changes) -> Initialization:
    return Initialization.model_validate(changes)


def make(width: int = 128, n_layer: int = 2, seed: int = 0, **changes) -> GPT:
    shape = {"n_layer": n_layer, "n_head": width // 16, "n_embd": width, "context_length": 16}
    model = GPT(Model.model_validate(shape), VOCABULARY)
    model.initialize(settings(**changes), torch.Generator().manual_seed(seed))
    return model


def matrices(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach() for name, p in model.named_parameters() if p.dim() == 2}


def spread(model: GPT, name: str) -> float:
    found = [p.std().item() for n, p in matrices(model).items() if n.endswith(name + ".weight")]
    assert found
    return sum(found) / len(found)


# Types


def test_normal_is_that_of_gpt2():
    model = make(n_layer=4, init_std=0.05)
    for name in ("wte", "wpe", "c_attn", "c_fc"):
        assert spread(model, name) == pytest.approx(0.05, rel=0.05), name
    assert spread(model, "c_proj") == pytest.approx(0.05 / math.sqrt(8), rel=0.03)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            assert (parameter == (1.0 if name.endswith("weight") else 0.0)).all(), name


def test_gaussian_is_alike_everywhere_with_a_mean():
    model = make(init_type="gaussian", init_std=0.05, init_mean=0.01)
    for name, matrix in matrices(model).items():
        assert matrix.std().item() == pytest.approx(0.05, rel=0.05), name
        error = 0.05 / math.sqrt(matrix.numel())
        assert matrix.mean().item() == pytest.approx(0.01, abs=4 * error), name


@pytest.mark.parametrize(
    ("init_type", "asked", "scaled"),
    [
        ("normal", None, True),
        ("normal", False, False),
        ("gaussian", None, False),
        ("gaussian", True, True),
    ],
)
def test_whether_residual_projections_are_scaled_can_be_asked_for(init_type, asked, scaled):
    model = make(init_type=init_type, scale_residual=asked)
    expected = 0.02 / (2 if scaled else 1)
    assert spread(model, "c_proj") == pytest.approx(expected, rel=0.05)


def test_normal_has_no_mean():
    with pytest.raises(ValidationError, match=r"init_mean = 0\.1 .*init_type: gaussian"):
        settings(init_mean=0.1)


def test_names_of_transformers_models_are_known():
    """Llama's, and a matrix of three dimensions as experts are stacked."""
    shape, generator = (200, 200), torch.Generator().manual_seed(0)
    names = {
        "model.embed_tokens.weight": 1.0,
        "model.layers.0.self_attn.q_proj.weight": 0.5,
        "model.layers.0.self_attn.o_proj.weight": 0.25,
        "model.layers.0.mlp.down_proj.weight": 0.25,
        "model.layers.0.mlp.experts.down_proj": 0.25,
        "lm_head.weight": 1.0,
    }
    parameters = {name: torch.empty(shape) for name in names}
    parameters["model.layers.0.mlp.experts.down_proj"] = torch.empty(3, *shape)
    norm = parameters["model.norm.weight"] = torch.full((200,), 7.0)
    draw_matrices(parameters.items(), settings(init_std=1.0), 2, generator, 4.0)
    for name, expected in names.items():
        assert parameters[name].std().item() == pytest.approx(expected, rel=0.03), name
    assert (norm == 7.0).all()


# muP


def test_at_the_base_width_nothing_changes():
    base, plain = make(64, mup_base_width=64), make(64)
    for a, b in zip(base.parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b)
    scales = base.lr_scales(settings(mup_base_width=64))
    assert parameter_groups(base, 0.1, scales) == parameter_groups(plain, 0.1)


def test_at_four_times_the_base_width():
    model, plain = make(256, mup_base_width=64), make(256)
    for name in ("c_attn", "c_fc", "c_proj"):
        assert spread(model, name) == pytest.approx(spread(plain, name) / 2), name
    for name in ("wte", "wpe"):
        assert spread(model, name) == spread(plain, name)
    assert (model.transformer.ln_f.weight == 0.25).all()
    scales = model.lr_scales(settings(mup_base_width=64))
    assert set(scales.values()) == {0.25}
    assert {name.rpartition("h.")[2].partition(".")[2] for name in scales if ".h." in name} == {
        "attn.c_attn.weight",
        "attn.c_proj.weight",
        "mlp.c_fc.weight",
        "mlp.c_proj.weight",
    }
    others = {name for name in scales if ".h." not in name}
    assert others == {"transformer.ln_f.weight", "transformer.ln_f.bias"}


def test_groups_partition_what_is_trained_and_take_off_alike():
    model = make(256)
    groups = parameter_groups(model, 0.1, model.lr_scales(settings(mup_base_width=64)))
    names = [name for group in groups for name in group.names]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    assert sorted((g.lr_scale, g.weight_decay * g.lr_scale) for g in groups) == [
        (0.25, 0.0),
        (0.25, pytest.approx(0.1)),
        (1.0, 0.0),
        (1.0, 0.1),
    ]


def test_the_last_norm_is_a_multiplier_of_the_logits():
    """Trained at a quarter of the rate, from a quarter: a quarter of the logits, step by step."""

    class Scaled(GPT):
        def forward(self, tokens):
            return super().forward(tokens) / 4

    shape = Model(n_layer=1, n_head=2, n_embd=32, context_length=16)
    ours, theirs = GPT(shape, VOCABULARY), Scaled(shape, VOCABULARY)
    ours.initialize(settings(init_std=0.2, mup_base_width=8), torch.Generator().manual_seed(0))
    theirs.load_state_dict(ours.state_dict())
    nn.init.ones_(theirs.transformer.ln_f.weight)
    scales = ours.lr_scales(settings(mup_base_width=8))
    without_norm = {name: scale for name, scale in scales.items() if "ln_f" not in name}
    losses = []
    for model, lr_scales in ((ours, scales), (theirs, without_norm)):
        groups = parameter_groups(model, 0.1, lr_scales)
        optimizer = AdamW(model, groups, beta1=0.9, beta2=0.95, eps=1e-15)
        losses.append(train(model, optimizer, steps=8, rate=3e-3))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert losses[0][-1] < losses[0][0] - 0.1


def sequences(count: int = 8) -> torch.Tensor:
    return torch.randint(VOCABULARY, (count, 17), generator=torch.Generator().manual_seed(5))


def train(model: GPT, optimizer: AdamW, steps: int, rate: float) -> list[float]:
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model.loss(sequences())
        loss.backward()
        optimizer.step(rate)
        losses.append(loss.item())
    return losses


def changes_of_coordinates(width: int, base: int | None) -> dict[str, float]:
    """How far each activation's coordinates move in six steps: root mean square, over seeds."""
    found: dict[str, list[float]] = defaultdict(list)
    for seed in range(3):
        given = {"init_std": 0.1, "mup_base_width": base}
        model = make(width, seed=seed, **given)
        before = activations(model)
        groups = parameter_groups(model, 0.0, model.lr_scales(settings(**given)))
        optimizer = AdamW(model, groups, beta1=0.9, beta2=0.95, eps=1e-12)
        train(model, optimizer, steps=6, rate=1e-2)
        for name, value in activations(model).items():
            found[name].append((value - before[name]).pow(2).mean().item())
    return {name: math.sqrt(sum(squares) / len(squares)) for name, squares in found.items()}


@torch.no_grad()
def activations(model: GPT) -> dict[str, torch.Tensor]:
    """The output of every part of every block, and the logits."""
    seen: dict[str, torch.Tensor] = {}
    hooks = [
        part.register_forward_hook(lambda _m, _i, out, name=name: seen.__setitem__(name, out))
        for name, part in model.named_modules()
        if name.endswith((".attn", ".mlp", ".c_attn", ".c_fc"))
    ]
    seen["logits"] = model(sequences()[:, :-1])
    for hook in hooks:
        hook.remove()
    return seen


WIDTHS = (32, 64, 128, 256)


def slopes(base: int | None) -> dict[str, float]:
    """Exponents with which changes of coordinates grow with the width."""
    by_width = [changes_of_coordinates(width, base) for width in WIDTHS]
    x = torch.tensor(WIDTHS).double().log()
    x -= x.mean()
    found = {}
    for name in by_width[0]:
        y = torch.tensor([values[name] for values in by_width]).double().log()
        found[name] = ((x * y).sum() / (x * x).sum()).item()
    return found


def test_coordinates_move_alike_at_all_widths_with_mup_and_not_without():
    """The coordinate check of Yang et al. 2022, appendix D.1."""
    with_mup, without = slopes(32), slopes(None)
    assert {name: slope for name, slope in with_mup.items() if abs(slope) > 0.25} == {}
    assert {name: slope for name, slope in without.items() if slope < 0.4} == {}
