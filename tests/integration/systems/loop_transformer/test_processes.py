"""Several processes train what one does, and carry the same puzzles."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.support import loop_together
from tests.support.loop_together import HALF, STEPS
from tests.support.warm import warm_process

SCRIPT = Path(loop_together.__file__)


def run(count: int, folder: Path, engine: str, *start: Path) -> dict[str, Any]:
    """Train with so many processes, started as torchrun would; returns the result."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    command = ["python", str(SCRIPT), str(folder), engine, *map(str, start)]
    own = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]
    warm = warm_process()
    running = [warm.start(command, folder, {**os.environ, **common, **more}) for more in own]
    outputs = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * count, outputs
    return result(folder)


def result(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "result.json").read_text()))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process trained."""
    folder = tmp_path_factory.mktemp("one")
    loop_together.train(folder, "none")
    return folder


@pytest.mark.parametrize(
    ("count", "engine"),
    [
        (4, "ddp"),
        pytest.param(2, "zero1", marks=pytest.mark.long),
        pytest.param(2, "zero2", marks=pytest.mark.long),
    ],
)
def test_losses_and_carried_puzzles_are_those_of_one_process(
    count: int, engine: str, one: Path, tmp_path: Path
) -> None:
    found, expected = run(count, tmp_path / "many", engine), result(one)
    assert list(found["losses"]) == [str(step) for step in range(1, STEPS + 1)]
    assert found["losses"] == pytest.approx(expected["losses"], rel=1e-5)
    assert found["test"] == pytest.approx(expected["test"], rel=1e-4)
    for name in ("extra", "model", "trained", "optimizer"):
        file = f"checkpoint/{name}.safetensors"
        tensors = load_file(one / file)
        for key, tensor in load_file(tmp_path / "many" / file).items():
            torch.testing.assert_close(tensor, tensors[key], atol=1e-4, rtol=1e-3)


def test_one_process_continues_what_four_began(one: Path, tmp_path: Path) -> None:
    run(4, tmp_path / "many", "ddp")
    begun = tmp_path / "many/checkpoint"
    alone = tmp_path / "alone"
    alone.mkdir()
    loop_together.train(alone, "none", begun)
    found, expected = result(alone)["losses"], result(one)["losses"]
    assert list(found) == [str(step) for step in range(HALF + 1, STEPS + 1)]
    assert found == pytest.approx({k: expected[k] for k in found}, rel=1e-5)
