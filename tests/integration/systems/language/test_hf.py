"""Models of transformers: trained, written, read again, continued from, and with adapters.

Nothing is downloaded: all models are small and random.
"""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.data.store import Prepared
from resweep.errors import ConfigError, StoreError
from resweep.jobs.options import JobOptions
from resweep.jobs.train_trial import train_trial
from resweep.json_files import read_json, write_json
from resweep.paths import Layout
from resweep.store import checkpoints as checkpoint
from resweep.store.advance import advance
from resweep.store.attempts import Attempts
from resweep.store.identity import identity, resolve, run_id
from resweep.store.parent import fetch_parent, find_parent, require_parent
from resweep.store.run import Run
from resweep.study.schema import Resources
from resweep.systems.language.build import build_model, check_model
from resweep.systems.language.folder import weight_files
from resweep.systems.language.model_section import Model
from resweep.systems.language.size import count_parameters
from resweep.training.dropout import SampleDropout, sample_keys
from resweep.training.gradient_learner import GradientLearner
from resweep.trials.trial import Trial
from tests.support.asked import ask, run_of
from tests.support.language import SYSTEM
from tests.support.learners import make_learner
from tests.support.needs import trial_needs
from tests.support.tiny import BASE, LANGUAGE, prepare

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", **SMALL},
    "llama-tied": {"model_type": "llama", **SMALL, "tie_word_embeddings": True},
    "gpt2": {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64},
    "qwen2": {"model_type": "qwen2", **SMALL},
    "mixtral": {"model_type": "mixtral", **SMALL, "num_local_experts": 3},
    "qwen3": {"model_type": "qwen3", **SMALL, "head_dim": 8, "tie_word_embeddings": True},
}
OPT = {
    "model_type": "opt",
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "ffn_dim": 48,
    "word_embed_proj_dim": 32,
}
GPT_SHAPE = {"model.n_layer": 2, "model.n_head": 2, "model.n_embd": 32}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("data"))


@pytest.fixture
def layout(tmp_path) -> Layout:
    return Layout(tmp_path / "results")


def configure(data: Prepared, layout: Layout, changes: dict[str, Any]) -> dict[str, Any]:
    """A resolved configuration; `changes` are flat, `model.config` may be a mapping."""
    base = {k: v for k, v in BASE.items() if not k.startswith("model.n_")}
    flat = base | {"training.max_steps": 6} | changes
    full, problems = compose.validate(Composed(nest(flat), {}), "test", LANGUAGE)
    assert not problems, "\n".join(map(str, problems))
    return resolve(full, data, layout)


def section(config: dict[str, Any]) -> Model:
    """Return the `model` section of a configuration."""
    return Model.model_validate(config["model"])


def hf(config: str | dict[str, Any] = "llama", **changes: Any) -> dict[str, Any]:
    given = CONFIGS[config] if isinstance(config, str) else config
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return {"model.kind": "hf", "model.config": given, **named}


def from_weights(folder: Path | str, **changes: Any) -> dict[str, Any]:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return {"model.kind": "hf", "model.name_or_path": str(folder), **named}


def trained(config: dict[str, Any], data: Prepared, steps: int = 3) -> GradientLearner:
    learner = make_learner(config, data)
    learner.begin()
    for _ in range(steps):
        learner.train_step()
    return learner


def save(learner: GradientLearner, folder: Path) -> Path:
    checkpoint.write_checkpoint(folder, learner.snapshot().write, lambda: None)
    return folder


def state_of(learner: GradientLearner) -> dict[str, Tensor]:
    weights, moments = learner.engine.state()
    return weights | moments


def logits_of_ours(learner: GradientLearner, tokens: Tensor) -> Tensor:
    learner.objective.model.eval()
    with torch.no_grad():
        found: Tensor = learner.objective.model(tokens)
    learner.objective.model.train()
    return found


def logits_of_folder(folder: Path, tokens: Tensor) -> Tensor:
    from transformers import AutoModelForCausalLM

    with torch.no_grad():
        found: Tensor = AutoModelForCausalLM.from_pretrained(folder).eval()(tokens).logits
    return found


def tokens() -> Tensor:
    return torch.randint(257, (2, 16), generator=torch.Generator().manual_seed(5))


def theirs(folder: Path, kind: str = "llama", seed: int = 0, **how: Any) -> Path:
    """A random model as transformers writes it; its biases and norms have values of their own."""
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    given = dict(CONFIGS[kind])
    torch.manual_seed(seed)
    config = CONFIG_MAPPING[given.pop("model_type")](**given, vocab_size=300)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder, **how)
    return folder


# From a config


@pytest.mark.parametrize("kind", CONFIGS)
def test_transformers_loads_what_was_trained(kind, data, layout, tmp_path):
    config = configure(data, layout, hf(kind))
    learner = trained(config, data)
    before, after = learner.evaluate(), save(learner, tmp_path / "checkpoint_3")
    assert before["val/loss"] < math.log(257) - 0.1  # it learns
    ours = logits_of_ours(learner, tokens())
    torch.testing.assert_close(ours, logits_of_folder(after, tokens()), atol=1e-6, rtol=1e-6)
    again = make_learner(config, data)
    again.load(after)
    kept = state_of(again)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in state_of(learner).items())
    whole = trained(config, data, 5)
    again.train_step()
    again.train_step()
    assert all(torch.equal(tensor, state_of(again)[n]) for n, tensor in state_of(whole).items())


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_no_token_sees_those_after_it(kind, dropout, data, layout):
    model = build_model(section(configure(data, layout, hf(kind, model__dropout=dropout))))
    sequence, changed = tokens(), tokens()
    changed[:, 10:] = (changed[:, 10:] + 1) % 257
    found = []
    for part in (sequence, changed):
        if model.sample_keys is not None:
            model.sample_keys.set(sample_keys(0, 0, 2))
        found.append(model(part))
    torch.testing.assert_close(found[0][:, :10], found[1][:, :10])
    assert not torch.allclose(found[0][:, 10:], found[1][:, 10:])


def test_parameters_have_transformers_names(data, layout):
    from transformers import AutoConfig, AutoModelForCausalLM

    config = configure(data, layout, hf("qwen3"))
    plain = AutoConfig.for_model(**CONFIGS["qwen3"], vocab_size=257)
    known = [name for name, _ in AutoModelForCausalLM.from_config(plain).named_parameters()]
    model = build_model(section(config))
    assert [name for name, _ in model.named_parameters()] == known
    assert not any(name.startswith("lm_head") for name in known)
    assert model.hf.config._attn_implementation == "sdpa"
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_weights_follow_the_seed_and_the_spread_asked_for(data, layout):
    def matrices(**changes):
        torch.manual_seed(torch.seed())  # which tells nothing
        given = hf("llama", initialization__init_std=0.05, **changes)
        model = make_learner(configure(data, layout, given), data).objective.model
        return {name: p.detach() for name, p in model.named_parameters()}

    first, second, other = matrices(), matrices(), matrices(training__seed=8)
    assert all(torch.equal(first[name], second[name]) for name in first)
    for name, parameter in first.items():
        if parameter.dim() == 1:
            assert (parameter == 1).all(), name  # norms
            continue
        assert not torch.equal(parameter, other[name])
        residual = name.endswith(("o_proj.weight", "down_proj.weight"))
        expected = 0.05 / 2 if residual else 0.05
        assert parameter.std().item() == pytest.approx(expected, rel=0.1), name


def test_gpt2_of_transformers_and_ours_compute_the_same(data, layout, tmp_path):
    folder = theirs(tmp_path / "theirs", "gpt2")
    with_hf = make_learner(configure(data, layout, from_weights(folder)), data)
    start = {"model.kind": "gpt", "run.checkpoint": str(folder), **GPT_SHAPE}
    with_gpt = make_learner(configure(data, layout, start), data)
    for step in range(4):
        for learner in (with_hf, with_gpt):
            learner.train_step() if step else learner.begin()
        losses = [learner.evaluate()["val/loss"] for learner in (with_hf, with_gpt)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    folder = save(with_gpt, tmp_path / "checkpoint_3")
    ours = logits_of_ours(with_gpt, tokens())
    torch.testing.assert_close(ours, logits_of_folder(folder, tokens()), atol=1e-5, rtol=1e-5)


def test_dropout_is_the_models_one_setting(data, layout):
    config = configure(data, layout, hf("gpt2", model__dropout=0.25))
    made = build_model(section(config)).hf.config
    assert (made.attn_pdrop, made.embd_pdrop, made.resid_pdrop) == (0.25, 0.25, 0.25)
    assert build_model(section(configure(data, layout, hf("gpt2")))).hf.config.attn_pdrop == 0
    with pytest.raises(ConfigError, match=r"model\.config\.attn_pdrop = 0\.1: .*model\.dropout"):
        configure(data, layout, hf({**CONFIGS["gpt2"], "attn_pdrop": 0.1}))


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen3"])
def test_masks_belong_to_samples(kind, data, layout):
    def losses(**changes: Any) -> list[float]:
        given = {"model__dropout": 0.3} | changes
        learner = trained(configure(data, layout, hf(kind, **given)), data, 0)
        found = []
        for _ in range(3):
            learner.train_step()
            found.append(learner.interval_metrics()["train/loss"])
        return found

    whole = losses()
    torch.manual_seed(1)
    torch.rand(7)
    assert losses() == whole
    assert losses(training__max_gpu_batch_size=2) == pytest.approx(whole, abs=1e-5)
    assert losses(training__gradient_checkpointing=True) == pytest.approx(whole, abs=1e-6)
    assert losses(model__dropout=0.0) != pytest.approx(whole, abs=1e-4)
    evaluated = [
        make_learner(configure(data, layout, hf(kind, model__dropout=p)), data).evaluate()
        for p in (0.0, 0.3)
    ]
    assert evaluated[0]["val/loss"] == pytest.approx(evaluated[1]["val/loss"], abs=1e-6)


def test_attention_with_masks_is_the_fused_one_but_for_them(data, layout):
    with_masks = build_model(section(configure(data, layout, hf("llama", model__dropout=0.5))))
    plain = build_model(section(configure(data, layout, hf("llama"))))
    plain.load_state_dict(with_masks.state_dict())
    dropouts = [part for part in with_masks.modules() if isinstance(part, SampleDropout)]
    assert len(dropouts) == 2  # one a layer
    for part in dropouts:
        part.forward = lambda x: x
    torch.testing.assert_close(with_masks(tokens()), plain(tokens()), atol=1e-6, rtol=1e-5)


def test_dropout_that_cannot_be_repeated_is_refused(data, layout):
    build_model(section(configure(data, layout, hf(OPT))))
    with pytest.raises(ConfigError, match=r"model\.dropout\b.*\bopt\b"):
        build_model(section(configure(data, layout, hf(OPT, model__dropout=0.1))))


@pytest.mark.parametrize(("kind", "looked_up"), [("llama", 257 * 32), ("gpt2", 64 * 32)])
def test_flops_by_hand(kind, looked_up, data, layout):
    model = build_model(section(configure(data, layout, hf(kind))))
    counted = sum(parameter.numel() for parameter in model.parameters()) - looked_up
    assert model.flops_per_token() == 6 * counted + 12 * 2 * 32 * 16


@pytest.mark.parametrize("kind", [kind for kind in CONFIGS if kind != "mixtral"])
def test_the_size_is_estimated_without_building(kind, data, layout):
    config = section(configure(data, layout, hf(kind)))
    built = sum(parameter.numel() for parameter in build_model(config).parameters())
    assert 0.8 < count_parameters(config, 257) / built < 1.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "lama"}, r"model\.config\.model_type = 'lama': .* llama\?"),
        ({"model_type": "vit"}, r"model\.config\.model_type = 'vit': .*causal"),
        ({"model_type": "bert"}, r"model\.config\.model_type = 'bert': .*is_decoder"),
        ({"hiden_size": 32}, r"model\.config\.hiden_size = 32: .* hidden_size\?"),
        ({"sparkle": 1}, r"model\.config\.sparkle = 1: .*llama"),
        ({"hidden_size": 30}, r"model\.config: .*transformers\b.*hidden size \(30\)"),
        ({"hidden_size": "wide"}, r"model\.config: .*transformers\b.*hidden_size"),
        ({"max_position_embeddings": 8}, r"context_length = 16: .*\b8\b.*positions"),
    ],
    ids=str,
)
def test_what_transformers_would_not_build_is_refused(changes, message, data, layout):
    base = {} if changes.get("model_type") == "bert" else CONFIGS["llama"]
    config = configure(data, layout, hf({**base, **changes}))
    with pytest.raises(ConfigError, match=message) as caught:
        check_model(section(config), False)
    assert len(str(caught.value).splitlines()) == 1


# Configurations


def problems_of(changes: dict[str, Any]) -> list[str]:
    flat = {"training.max_steps": 6} | changes
    composed = Composed(nest(flat), {})
    problems = compose.check_spelling(composed, "test", LANGUAGE, ())
    problems += compose.validate(composed, "test", LANGUAGE)[1]
    return [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model.kind": "hf"}, ["model.config.model_type", "weights"]),
        (hf(model__n_layer=2), ["n_layer = 2 ", "kind: gpt"]),
        (hf(model__bias=False), ["bias = False ", "kind: gpt"]),
        ({"model.config.hidden_size": 8}, ["config = {'hidden_size': 8} ", "kind: hf"]),
        ({"model.name_or_path": "x"}, ["name_or_path = 'x' ", "kind: hf"]),
        (hf(model__lora_rank=4), ["lora_rank", "weights"]),
        (from_weights("x", model__lora_alpha=4.0), ["lora_alpha = 4.0 ", "lora_rank"]),
        (hf(model__lora_rank=0), ["model.lora_rank = 0", "above 0"]),
        (hf(initialization__mup_base_width=32), ["mup_base_width", "kind: gpt"]),
    ],
    ids=str,
)
def test_fields_that_do_not_fit_each_other_are_refused(changes, words):
    (problem,) = problems_of(changes)
    assert all(word in problem for word in words)


def test_keys_of_the_config_are_set_one_by_one_and_are_no_misspellings():
    assert problems_of(hf({"model_type": "llama", "n_layers": 3, "hidden_sise": 1})) == []
    layers = [
        compose.Layer("model.yaml", {"model": {"kind": "hf", "config": CONFIGS["llama"]}}),
        compose.Layer("sweep", {"model": {"config": {"hidden_size": 64}}}),
    ]
    merged = compose.merge(layers).content["model"]["config"]
    assert merged == {**CONFIGS["llama"], "hidden_size": 64}
    assert compose.coerce("model.config.hidden_size", 64, LANGUAGE) == 64
    named = compose.resolve_name("hidden_size", {"model": {"config": merged}}, LANGUAGE)
    assert named == "model.config.hidden_size"


def test_identity_holds_what_the_kind_has(data, layout):
    named = identity(configure(data, layout, hf("llama")), data)
    assert named["recipe"] == "hf/1"
    assert named["model"] == {
        "kind": "hf",
        "config": CONFIGS["llama"],
        "context_length": 16,
        "vocab_size": 257,
        "dropout": 0.0,
    }
    assert "run" not in named
    wider = configure(data, layout, hf({**CONFIGS["llama"], "hidden_size": 64}))
    assert run_id(wider, data) != run_id(configure(data, layout, hf("llama")), data)


def test_the_vocabulary_is_said_once(data, layout):
    config = configure(data, layout, hf({**CONFIGS["llama"], "vocab_size": 300}))
    assert config["model"]["vocab_size"] == 300
    assert "vocab_size" not in config["model"]["config"]
    same = configure(data, layout, hf("llama", model__vocab_size=300))
    assert run_id(config, data) == run_id(same, data)
    with pytest.raises(ConfigError, match=r"model\.vocab_size = 300: .*\b280\b"):
        configure(data, layout, hf({**CONFIGS["llama"], "vocab_size": 280}, model__vocab_size=300))
    with pytest.raises(ConfigError, match=r"vocab_size = 200: .*\b257\b"):
        configure(data, layout, hf({**CONFIGS["llama"], "vocab_size": 200}))


# From weights


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("llama", "one file"),
        ("llama-tied", "one file"),
        ("qwen3", "shards"),
        ("gpt2", "shards"),
        ("qwen3", "tied stored"),
        ("gpt2", "bin"),
        ("llama", "bin shards"),
    ],
)
def test_a_run_starts_from_weights_that_transformers_made(kind, form, data, layout, tmp_path):
    folder = theirs(tmp_path / "theirs", kind, max_shard_size="20KB" if "shards" in form else "1GB")
    expected = logits_of_folder(folder, tokens())
    _rewrite(folder, form)
    config = configure(data, layout, from_weights(folder))
    assert config["model"]["vocab_size"] == 300
    assert config["model"]["config"]["model_type"] == CONFIGS[kind]["model_type"]
    learner = make_learner(config, data)
    learner.begin()
    torch.testing.assert_close(logits_of_ours(learner, tokens()), expected, atol=1e-6, rtol=1e-6)
    if kind == "gpt2":
        start = {"run.checkpoint": str(folder), **GPT_SHAPE}
        ours = make_learner(configure(data, layout, start), data)
        ours.begin()
        torch.testing.assert_close(logits_of_ours(ours, tokens()), expected, atol=1e-5, rtol=1e-5)


def _rewrite(folder: Path, form: str) -> None:
    """Bring a folder into a form that transformers wrote, or writes, for other models."""
    from safetensors.torch import load_file, save_file

    if form == "tied stored":
        state = load_file(folder / "model.safetensors")
        state["lm_head.weight"] = state["model.embed_tokens.weight"].clone()
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    if "bin" in form:
        for file in list(folder.glob("*.safetensors")):
            name = file.name.replace("model", "pytorch_model").replace(".safetensors", ".bin")
            torch.save(load_file(file), folder / name)
            file.unlink()
        for index in list(folder.glob("*.index.json")):
            text = index.read_text().replace("model-0", "pytorch_model-0")
            text = text.replace(".safetensors", ".bin")
            (folder / "pytorch_model.bin.index.json").write_text(text)
            index.unlink()


def test_gpt_reads_the_names_of_the_first_gpt2_and_fewer_positions(data, layout, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = theirs(tmp_path / "theirs", "gpt2")
    expected = logits_of_folder(folder, tokens())
    state = load_file(folder / "model.safetensors")
    old = {name.removeprefix("transformer."): tensor for name, tensor in state.items()}
    old["h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
    save_file(old, folder / "model.safetensors")
    start = {"run.checkpoint": str(folder), **GPT_SHAPE}
    learner = make_learner(configure(data, layout, start), data)
    learner.begin()
    assert learner.objective.model.transformer.wpe.weight.shape == (16, 32)
    torch.testing.assert_close(logits_of_ours(learner, tokens()), expected, atol=1e-5, rtol=1e-5)
    bare = make_learner(configure(data, layout, start | {"model.bias": False}), data)
    with pytest.raises(ConfigError, match=r"model\.bias: true"):
        bare.begin()


@pytest.mark.parametrize(
    ("there", "changes", "message"),
    [
        ("llama", {}, r"model\.kind = 'gpt': .*'llama'.*kind: hf"),
        ("gpt2", {"model.n_layer": 3}, r"model\.n_layer = 3: .*\b2\b"),
        ("gpt2", {"model.context_length": 128}, r"context_length = 128: .*\b64\b.*positions"),
        ("gpt2", {"model.vocab_size": 301}, r"model\.vocab_size = 301: .*\b300\b"),
        ("gpt2", {"run.weights": "0" * 64}, r"run\.weights = '0+': .*digest"),
    ],
    ids=str,
)
def test_weights_that_do_not_fit_are_refused(there, changes, message, data, layout, tmp_path):
    start = {"run.checkpoint": str(theirs(tmp_path / "theirs", there)), **GPT_SHAPE}
    with pytest.raises(ConfigError, match=message):
        configure(data, layout, start | changes)


def test_another_shape_than_the_weights_is_refused(data, layout, tmp_path):
    folder = theirs(tmp_path / "theirs")
    config = configure(data, layout, from_weights(folder, model__config={"num_hidden_layers": 3}))
    with pytest.raises(ConfigError, match=r"theirs.*model\.layers\.2\."):
        trained(config, data)
    config = configure(data, layout, from_weights(folder, model__config={"intermediate_size": 64}))
    with pytest.raises(ConfigError, match=r"down_proj\.weight .*32x48.*32x64"):
        trained(config, data)
    with pytest.raises(ConfigError, match=r"model_type = 'gpt2': .*'llama'"):
        configure(data, layout, from_weights(folder, model__config={"model_type": "gpt2"}))


def test_a_run_is_named_by_the_weights_and_not_by_their_place(data, layout, tmp_path):
    first = theirs(tmp_path / "first")
    second = Path(shutil.copytree(first, tmp_path / "second"))
    other = theirs(tmp_path / "other", seed=1)
    names = [run_id(configure(data, layout, from_weights(f)), data) for f in (first, second, other)]
    assert names[0] == names[1] != names[2]
    config = configure(data, layout, from_weights(first))
    by_checkpoint = {"model.kind": "hf", "run.checkpoint": str(first)}
    assert run_id(configure(data, layout, by_checkpoint), data) == names[0]
    assert len(identity(config, data)["run"]["weights"]) == 64
    assert resolve(config, data, layout) == config
    assert run_id(configure(data, layout, hf("llama", model__vocab_size=300)), data) != names[0]


def test_the_digest_outlives_the_weights_and_is_not_computed_twice(data, layout, tmp_path):
    folder = theirs(tmp_path / "theirs")
    config = configure(data, layout, from_weights(folder))
    (note,) = {p for p in (layout.root / "weights").iterdir() if str(folder) in p.read_text()}
    known = read_json(note, "")
    write_json(note, known | {"digest": "f" * 64})
    assert configure(data, layout, from_weights(folder))["run"]["weights"] == "f" * 64
    with pytest.raises(StoreError, match=r"theirs.*planned"):
        require_parent(SYSTEM, configure(data, layout, from_weights(folder)))
    write_json(note, known)
    require_parent(SYSTEM, config)
    theirs(folder, seed=1)
    assert configure(data, layout, from_weights(folder))["run"]["weights"] != known["digest"]
    config = configure(data, layout, from_weights(folder))
    shutil.rmtree(folder)
    assert configure(data, layout, from_weights(folder)) == config
    with pytest.raises(StoreError, match=r"theirs: .*\bgone\b.*\bdownload\b"):
        require_parent(SYSTEM, config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run.checkpoint": "0123456789ab"}, r"no run .*0123456789ab\b.*runs\.csv"),
        ({"run.checkpoint": "0123456789ab/7"}, r"no run .*0123456789ab\b"),
        ({"run.checkpoint": "0123456789ab/../x"}, r"0123456789ab/\.\./x .*RUN_ID/STEP"),
        ({"run.checkpoint": "0123456789ab/07"}, r"0123456789ab/07 .*RUN_ID/STEP"),
        ({"run.checkpoint": "nowhere"}, r"nowhere .*RUN_ID/STEP"),
        (from_weights("/no/such"), r"/no/such .*name on the hub"),
        (from_weights("no/such"), r"no/such\b.*\bdownload"),
        (from_weights("../such"), r"such .*name on the hub"),
    ],
    ids=str,
)
def test_weights_that_were_never_there_are_refused(changes, message, data, layout):
    with pytest.raises(StoreError, match=message) as caught:
        configure(data, layout, changes)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_without_a_model_is_refused(data, layout, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match=r"empty\b.*config\.json"):
        configure(data, layout, from_weights(tmp_path / "empty"))


def test_a_name_of_the_hub_that_cannot_be_had_is_one_line(layout, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    asked = {"run": {"checkpoint": None}, "model": {"name_or_path": "no-one/no-such-model"}}
    with pytest.raises(StoreError, match=r"'no-one/no-such-model': ") as one:
        fetch_parent(SYSTEM, asked, layout)
    assert len(str(one.value).splitlines()) == 1


def test_a_run_continues_from_another_runs_checkpoint(data, layout):
    def finish(changes: dict[str, Any]) -> tuple[Run, dict[str, Any]]:
        asked = ask(configure(data, layout, {"training.save_steps": 3} | changes), data)
        record = json.loads(advance(*asked, layout).read_text())
        return run_of(asked, layout), record

    shape = {"model.n_layer": 1, "model.n_head": 2, "model.n_embd": 16}
    first, record = finish(shape)
    last, step = (
        finish(shape | {"run.checkpoint": name})[0] for name in (first.run_id, f"{first.run_id}/3")
    )
    assert len({first.run_id, last.run_id, step.run_id}) == 3
    path = str(first.path / "checkpoint_3")
    assert finish(shape | {"run.checkpoint": path})[0].run_id == step.run_id

    def losses(run: Run) -> list[float]:
        lines = map(json.loads, (run.path / "metrics.jsonl").read_text().splitlines())
        return [line["val/loss"] for line in lines if "val/loss" in line]

    assert losses(last)[0] == losses(first)[-1]  # evaluated before its first step
    assert record["parameters"] == count_parameters(section(configure(data, layout, shape)), 257)
    counters = json.loads((last.path / "checkpoint_3" / "trainer.json").read_text())
    assert (counters["step"], counters["optimizer_steps"]) == (3, 3)


def test_a_run_of_transformers_is_recorded_with_its_parameters(data, layout):
    config = configure(data, layout, hf("llama"))
    record = json.loads(advance(*ask(config, data), layout).read_text())
    built = sum(parameter.numel() for parameter in build_model(section(config)).parameters())
    assert (record["status"], record["parameters"]) == ("finished", built)
    assert "transformers" in record["versions"]


# Adapters


@pytest.mark.parametrize(
    ("kind", "targets"),
    [
        ("llama", None),
        ("llama", "all-linear"),
        ("gpt2", None),
        ("qwen3", ("q_proj", "down_proj")),
        ("gpt2", "all-linear"),
    ],
)
def test_adapters_alone_are_trained(kind, targets, data, layout, tmp_path):
    folder = theirs(tmp_path / "theirs", kind)
    changes = from_weights(folder, model__lora_rank=4, model__lora_targets=targets)
    config = configure(data, layout, changes | {"training.learning_rate": 0.05})
    begun = trained(config, data, 0)
    learner = trained(config, data, 3)
    expected = logits_of_folder(folder, tokens())
    torch.testing.assert_close(logits_of_ours(begun, tokens()), expected, atol=1e-6, rtol=1e-6)
    before, after = begun.engine.state()[0], learner.engine.state()[0]
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    adapters = {name for name in after if ".lora_" in name}
    assert changed == adapters != set()
    moments = {name.partition(".")[2] for name in learner.engine.state()[1]}
    assert moments == adapters

    saved = save(learner, tmp_path / "checkpoint_3")
    ours = logits_of_ours(learner, tokens())
    assert not torch.allclose(ours, expected, atol=1e-3)
    torch.testing.assert_close(ours, logits_of_folder(saved, tokens()), atol=1e-5, rtol=1e-5)
    assert checkpoint.find_damage(saved) is None
    assert "adapter/adapter_model.safetensors" in (saved / "digests.json").read_text()
    torch.testing.assert_close(ours, _with_peft(folder, saved), atol=1e-5, rtol=1e-5)

    whole = trained(config, data, 5)
    again = make_learner(config, data)
    again.load(saved)
    again.train_step()
    again.train_step()
    assert all(torch.equal(tensor, state_of(again)[n]) for n, tensor in state_of(whole).items())

    # The merged weights are a parent like any other, for all weights or for new adapters.
    for more in (changes, from_weights(saved)):
        following = more | {"model.name_or_path": str(saved)}
        start = trained(configure(data, layout, following), data, 0)
        torch.testing.assert_close(logits_of_ours(start, tokens()), ours, atol=1e-5, rtol=1e-5)


def _with_peft(base: Path, saved: Path) -> Tensor:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), saved / "adapter")
    with torch.no_grad():
        found: Tensor = model.eval()(tokens()).logits
    return found


def test_adapters_are_drawn_from_the_seed(data, layout, tmp_path):
    changes = from_weights(theirs(tmp_path / "theirs"), model__lora_rank=4)
    first, second, other = (
        trained(configure(data, layout, changes | {"training.seed": seed}), data, 0)
        for seed in (1, 1, 2)
    )
    assert all(
        torch.equal(t, second.engine.state()[0][n]) for n, t in first.engine.state()[0].items()
    )
    assert any(
        not torch.equal(t, other.objective.model.drawn[n])
        for n, t in first.objective.model.drawn.items()
    )


def test_what_adapters_are_is_part_of_the_run(data, layout, tmp_path):
    folder = theirs(tmp_path / "theirs")
    given: list[dict[str, Any]] = [
        {},
        {"model.lora_rank": 4},
        {"model.lora_rank": 8},
        {"model.lora_rank": 4, "model.lora_alpha": 8.0},
        {"model.lora_rank": 4, "model.lora_dropout": 0.1},
        {"model.lora_rank": 4, "model.lora_targets": ["q_proj"]},
    ]
    configs = [configure(data, layout, from_weights(folder) | changes) for changes in given]
    assert len({run_id(config, data) for config in configs}) == len(given)
    dropped = [trained(configs[4], data, 2).interval_metrics() for _ in range(2)]
    assert dropped[0] == dropped[1]


@pytest.mark.parametrize("targets", ["nothing_of_the_kind", "embed_tokens"])
def test_layers_that_take_no_adapter_are_refused(targets, data, layout, tmp_path):
    folder = theirs(tmp_path / "theirs")
    changes = from_weights(folder, model__lora_rank=4, model__lora_targets=targets)
    with pytest.raises(ConfigError, match=rf"model\.lora_targets = \['{targets}'\]: ") as caught:
        make_learner(configure(data, layout, changes), data)
    assert len(str(caught.value).splitlines()) == 1


# Jobs


def made_up_text(folder: Path) -> dict[str, Any]:
    """Data settings of text that is the same everywhere."""
    folder.mkdir(exist_ok=True)
    sentences = [f"Line {n} says {n * n % 97} and {n * 31 % 89}." for n in range(400)]
    (folder / "text.txt").write_text("\n\n".join(sentences))
    return {
        "data.source": "text",
        "data.paths": [str(folder / "text.txt")],
        "data.documents": "blank_line",
    }


def train_job(changes: dict[str, Any], layout: Layout, tmp_path: Path, name: str = "t"):
    """Train a trial as a job does; returns its record, and whether anything was trained."""
    base = {k: v for k, v in BASE.items() if not k.startswith("model.n_")}
    flat = base | {"training.max_steps": 4} | made_up_text(tmp_path / "text") | changes
    full, problems = compose.validate(Composed(nest(flat), {}), "test", LANGUAGE)
    assert not problems
    record = layout.record("study", "phase", name)
    options = JobOptions(
        results=layout.root,
        device="cpu",
        tracking={"wandb": "disabled", "project": "x", "entity": None},
        lock_timeout=10.0,
    )
    here = train_trial(Trial("study", "phase", name, config=full), record, options)
    return json.loads(record.read_text()), here


def test_a_finished_run_is_served_without_its_weights_to_start_from(layout, tmp_path):
    folder = theirs(tmp_path / "theirs")
    asked = from_weights(folder, model__lora_rank=2)
    first, trained_here = train_job(asked, layout, tmp_path)
    assert (first["status"], trained_here) == ("finished", True)
    shutil.rmtree(folder)
    again, trained_here = train_job(asked, layout, tmp_path, "again")
    assert (again, trained_here) == (first, False)
    with pytest.raises(StoreError, match=r"theirs: .*\bgone\b"):
        train_job(asked | {"training.seed": 9}, layout, tmp_path, "other")


def test_a_config_that_transformers_refuses_is_a_record(layout, tmp_path):
    asked = hf({**CONFIGS["llama"], "hiden_size": 3})
    record, trained_here = train_job(asked, layout, tmp_path)
    assert (record["status"], trained_here) == ("infeasible", False)
    assert " hidden_size?" in record["stop_reason"]
    assert list(layout.runs.glob("*/record.json")) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.dropout": 0.1, "model.config": OPT}, "opt "),
        ({"model.lora_rank": 2, "model.lora_targets": ["q_prj"]}, "q_prj"),
    ],
    ids=["dropout", "lora"],
)
def test_what_only_building_the_model_shows_is_a_record_too(changes, message, layout, tmp_path):
    start = from_weights(theirs(tmp_path / "theirs")) if "model.lora_rank" in changes else {}
    record, trained_here = train_job(hf("llama") | start | changes, layout, tmp_path)
    assert (record["status"], trained_here) == ("infeasible", False)
    assert message in record["stop_reason"]


def test_a_value_that_transformers_trips_over_is_a_record(layout, tmp_path):
    record, _ = train_job(hf({**CONFIGS["llama"], "hidden_act": "foo"}), layout, tmp_path)
    assert record["status"] == "infeasible"
    assert "model.config" in record["stop_reason"] and "KeyError: 'foo'" in record["stop_reason"]


def test_the_checkpoints_that_a_run_has_are_listed(layout):
    for step in (5, 60):
        (layout.run("0123456789ab") / f"checkpoint_{step}").mkdir(parents=True)
    asked = {"run": {"checkpoint": "0123456789ab/7"}, "model": {}}
    with pytest.raises(StoreError, match=r"0123456789ab/7\b.*\b5, 60$"):
        find_parent(SYSTEM, asked, layout)


def test_weights_that_know_other_tokens_are_warned_of(data, layout, tmp_path):
    parent = save(trained(configure(data, layout, hf()), data), tmp_path / "parent")
    (parent / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {"a": 0}}}))
    resolved = configure(data, layout, from_weights(parent))
    warning = SYSTEM.compare_weights(resolved, data)
    assert warning is not None and f"data.tokenizer: {parent}" in warning
    (data.folder / "tokenizer.json").write_text((parent / "tokenizer.json").read_text())
    try:
        assert SYSTEM.compare_weights(resolved, data) is None
    finally:
        (data.folder / "tokenizer.json").unlink()
    assert SYSTEM.compare_weights(configure(data, layout, hf()), data) is None


def test_a_job_asks_for_less_where_weights_are_frozen(layout, tmp_path):
    base = {"training.max_steps": 4, **made_up_text(tmp_path / "text")}
    wide = {**CONFIGS["llama"], "hidden_size": 1024, "intermediate_size": 4096}

    def memory(changes: dict[str, Any]) -> int:
        flat = base | {"model.kind": "hf", "model.config": wide} | changes
        full, problems = compose.validate(Composed(nest(flat), {}), "test", LANGUAGE)
        assert not problems
        return trial_needs(Trial("s", "p", "t", config=full), Resources(), "best", layout).mem_mb

    frozen = {"model.lora_rank": 4, "model.name_or_path": "no/such"}
    assert memory({}) > memory(frozen) > 800
    deep = {"model.config": {**wide, "num_hidden_layers": 4}}
    assert memory(deep) > memory({})


def test_a_checkpoint_that_was_damaged_is_no_start(data, layout):
    shape = {"model.n_layer": 1, "model.n_head": 2, "model.n_embd": 16}
    first = configure(data, layout, shape)
    advance(*ask(first, data), layout)
    name = run_id(first, data)
    following = ask(configure(data, layout, shape | {"run.checkpoint": name}), data)
    weights = layout.run(name) / "checkpoint_6" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(StoreError, match="planned"):
        advance(*following, layout)
    assert Attempts(run_of(following, layout)).all() == []


def test_an_index_may_not_lead_out_of_its_folder(tmp_path):
    index = {"weight_map": {"a": "../secret.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ConfigError, match=r"weight_map = '\.\./secret\.safetensors': "):
        weight_files(tmp_path)
