"""Everything that a study publishes, to every kind of place; nothing that leaves is about us."""

import gzip
import json
import re
import socket
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from resweep import yaml12
from resweep.json_files import read_json
from tests.conftest import ROOT, Checkout
from tests.support import wandb_runs
from tests.support.corpus import DOCUMENTS
from tests.support.wandb_server import Server, serve

KEY = "0123456789abcdef" * 2 + "01234567"
USER = "somebodys-name"
NAMES = ("rerun-configs", "rerun-model", "tiny-scores", "tiny-report", "tiny-code")
ALIASES = {"rerun-model": ["best", "latest", "tiny"]}

pytestmark = pytest.mark.xdist_group("published")  # they share what they build


@dataclass(frozen=True)
class Published:
    """A study whose settings have paths of its user, built and sent."""

    checkout: Checkout
    output: str
    server: Server
    sent: str

    def stamp(self, name: str) -> dict[str, Any]:
        return dict(read_json(self.checkout.path / f"results/tiny/artifacts/{name}.json", ""))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    home = tmp_path_factory.mktemp("homes") / USER
    checkout = Checkout.new(home / "checkout")
    texts = home / "more texts/a.txt"
    texts.parent.mkdir()
    (checkout.path / "corpus").mkdir()
    for file in (texts, checkout.path / "corpus/b.txt"):
        file.write_text("\n\n".join(DOCUMENTS))
    source = {
        "source": "text",
        "paths": [str(texts), str(checkout.path / "corpus/*.txt")],
        "documents": "blank_line",
        "tokens": "bpe",
        "bpe_vocab_size": 300,
    }
    checkout.write("config/data/mine.yaml", source)
    note = f"from {home}/notes.md, ~/more.md and {checkout.path}/corpus"
    hub = home / "hub"
    checkout.write_study(
        description=note,
        base={"model": "gpt-tiny", "data": "mine", "training": "quick"},
        own=["note"],
        tracking={"wandb": "offline", "entity": "a-team"},
        resources={"slurm_extra": f"--mail-user={USER}@example.com", "gpus": 0},
        publish={"to": [str(home / "backup"), f"file://{home}/by-url", {"hub": str(hub)}]},
    )
    study = checkout.path / "config/studies/tiny.yaml"
    content = yaml12.load_mapping(study)
    content["set"]["note"] = note
    study.write_text(yaml12.dump(content))
    checkout.write_sweep(learning_rate=[1e-5, 1e-3])
    env = {"HOME": str(home), "USER": USER, "LOGNAME": USER, "WANDB_API_KEY": KEY}
    output = checkout.run("snakemake", "--cores", "1", env=env).stdout
    with serve() as server:
        sent = checkout.run(
            "python", "workflow/scripts/send.py", "tiny",
            env={**env, "WANDB_BASE_URL": server.url},
        ).stdout  # fmt: skip
        yield Published(checkout, output, server, sent)


def test_everything_is_published_everywhere(published: Published) -> None:
    home = published.checkout.path.parent
    for name in NAMES:
        stamp = published.stamp(name)
        assert (stamp["version"], stamp["status"]) == ("v0", "recorded"), name
        places = 3 if name == "rerun-model" else 2
        assert [one.get("version") for one in stamp["to"]] == ["v0"] * places
        for target in ("backup", "by-url"):
            assert sorted(p.name for p in (home / target / name).glob("v*")) == ["v0", "v0.json"]
        (version,) = published.server.versions[name]
        assert version.whole and version.aliases == ALIASES.get(name, ["latest", "tiny"])
        assert version.metadata["study"] == "tiny" and version.metadata["digest"] == stamp["digest"]
    assert published.sent.startswith("tiny: 9 folders")
    again = published.checkout.run("python", "workflow/scripts/send.py", "tiny").stdout
    assert again.startswith("tiny: 0 folders")


def test_the_model_is_made_by_its_run_and_leads_to_its_configurations(published: Published) -> None:
    (model,) = published.server.versions["rerun-model"]
    stamp, configs = published.stamp("rerun-model"), published.stamp("rerun-configs")
    origin = stamp["metadata"]
    assert model.made_by == [origin["run_id"]]
    run = published.server.runs[origin["run_id"]]
    assert run.about["groupName"] == "tiny/rerun" and run.config["training.learning_rate"]
    assert run.summary["val/loss"] == pytest.approx(
        published.checkout.record("tiny", "rerun", origin["trial"])["metrics"]["val/loss"]
    )
    assert model.metadata["configs"] == {key: configs[key] for key in ("name", "version", "digest")}


def test_the_model_does_not_wait_for_the_report(published: Published) -> None:
    jobs = re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", published.output, re.MULTILINE)
    assert jobs.index("publish_report") > jobs.index("report")
    dag = published.checkout.snakemake("-n", "--forceall", "--until", "publish_model_rerun").stdout
    assert "publish_model_rerun" in dag and not re.search(r"^report ", dag, re.MULTILINE)


def bytes_that_left(published: Published) -> Iterator[tuple[str, bytes]]:
    """All of it: versions, further places, W&B's own files, requests to the server."""
    home = published.checkout.path.parent
    results = published.checkout.path / "results/tiny"
    folders = [results / "artifacts/versions", home / "backup", home / "by-url", home / "hub"]
    for folder in folders:
        for file in folder.rglob("*"):
            own = file.name in (".lock", "current.json") or re.fullmatch(r"v\d+\.json", file.name)
            if file.is_file() and not (own and folder.name == "versions"):
                yield str(file.relative_to(home)), file.read_bytes()
    for file in results.glob("wandb/offline-run-*/*.wandb"):
        for record in wandb_runs.records(file):
            yield from ((f"{file.name}{k}", v.encode()) for k, v in wandb_runs.values(record))
    for operation, text in published.server.bodies:
        yield operation, text.encode()
    for version in published.server.artifacts.values():
        yield from ((f"{version.name}/{n}", data) for n, data in version.uploaded.items())


def test_nothing_that_left_is_about_its_user_or_the_machine(published: Published) -> None:
    home = published.checkout.path.parent
    words = [USER, str(home), KEY, str(ROOT), "example.com", "more texts"]
    known = re.compile("|".join(map(re.escape, words)).encode())
    host = re.compile(rf"\b{re.escape(socket.gethostname())}\b".encode())
    found, count = [], 0
    for where, data in bytes_that_left(published):
        count += 1
        parts = [data]
        if data[:2] == b"\x1f\x8b":
            parts.append(gzip.decompress(data))
        found += [(where, word[0]) for word in map(known.search, parts) if word]
        if data.isascii() and b"<html" not in data:  # scripts and weights may have such a word
            found += [(where, word[0]) for word in map(host.search, parts) if word]
    assert found == [] and count > 100
    trial = yaml12.load_mapping(home / "backup/rerun-configs/v0/01.yaml")
    assert trial["config"]["data"]["paths"] == ["a.txt", "corpus/*.txt"]
    assert trial["config"]["note"] == "from notes.md, more.md and corpus"
    resolved = yaml12.load_mapping(home / "backup/tiny-scores/v0/study.yaml")
    assert not {"tracking", "publish"} & resolved.keys()


def test_the_code_is_what_the_jobs_ran_and_no_more(published: Published) -> None:
    folder = published.checkout.path / "results/tiny/artifacts/versions/tiny-code/v0"
    described = json.loads((folder / "code.json").read_text())
    assert {"commit", "clean", "python", "libraries", "files"} == described.keys()
    assert described["commit"] is None and "torch" in described["libraries"]
    with tarfile.open(folder / "code.tar.gz") as archive:
        members = archive.getmembers()
        names = [member.name for member in members]
        data = archive.extractfile("rules/publish.smk")
        assert data is not None and data.read() == (ROOT / "rules/publish.smk").read_bytes()
    assert names == [one["name"] for one in described["files"]] == sorted(names)
    tops = {name.split("/")[0] for name in names}
    assert tops == {"Snakefile", "rules", "src", "workflow"}
    assert {Path(name).suffix for name in names} == {"", ".py", ".smk", ".sh"}
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", 0)}


def test_the_model_card_is_one_and_the_model_loads(published: Published) -> None:
    hub = published.checkout.path.parent / "hub"
    card = ModelCard((hub / "README.md").read_text(), ignore_metadata_errors=False)
    assert card.data.library_name == "transformers" and "resweep" in card.data.tags
    record = published.checkout.record(
        "tiny", "rerun", published.stamp("rerun-model")["metadata"]["trial"]
    )
    for shown in ("corpus/*.txt", "training.learning_rate", "2 seeds", "torch", "from_pretrained"):
        assert shown in card.text
    assert f"| val/loss | {record['metrics']['val/loss']} |" in card.text
    assert f"| steps | {record['step']} |" in card.text
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(hub)("Hello", return_tensors="pt")
    assert AutoModelForCausalLM.from_pretrained(hub)(**tokens).logits.shape[-1] == 300


def test_again_nothing_is_new(published: Published) -> None:
    before = {name: published.stamp(name) for name in NAMES}
    (published.checkout.path / "results/tiny/artifacts/tiny-scores.json").unlink()
    home = str(published.checkout.path.parent)
    published.checkout.run("snakemake", "--cores", "1", env={"HOME": home})
    assert {name: published.stamp(name) for name in NAMES} == before
