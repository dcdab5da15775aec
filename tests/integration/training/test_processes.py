"""Many processes train what one does, with any engine, and go on from each other's checkpoints."""

import json
import math
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.support import train_together
from tests.support.train_together import STEPS
from tests.support.warm import Warm

SCRIPT = Path(train_together.__file__)
pytestmark = pytest.mark.xdist_group("processes")  # what they share takes a minute to make
ENGINES = ("ddp", "zero1", "zero2", "zero3")
SPOILT = {"spoil": 2, "until": 3}


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    """A process that has imported DeepSpeed, which takes seconds."""
    process = Warm("deepspeed")
    yield process
    process.end()


def run(warm: Warm, count: int, folder: Path, jobs: list[dict[str, Any]]) -> None:
    """Do jobs by so many processes, started as torchrun would."""
    command = ["python", str(SCRIPT), str(folder), json.dumps(jobs)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    own = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]
    running = [warm.start(command, folder, {**os.environ, **common, **more}) for more in own]
    outputs = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * count, outputs


@pytest.fixture(scope="module")
def folder(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one process, two and four have trained the same run, with each engine."""
    made: Path = tmp_path_factory.mktemp("together")
    train_together.train(made, {"engine": "none", "out": "one"})
    train_together.train(made, {"engine": "none", "out": "one-spoilt", **SPOILT})
    jobs = [{"engine": name, "out": f"{name}-2", "saves": [20]} for name in ENGINES]
    run(warm, 2, made, jobs)
    run(warm, 4, made, [{"engine": name, "out": f"{name}-4"} for name in ("ddp", "zero2")])
    # On from two processes by one, and on from that by two.
    for name in ENGINES:
        train_together.train(
            made,
            {
                **{"engine": "none", "out": f"{name}-2-1", "saves": [35], "until": 35},
                "start": f"{name}-2/checkpoint_20",
            },
        )
    jobs = [{"engine": name, "out": f"{name}-2-spoilt", **SPOILT} for name in ENGINES]
    jobs += [
        {"engine": name, "out": f"{name}-2-1-2", "start": f"{name}-2-1/checkpoint_35"}
        for name in ENGINES
    ]
    run(warm, 2, made, jobs)
    return made


def result(folder: Path, name: str) -> dict[str, Any]:
    """What a job wrote."""
    return dict(json.loads((folder / name / "result.json").read_text()))


@pytest.mark.parametrize("name", [*(f"{engine}-2" for engine in ENGINES), "ddp-4", "zero2-4"])
def test_losses_and_weights_are_those_of_one_process(folder: Path, name: str) -> None:
    one, many = result(folder, "one"), result(folder, name)
    assert len(one["losses"]) == STEPS
    assert many["losses"] == pytest.approx(one["losses"], abs=1e-4)
    assert many["norms"] == pytest.approx(one["norms"], abs=1e-4)
    assert many["val/loss"] == pytest.approx(one["val/loss"], abs=1e-4)
    assert one["losses"]["50"] < one["losses"]["1"] - 1
    last = f"checkpoint_{STEPS}"
    for file in ("model.safetensors", "optimizer.safetensors"):
        mine, theirs = (
            load_file(folder / "one" / last / file),
            load_file(folder / name / last / file),
        )
        assert mine.keys() == theirs.keys()
        for key, tensor in mine.items():
            torch.testing.assert_close(theirs[key], tensor, atol=1e-3, rtol=0, msg=key)


@pytest.mark.parametrize("engine", ENGINES)
def test_gradients_are_whole(folder: Path, engine: str) -> None:
    def read(name: str) -> dict[str, torch.Tensor]:
        path = folder / name / f"checkpoint_{STEPS}/gradients.pt"
        return dict(torch.load(path, weights_only=True))

    one, many = read("one"), read(f"{engine}-2")
    assert one.keys() == many.keys()
    for key, tensor in one.items():
        assert tensor.abs().max() > 0
        torch.testing.assert_close(many[key], tensor, atol=1e-5, rtol=0, msg=key)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_processes_then_one_then_two_train_what_one_does(folder: Path, engine: str) -> None:
    one = result(folder, "one")["losses"]
    parts = [result(folder, f"{engine}-{name}")["losses"] for name in ("2", "2-1", "2-1-2")]
    spliced = {step: loss for step, loss in parts[0].items() if int(step) <= 20}
    spliced |= parts[1] | parts[2]
    assert spliced.keys() == one.keys()
    assert spliced == pytest.approx(one, abs=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_gradient_that_is_no_number_ends_all_engines_alike(folder: Path, engine: str) -> None:
    one, many = result(folder, "one-spoilt"), result(folder, f"{engine}-2-spoilt")
    assert math.isfinite(one["losses"]["2"]) and math.isnan(one["losses"]["3"])
    assert many["losses"] == pytest.approx(one["losses"], abs=1e-4, nan_ok=True)
    assert math.isnan(one["val/loss"]) and math.isnan(many["val/loss"])
