"""The model against transformers, the optimizer against torch, the schedule against its formula."""

import math

import pytest
import torch
from torch import nn

from resweep.config.training_section import Training
from resweep.errors import ConfigError
from resweep.systems.language.gpt import GPT
from resweep.systems.language.initialization_section import Initialization
from resweep.systems.language.model_section import Model
from resweep.systems.language.size import count_parameters
from resweep.training.dropout import sample_keys
from resweep.training.optimizer import AdamW, clip_gradients, parameter_groups
from resweep.training.schedule import learning_rate, resolve_warmup

VOCABULARY = 61


def shape(**changes) -> Model:
    base = {"n_layer": 3, "n_head": 4, "n_embd": 32, "context_length": 24, "dropout": 0.0}
    return Model.model_validate(base | changes)


def make(init_std: float = 0.1, seed: int = 0, **changes) -> GPT:
    model = GPT(shape(**changes), VOCABULARY)
    settings = Initialization(init_std=init_std)
    model.initialize(settings, torch.Generator().manual_seed(seed))
    return model


def shake(model: GPT) -> None:
    """Give norms and biases values of their own, which they do not have at the start."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))


def tokens(batch: int = 2, length: int = 24) -> torch.Tensor:
    return torch.randint(VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("bias", [True, False])
def test_transformers_computes_the_same_from_a_checkpoint(bias, tmp_path):
    from transformers import AutoModelForCausalLM

    model = make(bias=bias)
    shake(model)
    model.write(model.state_dict(), tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(
            model.eval()(tokens()), theirs.eval()(tokens()).logits, atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize("bias", [True, False])
def test_a_saved_model_is_loaded_bit_for_bit(bias, tmp_path):
    model, other = make(bias=bias), make(seed=1, bias=bias)
    shake(model)
    model.write(model.state_dict(), tmp_path)
    read = other.read(tmp_path)
    assert read.keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, read[name]) for name, tensor in model.state_dict().items())


def test_weights_of_another_shape_are_refused(tmp_path):
    make().write(make().state_dict(), tmp_path)
    with pytest.raises(ConfigError, match=r"c_attn\.bias .*\b96\b.*\b192\b"):
        GPT(shape(n_embd=64), VOCABULARY).read(tmp_path)
    with pytest.raises(ConfigError, match=r"\bh\.3\."):
        GPT(shape(n_layer=4), VOCABULARY).read(tmp_path)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
def test_parameters_are_counted_without_building(bias, layers):
    model = make(bias=bias, n_layer=layers)
    built = sum(parameter.numel() for parameter in model.parameters())
    assert count_parameters(shape(bias=bias, n_layer=layers), VOCABULARY) == built


def test_flops_by_hand():
    model = make()
    parameters = count_parameters(shape(), VOCABULARY) - 24 * 32
    assert model.flops_per_token() == 6 * parameters + 12 * 3 * 32 * 24


def test_weights_start_with_the_spread_asked_for():
    model = make(init_std=0.05, n_embd=128, n_layer=4)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            expected = 0.05 / math.sqrt(8) if name.endswith("c_proj.weight") else 0.05
            assert parameter.std().item() == pytest.approx(expected, rel=0.1), name
            assert abs(parameter.mean().item()) < 0.1 * expected + 1e-3, name
        else:
            assert (parameter == (1.0 if name.endswith("weight") else 0.0)).all(), name
    residual = [name for name, _ in model.named_parameters() if name.endswith("c_proj.weight")]
    assert len(residual) == 8


def test_the_first_loss_is_that_of_guessing():
    sequences = tokens(8, 25)
    assert make(init_std=0.02).loss(sequences).item() == pytest.approx(
        math.log(VOCABULARY), abs=0.1
    )


def test_initialization_follows_the_seed_alone():
    torch.manual_seed(1)
    first = make(seed=4).transformer.wte.weight
    torch.manual_seed(2)
    assert torch.equal(first, make(seed=4).transformer.wte.weight)
    assert not torch.equal(first, make(seed=5).transformer.wte.weight)


def test_no_token_sees_those_after_it():
    model, sequence = make().eval(), tokens(1)
    changed = sequence.clone()
    changed[0, 10:] = (changed[0, 10:] + 1) % VOCABULARY
    with torch.no_grad():
        before, after = model(sequence), model(changed)
    torch.testing.assert_close(before[0, :10], after[0, :10])
    assert not torch.allclose(before[0, 10:], after[0, 10:])


def test_shorter_sequences_are_fine():
    model = make().eval()
    with torch.no_grad():
        torch.testing.assert_close(model(tokens()[:, :5]), model(tokens())[:, :5])


def test_the_loss_is_the_mean_over_predicted_tokens():
    model, sequences = make().eval(), tokens(3, 25)
    log_p = model(sequences[:, :-1]).log_softmax(-1)
    by_hand = -log_p.gather(2, sequences[:, 1:, None]).squeeze(2)
    torch.testing.assert_close(model.loss(sequences), by_hand.mean())
    torch.testing.assert_close(model.loss(sequences, reduction="sum"), by_hand.sum())


def test_dropout_works_in_training_only():
    model, sequences = make(dropout=0.5), tokens(2, 25)
    losses = []
    for step in range(2):
        model.sample_keys.set(sample_keys(step, 0, 2))
        losses.append(model.loss(sequences).item())
    assert losses[0] != losses[1]
    model.eval()
    assert model.loss(sequences) == model.loss(sequences) == make().loss(sequences)


# The optimizer


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_adamw_is_torchs_step_by_step_with_decay_on_matrices(weight_decay):
    ours, theirs = make(), make()
    theirs.load_state_dict(ours.state_dict())
    optimizer = AdamW(ours, parameter_groups(ours, weight_decay), beta1=0.8, beta2=0.9, eps=1e-6)
    matrices = [p for p in theirs.parameters() if p.dim() >= 2]
    others = [p for p in theirs.parameters() if p.dim() < 2]
    reference = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        betas=(0.8, 0.9),
        eps=1e-6,
        fused=True,
    )
    for step in range(5):
        rate = 1e-2 / (step + 1)
        for model in (ours, theirs):
            model.zero_grad()
            model.loss(tokens(2, 25)).backward()
        optimizer.step(rate)
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, atol=1e-7, rtol=1e-6)


def test_weights_without_a_gradient_stay():
    model = make()
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer = AdamW(model, parameter_groups(model, 0.5), beta1=0.9, beta2=0.9, eps=1e-8)
    model.transformer.wpe.weight.grad = torch.ones_like(model.transformer.wpe.weight)
    optimizer.step(0.1)
    changed = [name for name, p in model.named_parameters() if not torch.equal(p, before[name])]
    assert changed == ["transformer.wpe.weight"]
    optimizer.zero_grad()
    assert model.transformer.wpe.weight.grad is None


def test_the_state_of_the_optimizer_continues_bit_for_bit():
    def train(model, optimizer, steps):
        for _ in range(steps):
            optimizer.zero_grad()
            model.loss(tokens(2, 25)).backward()
            optimizer.step(1e-2)

    def adam(model):
        return AdamW(model, parameter_groups(model, 0.1), beta1=0.9, beta2=0.95, eps=1e-8)

    whole, half, rest = make(), make(), make(seed=9)
    whole_adam, half_adam, rest_adam = adam(whole), adam(half), adam(rest)
    train(whole, whole_adam, 4)
    train(half, half_adam, 2)
    rest.load_state_dict(half.state_dict())
    rest_adam.load_state({k: v.clone() for k, v in half_adam.state().items()}, half_adam.steps)
    train(rest, rest_adam, 2)
    for a, b in zip(whole.parameters(), rest.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(KeyError):
        rest_adam.load_state({}, 0)


@pytest.mark.parametrize("max_norm", [0.1, 1.0, 1e6])
def test_clipping_is_torchs(max_norm):
    def parameters():
        torch.manual_seed(0)
        made = [nn.Parameter(torch.zeros(size)) for size in ((4, 3), (7,), (2,))]
        for parameter in made[:2]:
            parameter.grad = torch.randn_like(parameter)
        return made

    ours, theirs = parameters(), parameters()
    norm = clip_gradients(ours, max_norm)
    torch.testing.assert_close(norm, nn.utils.clip_grad_norm_(theirs, max_norm))
    for a, b in zip(ours[:2], theirs[:2], strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_a_norm_of_zero_turns_clipping_off():
    parameter = nn.Parameter(torch.zeros(3))
    parameter.grad = torch.tensor([3.0, 0.0, 4.0])
    assert clip_gradients([parameter], 0.0).item() == 5.0
    assert parameter.grad.tolist() == [3.0, 0.0, 4.0]


# The schedule


def schedule(scheduler: str, **changes) -> Training:
    base = {
        "max_steps": 100,
        "scheduler": scheduler,
        "learning_rate": 2.0,
        "warmup_steps": 10,
        "pct_warmup": None,
        "min_lr_ratio": 0.1,
        "decay_fraction": 0.2,
    }
    return Training(**base | changes)


KINDS = ("constant", "linear", "cosine", "wsd")


@pytest.mark.parametrize("kind", KINDS)
def test_warmup_rises_linearly_and_reaches_the_peak(kind):
    rates = [learning_rate(step, schedule(kind), 100) for step in range(11)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[9] == rates[10] == 2.0
    assert max(learning_rate(step, schedule(kind), 100) for step in range(100)) == 2.0


@pytest.mark.parametrize(
    ("kind", "step", "share"),
    [
        ("constant", 50, 1.0),
        ("constant", 100, 1.0),
        ("linear", 55, 0.55),
        ("linear", 100, 0.1),
        ("cosine", 55, 0.55),
        ("cosine", 32, 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * 22 / 90))),
        ("cosine", 100, 0.1),
        ("wsd", 79, 1.0),
        ("wsd", 80, 1.0),
        ("wsd", 90, 0.55),
        ("wsd", 100, 0.1),
    ],
)
def test_values_after_warmup(kind, step, share):
    assert learning_rate(step, schedule(kind), 100) == pytest.approx(2.0 * share)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("warmup", [0, 1, 99, 100, 500])
def test_the_rate_is_positive_and_never_above_the_peak(kind, warmup):
    rates = [learning_rate(step, schedule(kind, warmup_steps=warmup), 100) for step in range(100)]
    assert all(0 < rate <= 2.0 for rate in rates)
    after = rates[min(warmup, 100) :]
    assert after == sorted(after, reverse=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_one_step_trains_at_its_peak(kind):
    assert learning_rate(0, schedule(kind, warmup_steps=0), 1) == 2.0


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_wsd_may_decay_never_or_always(fraction):
    wanted = schedule("wsd", warmup_steps=0, decay_fraction=fraction)
    rates = [learning_rate(step, wanted, 10) for step in range(10)]
    assert (len(set(rates)) == 1) is (fraction == 0.0)
    assert rates[0] == 2.0


@pytest.mark.parametrize(
    ("warmup", "share", "steps"),
    [
        (None, None, 0),
        (5, None, 5),
        (500, None, 100),
        (None, 0.1, 10),
        (None, 1.0, 100),
        (0, None, 0),
    ],
)
def test_warmup_comes_to_steps(warmup, share, steps):
    assert resolve_warmup(warmup, share, 100) == steps
