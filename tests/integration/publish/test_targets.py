"""Further targets: the same content once, whole after an interruption, each file system alike."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from resweep.errors import StoreError
from resweep.json_files import read_json
from resweep.paths import Layout
from resweep.publish.artifacts import publish
from resweep.publish.hub_folder import OURS, fill_hub_folder
from resweep.publish.leaving import Machine
from resweep.publish.place import Place
from resweep.publish.versions import Content


@pytest.fixture(params=["folder", "file", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "memory":
        yield f"memory://{tmp_path.name}"
        fsspec.filesystem("memory").store.clear()
        return
    place = tmp_path / "the backup"
    yield str(place) if request.param == "folder" else f"file://{place}"


def files_of(target: str) -> dict[str, bytes]:
    """The content of each file of a target, by its path there."""
    files, root = fsspec.core.url_to_fs(target)
    return {str(path)[len(root) :].strip("/"): files.cat_file(path) for path in files.find(root)}


@pytest.fixture
def send(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Publishes files to targets, by default as one study; returns the stamp."""

    def publish_files(
        files: dict[str, bytes], *targets: Any, study: str = "tiny", of: str = "x", **more: Any
    ) -> dict[str, Any]:
        layout = Layout(tmp_path / study / "results")
        content = Content(name=of, files=files, metadata={"study": study}, **{"type": of, **more})
        place = Place("disabled", "p", to=targets)
        return publish(content, place, layout.study(study).artifact(of), layout, ["python", "x"])

    return publish_files


def test_versions_and_aliases(target: str, send: Callable[..., dict[str, Any]]) -> None:
    made = send({"a.yaml": b"a: 1\n", "b/c.yaml": b"b: 2\n"}, target)
    first = files_of(target)
    assert first.keys() == {"x/v0/a.yaml", "x/v0/b/c.yaml", "x/v0.json", "x/aliases.json"}
    about = json.loads(first["x/v0.json"])
    assert (about["digest"], about["files"]) == (made["digest"], made["files"])
    assert [(one["to"], one["version"]) for one in made["to"]] == [(target, "v0")]
    again = send({"a.yaml": b"a: 1\n", "b/c.yaml": b"b: 2\n"}, target)
    assert again == made and files_of(target) == first
    send({"a.yaml": b"a: 3\n"}, target)
    assert json.loads(files_of(target)["x/aliases.json"])["latest"] == "v1"
    send({"a.yaml": b"a: 1\n", "b/c.yaml": b"b: 2\n"}, target)
    aliases = json.loads(files_of(target)["x/aliases.json"])
    assert (aliases["latest"], aliases["tiny"]) == ("v0", "v0")


def test_two_studies_share_a_target(target: str, send: Callable[..., dict[str, Any]]) -> None:
    send({"a.yaml": b"a: 1\n"}, target)
    send({"a.yaml": b"a: 2\n"}, target, study="other")
    made = send({"a.yaml": b"a: 1\n"}, target, study="third")
    found = files_of(target)
    assert made["to"][0]["version"] == "v0" and made["version"] == "v0"
    assert found["x/v1/a.yaml"] == b"a: 2\n" and "x/v2.json" not in found
    aliases = json.loads(found["x/aliases.json"])
    assert {key: aliases[key] for key in ("tiny", "other", "third")} == {
        "tiny": "v0", "other": "v1", "third": "v0"
    }  # fmt: skip


@pytest.mark.parametrize("left", ["v0.json", "half", "changed", "none of ours"])
def test_an_interrupted_copy_is_completed(
    left: str, target: str, send: Callable[..., dict[str, Any]]
) -> None:
    content = {"a.yaml": b"a: 1\n", "b.yaml": b"b: 2\n"}
    send(content, target)
    whole = files_of(target)
    files, root = fsspec.core.url_to_fs(target)
    if left == "v0.json":
        files.pipe_file(f"{root}/x/v0.json", whole["x/v0.json"][:20])
    else:
        files.rm_file(f"{root}/x/v0.json")
        wrong = {"half": b"a:", "changed": b"a: 2\n", "none of ours": b"a: 1\n"}[left]
        files.pipe_file(f"{root}/x/v0/a.yaml", wrong)
        files.pipe_file(f"{root}/x/v0/{'c' if left == 'none of ours' else 'b'}.yaml", wrong)
    send(content, target)
    assert files_of(target) == whole


def test_a_target_that_fails_is_noted_and_the_others_are_served(
    tmp_path: Path, send: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file\n")
    made = send({"a.yaml": b"a: 1\n"}, str(blocked), str(tmp_path / "other"))
    assert made["status"] == "local" and made["again"] == ["python", "x"]
    assert "error" in made["to"][0] and made["to"][1]["version"] == "v0"
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1 and str(blocked) in warning and "python x" in warning
    blocked.unlink()
    assert "again" not in send({"a.yaml": b"a: 1\n"}, str(blocked))


def test_a_hub_folder_follows_the_model(
    tmp_path: Path, send: Callable[..., dict[str, Any]]
) -> None:
    hub = tmp_path / "hub"
    (hub / ".git").mkdir(parents=True)
    (hub / "mine.txt").write_text("kept\n")

    def names() -> set[str]:
        return {path.name for path in hub.iterdir()} - {".git", "mine.txt", OURS}

    extra: dict[str, Any] = {"type": "model", "hub": {"README.md": b"# x\n", "vocab.json": b"{}"}}
    made = send({"model.safetensors": b"w1"}, {"hub": str(hub)}, **extra)
    assert made["to"][0]["version"] == "v0"
    assert names() == {"model.safetensors", "README.md", "vocab.json"}
    send({"model.safetensors": b"w2"}, {"hub": str(hub)}, type="model", hub={"README.md": b"# y\n"})
    assert names() == {"model.safetensors", "README.md"} and (hub / "mine.txt").exists()
    assert (hub / "model.safetensors").read_bytes() == b"w2"
    assert "to" not in send({"a.yaml": b"a: 1\n"}, {"hub": str(hub)}, of="configs")


def test_a_hub_folder_with_files_of_others_is_refused(tmp_path: Path) -> None:
    machine = Machine.of(Layout(tmp_path / "results"))
    (tmp_path / "README.md").write_text("mine\n")
    with pytest.raises(StoreError, match=r"README\.md"):
        fill_hub_folder(tmp_path, {"README.md": b"# x\n"}, machine)
    assert (tmp_path / "README.md").read_text() == "mine\n"


def test_a_hub_folder_that_was_interrupted_is_completed(tmp_path: Path) -> None:
    machine, files = Machine.of(Layout(tmp_path / "results")), {"a.md": b"1\n", "b.md": b"2\n"}
    fill_hub_folder(tmp_path / "hub", files, machine)
    whole = read_json(tmp_path / "hub" / OURS, "")
    (tmp_path / "hub/b.md").unlink()
    (tmp_path / "hub/a.md").write_text("half")
    fill_hub_folder(tmp_path / "hub", files, machine)
    assert read_json(tmp_path / "hub" / OURS, "") == whole
    assert {name: (tmp_path / "hub" / name).read_bytes() for name in files} == files
