"""Data sets and tokenizers of the Hugging Face hub where there is no network: the cache serves."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from resweep.systems.language.hub import not_here, why_offline
from tests.conftest import ROOT
from tests.support.language import MadeTokens
from tests.support.texts import DOCUMENTS, hub_settings, prepare_bpe, write_corpus, write_parquet


def prepare(folder: Path, wanted: dict, **environment: str) -> subprocess.CompletedProcess[str]:
    """Prepare data in a process of its own, whose cache of Hugging Face is below a folder."""
    own = {"PYTHONPATH": str(ROOT / "src"), "HF_HOME": str(folder / "home")}
    script = ROOT / "workflow/scripts/prepare_data.py"
    return subprocess.run(
        [sys.executable, script, "--stamp", "stamp.json", "--settings", json.dumps(wanted)],
        env=os.environ | own | environment, cwd=folder, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_ENDPOINT"])
def test_a_name_on_the_hub_offline_is_one_line_at_once(variable, tmp_path):
    value = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}[variable]
    asked = prepare(tmp_path, hub_settings("nobody/no-such-corpus"), **{variable: value})
    reason = "HF_HUB_OFFLINE is set" if "OFFLINE" in variable else f"no answer from {value}"
    expected = str(not_here("data.dataset", "nobody/no-such-corpus", reason))
    assert asked.returncode == 1
    assert asked.stderr.splitlines()[-1] == f"error: {expected}"
    assert "Traceback" not in asked.stderr
    assert "HF_HOME" in expected and "local copy" in expected


COMMIT = "0123456789" * 4


@pytest.fixture(scope="module")
def bpe(tmp_path_factory) -> MadeTokens:
    folder = tmp_path_factory.mktemp("bpe")
    return prepare_bpe(write_corpus(folder), folder)


@pytest.fixture
def hub_cache(tmp_path, bpe) -> Path:
    """A folder with what Hugging Face's libraries keep of a data set and a tokenizer."""
    copy = write_parquet(tmp_path / "parquet")
    made = datasets.load_dataset(str(copy), split="train", cache_dir=str(tmp_path / "made"))
    data = tmp_path / f"home/datasets/owner___corpus/default/0.0.0/{COMMIT}"
    shutil.copytree(Path(made.cache_files[0]["filename"]).parent, data)
    for file in data.glob("*.arrow"):
        file.rename(data / file.name.replace("parquet-", "corpus-"))
    described = json.loads((data / "dataset_info.json").read_text())
    described |= {"dataset_name": "corpus", "config_name": "default"}
    (data / "dataset_info.json").write_text(json.dumps(described))
    for kind, name in (("datasets", "corpus"), ("models", "tokenizer")):
        refs = tmp_path / f"home/hub/{kind}--owner--{name}/refs"
        refs.mkdir(parents=True)
        (refs / "main").write_text(COMMIT)
    snapshot = tmp_path / f"home/hub/models--owner--tokenizer/snapshots/{COMMIT}"
    snapshot.mkdir(parents=True)
    for file in bpe.tokenizer_files():
        (snapshot / file.name).write_bytes(file.read_bytes())
    (snapshot / "config.json").write_text('{"model_type": "gpt2"}')
    return tmp_path


def test_offline_the_cache_of_hugging_face_serves(hub_cache, bpe):
    named = {"tokens": "tokenizer", "tokenizer": "owner/tokenizer"}
    wanted = hub_settings("owner/corpus", dataset_revision="main", **named)
    # A port where nobody listens: found out before the clients try again and again.
    asked = prepare(hub_cache, wanted, HF_ENDPOINT="http://127.0.0.1:9")
    assert asked.returncode == 0, asked.stderr
    made = json.loads((hub_cache / "stamp.json").read_text())
    assert sum(made["documents"].values()) == len(DOCUMENTS)
    assert made["vocab_size"] == bpe.vocab_size


def test_offline_another_revision_than_the_cached_is_refused(hub_cache):
    wanted = hub_settings("owner/corpus", dataset_revision="f" * 40)
    asked = prepare(hub_cache, wanted, HF_HUB_OFFLINE="1")
    assert asked.returncode == 1
    (line,) = [line for line in asked.stderr.splitlines() if line.startswith("error: ")]
    assert f"data.dataset_revision: {'f' * 40}: " in line
    assert "owner/corpus" in line and COMMIT in line


def test_offline_is_asked_of_the_environment(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert why_offline() == "HF_HUB_OFFLINE is set"
