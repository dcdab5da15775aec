"""Curvature of any causal model of transformers, from its folder."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from resweep.analysis.checkpoints import find_checkpoints
from resweep.analysis.curvature import curvature
from resweep.analysis.trajectories import analyze_curvature, load
from resweep.errors import ConfigError, StoreError
from resweep.paths import Layout
from resweep.systems.language.tokens import train_bpe

KINDS = {
    "gpt2": {"n_layer": 2, "n_head": 2, "n_embd": 8, "n_positions": 12},
    "llama": {
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "hidden_size": 8,
        "intermediate_size": 16,
        "max_position_embeddings": 12,
    },
}
TEXT = "Each sentence here has some words. This is another one of them! 1 2 3 4 5 6 7 8 9."


def save_model(folder: Path, kind: str, vocab_size: int) -> Path:
    config: Any = AutoConfig.for_model(kind, vocab_size=vocab_size, **KINDS[kind])
    config.bos_token_id = config.eos_token_id = 0
    torch.manual_seed(5)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    return file


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_compared_with_random_weights(kind: str, tmp_path: Path, text: Path) -> None:
    folder = save_model(tmp_path / "model", kind, 257)
    found = find_checkpoints(str(folder), Layout(tmp_path))
    analysis = analyze_curvature(found, Layout(tmp_path), text=text)
    assert (analysis.sentences, analysis.tokens) == (3, 36)  # cut to the context
    assert [one.name for one in analysis.models] == ["untrained", "model"]
    model = load(folder)
    hidden = [
        model(torch.tensor([list(part.encode()[:12])]), output_hidden_states=True).hidden_states
        for part in TEXT.replace("!", ".").replace(". ", ".|").split("|")
    ]
    for place, layer in enumerate(analysis.models[1].layers):
        expected = sum(curvature(states[place][0].detach()).item() for states in hidden) / 3
        assert layer.mean == pytest.approx(expected, abs=1e-3)
    assert analysis.models[0].layers != analysis.models[1].layers


def test_its_own_tokenizer_is_used(tmp_path: Path, text: Path) -> None:
    tokenizer = train_bpe([TEXT] * 3, 270)
    folder = save_model(tmp_path / "model", "gpt2", tokenizer.vocab_size)
    tokenizer.save(folder)
    analysis = analyze_curvature(
        find_checkpoints(str(folder), Layout(tmp_path)), Layout(tmp_path), text=text, sentences=2
    )
    sentences = ["Each sentence here has some words.", "This is another one of them!"]
    assert analysis.tokens == sum(min(12, len(ids)) for ids in tokenizer.encode(sentences))


def test_what_cannot_be_measured_is_one_line(tmp_path: Path, text: Path) -> None:
    layout = Layout(tmp_path)
    small = find_checkpoints(str(save_model(tmp_path / "small", "gpt2", 100)), layout)
    with pytest.raises(StoreError, match="small: the text has token 1"):
        analyze_curvature(small, layout, text=text)
    folder = find_checkpoints(str(save_model(tmp_path / "model", "gpt2", 257)), layout)
    with pytest.raises(ConfigError, match="--text FILE"):
        analyze_curvature(folder, layout)
    text.write_text("Too short. Nothing.")
    with pytest.raises(ConfigError, match=r"text\.txt: has no sentence"):
        analyze_curvature(folder, layout, text=text)
    (tmp_path / "model/model.safetensors").write_bytes(b"damaged")
    with pytest.raises(StoreError, match="model: is not a causal language model"):
        analyze_curvature(folder, layout, text=text)
    with pytest.raises(ConfigError, match="nowhere"):
        find_checkpoints("nowhere", layout)
