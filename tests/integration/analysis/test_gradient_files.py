"""Files of gradients: what is damaged is named, and the documented snippets read them."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from resweep.analysis.gradient_analysis import read_gradients
from resweep.errors import DamagedFile
from resweep.paths import Layout
from resweep.store.advance import advance
from tests.conftest import ROOT
from tests.support.asked import ask, run_of
from tests.support.tiny import configure, prepare

DOCUMENT = ROOT.parent / "shared/seeds/001-experiment-management.md"
SMALL = {"model__n_layer": 1, "model__n_embd": 4, "model__n_head": 1, "training__batch_size": 1}


def test_a_file_that_is_not_of_gradients_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "gradients.pt"
    for content in ([1, 2], {"a": "text"}, {}, {"a": 1.0}):
        torch.save(content, path)
        with pytest.raises(DamagedFile, match="should be a dictionary of tensors"):
            read_gradients(path)
    torch.save({"a": torch.ones(100)}, path)
    assert read_gradients(path)["a"].sum() == 100
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DamagedFile, match="cannot be read by torch"):
        read_gradients(path)


def test_a_checkpoint_with_another_digest_is_damaged(tmp_path: Path) -> None:
    data, layout = prepare(tmp_path / "data"), Layout(tmp_path / "results")
    asked = ask(configure(data, training__save_gradients=True), data)
    advance(*asked, layout)
    path = run_of(asked, layout).path / "checkpoint_12/gradients.pt"
    gradients = read_gradients(path)
    torch.save({name: 2 * gradient for name, gradient in gradients.items()}, path)
    with pytest.raises(DamagedFile, match="was changed after it was written"):
        read_gradients(path)


@pytest.mark.skipif(not DOCUMENT.is_file(), reason="no shared/seeds beside the project")
def test_snippets_of_the_document_run_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib").use("agg")
    data, layout = prepare(tmp_path / "data"), Layout(tmp_path / "saved_models")
    saved = {"training__save_gradients": True, "training__save_steps": 500}
    steps = {"training__max_steps": 2000, "training__log_steps": 500, "training__eval_steps": 2000}
    asked = ask(configure(data, **SMALL, **saved, **steps), data)
    advance(*asked, layout)
    run_id = asked.goal.run_id
    (tmp_path / "saved_models" / run_id).symlink_to(layout.run(run_id))
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    first, second = (text for text in blocks if "gradients.pt" in text)
    known: dict[str, Any] = {"run_id": run_id}
    exec(first.replace("{run_id}", run_id).replace("{step}", "2000"), known)
    exec(second, known)
    gradients = [
        read_gradients(layout.run(run_id) / f"checkpoint_{step}/gradients.pt")
        for step in (500, 1000, 1500, 2000)
    ]
    assert known["gradient_norms"].keys() == gradients[-1].keys()
    expected = [one[known["layer_name"]].norm().item() for one in gradients]
    assert known["layer_gradient_norms"] == pytest.approx(expected, rel=1e-6)
    for name in ("gradient_norms.png", "gradient_evolution.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
