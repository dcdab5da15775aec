"""What looks like a key or a password, and what only has such a name."""

import pytest

from resweep.credentials import HIDDEN, find_secrets, is_secret, secrets_of
from resweep.errors import Problem

HEX = "0123456789abcdef" * 2 + "01234567"
HF = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("wandb.api_key", HEX),
        ("WANDB_KEY", HEX),
        ("my_token", f"local-{HEX}"),
        ("note", HF),
        ("note", f"use {HF} for it"),
        ("x", "sk-proj-0123456789abcdefABCDEF"),
        ("x", "sk-ant-api03-0123456789abcdefABCDEF"),
        ("x", "AKIA0123456789ABCDEF"),
        ("x", "ghp_0123456789abcdefABCDEF0123"),
        ("x", "s3://me:secret-word@host/bucket"),
        ("database.password", "short"),
    ],
)
def test_secrets(key: str, value: str) -> None:
    assert is_secret(key, value)
    assert list(find_secrets({"set": {key: [value]}})) == [f"set.{key}.0"]
    line = str(Problem("study.yaml", key, value, f"did you mean {value}?"))
    assert line.startswith("study.yaml: ") and key in line and HIDDEN in line
    assert value not in line and HF not in line


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.dataset_revision", HEX),  # a commit
        ("data.tokenizer", "results/data/0123456789ab/" + "a" * 40),
        ("data.tokens", "bytes"),
        ("digests.tokens_of_text", HEX),
        ("n_key_value_heads", 4),
        ("model.pad_token", "<|endoftext|>"),
        ("x", "risk-free-and-long-words-with-hyphens"),
        ("x", "https://example.com/a:b@c"),
        ("api_key", ""),
    ],
)
def test_no_secrets(key: str, value: object) -> None:
    assert not is_secret(key, value)


def test_secrets_of_an_environment() -> None:
    found = secrets_of({"WANDB_API_KEY": HEX, "HF_TOKEN": HF, "KEY": "x", "PATH": "/usr/local/bin"})
    assert found == {"WANDB_API_KEY": HEX, "HF_TOKEN": HF}
