"""Artifacts: versions by content, stamps that stay, and what W&B does never fails a study."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from resweep.canonical import canonical_json, file_digest
from resweep.errors import ConfigError, StoreError
from resweep.json_files import read_json
from resweep.paths import Layout, RunFolder
from resweep.publish import to_wandb
from resweep.publish.artifacts import check_name, publish
from resweep.publish.contents import (
    best_model,
    claim_published,
    config_files,
    note_better,
    old_best_model,
    published_configs,
)
from resweep.publish.place import Place
from resweep.publish.versions import Content
from resweep.ranking.old_bests import find_old_bests
from resweep.store import checkpoints as checkpoint
from resweep.store.lasting_claims import Why
from resweep.wandb import process as wandb_process
from tests.support import wandb_runs
from tests.support.bests import Ranked
from tests.support.wandb_server import serve
from tests.support.warm import warm_process

ROOT = Path(__file__).resolve().parents[3]
OFFLINE = Place("offline", "some-project", "some-team")
DISABLED = Place("disabled", "some-project")
ONLINE = Place("online", "some-project")


@pytest.fixture(autouse=True)
def account(tmp_path, monkeypatch):
    wandb_runs.hide_account(monkeypatch, tmp_path)


@pytest.fixture
def trials(tmp_path):
    """Trial files of a rerun, one of them of an earlier, larger rerun."""
    folder = tmp_path / "results/tiny/rerun/trials"
    folder.mkdir(parents=True)
    for slot in ("01", "02", "03"):
        (folder / f"{slot}.yaml").write_text(f"trial: '{slot}'\n")
    return folder


@pytest.fixture
def stamp(tmp_path):
    return tmp_path / "results/tiny/artifacts/rerun-configs.json"


def publish_configs(trials, stamp, place, **metadata):
    layout = Layout(stamp.parents[2])
    content = Content(
        name="rerun-configs", type="configs", files=config_files(trials), metadata=metadata
    )
    return publish(content, place, stamp, layout, again=["the", "command"])


def offline(stamp):
    return wandb_runs.offline_runs(stamp.parents[1])


def test_recorded_offline(trials, stamp):
    made = publish_configs(trials, stamp, OFFLINE, study="tiny", phase="rerun")
    assert read_json(stamp, "") == made
    assert (made["version"], made["status"]) == ("v0", "recorded")
    expected = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in trials.iterdir()
    }
    assert made["files"] == expected
    assert made["digest"] == hashlib.sha256(canonical_json(expected).encode()).hexdigest()
    (run,) = offline(stamp)
    assert run.run.job_type == "publish" and run.run.run_group == "tiny"
    assert (run.run.project, run.run.entity) == ("some-project", "some-team")
    folder = stamp.parents[2] / made["where"]["run"]
    assert (folder / f"run-{run.run.run_id}.wandb").is_file()
    (artifact,) = run.artifacts
    assert (artifact.name, artifact.type) == ("rerun-configs", "configs")
    sent = json.loads(artifact.metadata)
    assert sent == {
        "study": "tiny", "phase": "rerun", "version": "v0", "digest": made["digest"]
    }  # fmt: skip
    # What `wandb sync` will send lies there, whatever becomes of the originals.
    shutil.rmtree(trials)
    for entry in artifact.manifest.contents:
        data = Path(entry.local_path).read_bytes()
        assert base64.b64encode(hashlib.md5(data).digest()).decode() == entry.digest
        assert hashlib.sha256(data).hexdigest() == expected[entry.path]


def test_same_content_same_stamp(trials, stamp):
    publish_configs(trials, stamp, OFFLINE, score=1.0)
    first = stamp.read_bytes()
    stamp.unlink()  # as Snakemake does before a rule runs again
    publish_configs(trials, stamp, OFFLINE, score=2.0)
    assert stamp.read_bytes() == first
    assert len(offline(stamp)) == 1


def test_versions_count_distinct_contents(trials, stamp):
    assert publish_configs(trials, stamp, DISABLED)["version"] == "v0"
    before = (trials / "02.yaml").read_text()
    (trials / "02.yaml").write_text("trial: other\n")
    assert publish_configs(trials, stamp, DISABLED)["version"] == "v1"
    (trials / "02.yaml").rename(trials / "04.yaml")
    assert publish_configs(trials, stamp, DISABLED)["version"] == "v2"  # names count
    (trials / "04.yaml").unlink()
    (trials / "02.yaml").write_text(before)
    assert publish_configs(trials, stamp, DISABLED)["version"] == "v0"
    versions = stamp.parent / "versions/rerun-configs"
    assert (versions / "v0/02.yaml").read_text() == before
    assert (versions / "v1/02.yaml").read_text() == "trial: other\n"


def test_more_than_ten_versions(trials, stamp):
    for count in range(12):
        (trials / "01.yaml").write_text(f"{count}\n")
        assert publish_configs(trials, stamp, DISABLED)["version"] == f"v{count}"


def test_each_place_once(trials, stamp):
    made = publish_configs(trials, stamp, DISABLED)
    assert made["status"] == "local" and not (stamp.parents[1] / "wandb").exists()
    local = stamp.read_bytes()
    assert publish_configs(trials, stamp, OFFLINE)["version"] == "v0"
    assert len(offline(stamp)) == 1
    publish_configs(trials, stamp, DISABLED)
    assert stamp.read_bytes() == local
    publish_configs(trials, stamp, OFFLINE)
    assert len(offline(stamp)) == 1


def test_failed_upload_is_tried_again(trials, stamp, capsys):
    made = publish_configs(trials, stamp, ONLINE)  # without a key
    assert made["status"] == "failed" and made["version"] == "v0"
    assert "No API key" in made["where"]["error"]
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1 and warning.startswith("warning: rerun-configs: not published")
    assert warning.rstrip().endswith("the command")
    known = json.loads((stamp.parent / "versions/rerun-configs/v0.json").read_text())
    assert known["places"] == []
    assert publish_configs(trials, stamp, OFFLINE)["status"] == "recorded"
    assert publish_configs(trials, stamp, ONLINE)["status"] == "failed"  # tried, not remembered


def test_online_a_run_makes_its_model_of_the_configurations(ranked, trials, stamp, monkeypatch):
    """Lineage: configurations -> run -> model; the run keeps its summary."""
    layout, scores, _ = ranked
    run = RunFolder(layout.run("abc"))
    run.sent_to_wandb.write_text('{"step": 20}')
    run.metrics.write_text('{"step": 10, "x": 2.5}\n{"step": 20, "y": 1.5}\n')
    with serve() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef" * 2 + "01234567")
        publish_configs(trials, stamp, ONLINE, study="tiny")
        configs = published_configs(stamp)
        files, metadata = best_model(scores, layout)
        made = publish(
            Content(
                name="rerun-model",
                type="model",
                files=files,
                metadata={"study": "tiny", **metadata, "configs": configs.named},
                run=run.path,
                uses=configs.in_wandb,
            ),
            ONLINE,
            stamp.with_name("rerun-model.json"),
            layout,
            again=[],
        )
    assert made["status"] == "published" and made["where"]["uses"] == list(configs.in_wandb)
    assert made["where"]["artifact"].endswith("/rerun-model:v0")
    assert server.used == [("abc", "rerun-configs")]
    (model,) = server.versions["rerun-model"]
    assert model.whole and model.made_by == ["abc"] and "best" in model.aliases
    assert (
        model.metadata["configs"]["digest"]
        == server.versions["rerun-configs"][0].metadata["digest"]
    )
    assert {key: server.runs["abc"].summary[key] for key in "xy"} == {"x": 2.5, "y": 1.5}


def test_hanging_wandb(trials, stamp, tmp_path, monkeypatch):
    (tmp_path / "stub/wandb").mkdir(parents=True)
    (tmp_path / "stub/wandb/__init__.py").write_text("import time\ntime.sleep(60)\n")
    path = os.pathsep.join([str(tmp_path / "stub"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setattr(to_wandb, "SECONDS_TO_PUBLISH", 1.0)
    assert "within 1 s" in publish_configs(trials, stamp, OFFLINE)["where"]["error"]


def test_interrupted_half_way(trials, stamp):
    """A version without its description, and a half-made copy, are made again."""
    versions = stamp.parent / "versions/rerun-configs"
    for leftover in ("v0", ".new"):
        (versions / leftover).mkdir(parents=True)
        (versions / leftover / "torn.yaml").write_text("a: ")
    made = publish_configs(trials, stamp, DISABLED)
    assert made["version"] == "v0"
    assert sorted(file.name for file in (versions / "v0").iterdir()) == [
        "01.yaml", "02.yaml", "03.yaml"
    ]  # fmt: skip
    assert not (versions / ".new").exists()


@pytest.mark.parametrize("damage", [b"x", None])
def test_a_damaged_version_is_made_again(damage, trials, stamp):
    first = publish_configs(trials, stamp, DISABLED)
    file = stamp.parent / "versions/rerun-configs/v0/01.yaml"
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
    assert publish_configs(trials, stamp, DISABLED) == first
    assert file.read_bytes() == (trials / "01.yaml").read_bytes()
    assert file.parent.with_name("v0.damaged").is_dir()


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"digest": 5}'])
def test_a_damaged_description_is_written_again(damage, trials, stamp):
    made = publish_configs(trials, stamp, DISABLED)
    versions = stamp.parent / "versions/rerun-configs"
    (versions / "v0.json").write_text(damage)
    (versions / "v0 (copy).json").write_text("{")
    again = publish_configs(trials, stamp, DISABLED)
    assert (again["version"], again["digest"]) == ("v0", made["digest"])
    assert (versions / "v0.json.damaged").read_text() == damage
    (versions / "v0.json").write_text(damage)
    (trials / "01.yaml").write_text("trial: other\n")
    assert publish_configs(trials, stamp, DISABLED)["version"] == "v1"
    assert sorted(path.name for path in (versions / "v0").iterdir()) == sorted(made["files"])


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "", "a b", "x" * 129, "a\n"])
def test_names_that_are_none(name):
    with pytest.raises(ConfigError, match="artifact-name"):
        check_name(name)


def test_which_configs(trials, tmp_path):
    best = tmp_path / "top2_best_configs.yaml"
    best.write_text("- {learning_rate: 0.1}\n")
    assert list(config_files(trials, best, ["02.yaml", "01.yaml"])) == [
        "01.yaml", "02.yaml", "top2_best_configs.yaml"
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"\.\./rerun/x\.yaml: "):
        config_files(trials, None, ["../rerun/x.yaml"])
    with pytest.raises(ConfigError, match=r"stub.* YAML"):
        config_files(tmp_path / "stub")
    (tmp_path / "secret.yaml").write_text("password: x\n")
    (trials / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    with pytest.raises(ConfigError, match=r"link\.yaml"):
        config_files(trials)


SCORES = """rank,trial,run_id,status,score,step
1,02,abc,finished,1.5,20
2,01,def,finished,-1.5,20
"""


@pytest.fixture
def ranked(tmp_path):
    """A ranked phase, and the best run's checkpoint."""
    layout = Layout(tmp_path / "results")
    scores = layout.phase("tiny", "rerun").scores
    scores.parent.mkdir(parents=True)
    scores.write_text(SCORES)

    def write(folder):
        for name in ("model.safetensors", "config.json", "optimizer.safetensors", "trainer.json"):
            (folder / name).write_text(f"{name} of abc")

    folder = layout.run("abc") / "checkpoint_20"
    checkpoint.write_checkpoint(folder, write, lambda: None)
    return layout, scores, folder


def publish_model(layout, scores, stamp):
    files, metadata = best_model(scores, layout)
    content = Content(name="rerun-model", type="model", files=files, metadata=metadata, link=True)
    return publish(content, DISABLED, stamp, layout, again=[])


def test_best_model(ranked, stamp):
    layout, scores, folder = ranked
    made = publish_model(layout, scores, stamp)
    assert made["metadata"] == {
        "phase": "rerun", "trial": "02", "run_id": "abc", "step": 20, "score": 1.5
    }  # fmt: skip
    weights = folder / "model.safetensors"
    assert made["files"]["model.safetensors"] == file_digest(weights)
    assert sorted(made["files"]) == ["config.json", "model.safetensors"]  # to use, not to resume
    copy = stamp.parent / "versions/rerun-model/v0/model.safetensors"
    assert copy.samefile(weights)  # takes no space
    shutil.rmtree(folder)
    assert copy.read_text() == "model.safetensors of abc"  # and outlives the run


def test_pruned_and_damaged_weights(ranked):
    layout, scores, folder = ranked
    (folder / "model.safetensors").write_text("something else")
    with pytest.raises(StoreError, match="checkpoint_20"):
        best_model(scores, layout)
    shutil.rmtree(folder)
    files, metadata = best_model(scores, layout)
    assert files == {} and "\n" not in metadata["missing"]
    trial, record = scores.parent / "trials/02.yaml", scores.parent / "records/02.json"
    command = f"`resweep train --weights --trial {trial} --record {record}`"
    assert "deleted" in metadata["missing"] and command in metadata["missing"]
    phase, study = scores.parent.name, scores.parent.parent.name
    assert f"`snakemake --forcerun keep_{phase} --config study={study}`" in metadata["missing"]


def test_nothing_finished(ranked, stamp):
    layout, scores, _ = ranked
    scores.write_text(
        SCORES.replace("finished,1.5", "diverged,").replace("finished,-1.5", "empty,")
    )
    made = publish_model(layout, scores, stamp)
    assert (made["name"], made["type"], made["status"]) == ("rerun-model", "model", "empty")
    assert read_json(stamp, "") == made


def test_a_better_run_is_noted_in_the_stamp_and_can_be_published(tmp_path):
    mine = Ranked(tmp_path / "results")
    scores = mine.layout.phase("mine", "rerun").scores
    stamp = mine.layout.study("mine").artifact("rerun-model")

    def publish_run(found):
        files, metadata = found
        notes = note_better(scores, ["publish"], mine.layout)
        content = Content(
            name="rerun-model", type="model", files=files, metadata=metadata, notes=notes
        )
        made = publish(content, DISABLED, stamp, mine.layout, again=[])
        claim_published(scores, metadata, mine.layout)
        return made

    mine.rank({"a1": 3.0, "a2": 3.1})
    first = publish_run(best_model(scores, mine.layout))
    assert first["metadata"]["run_id"] == "a1" and "better" not in first
    mine.rank({"b1": 3.2})
    second = publish_run(best_model(scores, mine.layout))
    assert (second["version"], second["status"]) == ("v1", "local")
    better = second["better"]
    assert (better["run_id"], better["value"], better["best_now"]) == ("a1", 3.05, 3.2)
    assert better["weights"] == str(mine.layout.run("a1") / "checkpoint_20")
    assert "`publish --run a1`" in better["text"]
    assert read_json(stamp, "") == second
    third = publish_run(old_best_model(scores, "a1", mine.layout))
    assert (third["version"], third["files"]) == ("v0", first["files"])
    assert mine.claimed(Why.PUBLISHED) == {"a1", "b1"}
    mine.rank({"a1": 3.0, "a2": 3.1, "b1": 3.2})
    assert "better" not in publish_run(best_model(scores, mine.layout))


def test_only_runs_that_were_the_best_are_published_by_their_ids(tmp_path):
    mine = Ranked(tmp_path / "results")
    scores = mine.layout.phase("mine", "rerun").scores
    mine.rank({"a1": 3.0, "b1": 3.1})
    for run_id in ("b1", "nobodys", "..", ""):
        with pytest.raises(StoreError, match="a1"):
            old_best_model(scores, run_id, mine.layout)
    (mine.layout.run("a1") / "checkpoint_20/model.safetensors").write_text("something else")
    with pytest.raises(StoreError, match="checkpoint_20"):
        old_best_model(scores, "a1", mine.layout)


def test_what_is_published_without_a_claim_of_the_best_stays_too(ranked):
    layout, scores, folder = ranked
    _, metadata = best_model(scores, layout)
    claim_published(scores, metadata, layout)
    scores.write_text(SCORES.replace("abc", "other"))
    old = find_old_bests("tiny", scores, layout)
    (one,) = old.claimed
    assert one.published and one.weights == folder and old.better is None


def run_script(name, *arguments, cwd):
    env = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [warm_process().python, str(ROOT / "workflow/scripts" / name), *arguments]
    return subprocess.run(command, cwd=cwd, env=env, text=True, capture_output=True, check=False)


def test_the_documented_flags(trials, tmp_path):
    flags = ["--config-dir", str(trials), "--artifact-name", "top5", "--project", "mine"]
    done = run_script("upload_rerun_configs.py", *flags, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "top5: v0, 3 files, recorded\n"), done.stderr
    made = json.loads((tmp_path / "results/artifacts/top5.json").read_text())
    assert made["where"]["project"] == "mine"
    assert (tmp_path / "results" / made["where"]["run"]).is_dir()


def test_scripts_report_errors_in_one_line(ranked, tmp_path):
    _, scores, folder = ranked
    flags = ["--artifact-name", "best", "--project", "mine", "--mode", "disabled"]
    done = run_script("publish_model.py", "--scores", str(scores), *flags, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "best: v0, trial 02, local\n"), done.stderr
    shutil.rmtree(folder)
    done = run_script("publish_model.py", "--scores", str(scores), *flags, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("best: not published: ")
    assert " trial 02 " in done.stdout and done.stdout.count("\n") == 1
    assert done.stderr.startswith("warning: ") and done.stderr.count("\n") == 1


def test_last_line_of_a_log(tmp_path):
    file = tmp_path / "log"
    assert "no output" in wandb_process.last_line(file)
    file.write_text("one\n  two \n\n")
    assert wandb_process.last_line(file) == "two"
