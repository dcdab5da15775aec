"""An error of a made study is reported where its user wrote what is wrong."""

from pathlib import Path

import pytest

from resweep.agents.given_place import COMMAND_LINE, GivenPlaces
from resweep.errors import Problem

STUDY, SWEEP = "results/sweeps/1a2b/.study.yaml", "results/sweeps/1a2b/sweep.yaml"
PLACES = GivenPlaces(
    study=Path(STUDY),
    base=Path("base.yaml"),
    sweep=Path(SWEEP),
    sweep_file=Path("mine.yaml"),
    options={"metric": "--metric", "own.1": "--own", "phases.0.round_size": "--round-size"},
    changes=frozenset({"n_layer", "training.seed"}),
)


@pytest.mark.parametrize(
    ("file", "key", "place"),
    [
        (STUDY, "metric", (COMMAND_LINE, "--metric")),
        (STUDY, "own.1", (COMMAND_LINE, "--own")),
        (STUDY, "own.0", ("base.yaml", "own.0")),
        (STUDY, "phases.0.round_size", (COMMAND_LINE, "--round-size")),
        (STUDY, "model.n_layer", (COMMAND_LINE, "--set n_layer")),
        (STUDY, "training.seed", (COMMAND_LINE, "--set training.seed")),
        (STUDY, "phases.0.set.training.seed", (COMMAND_LINE, "--set training.seed")),
        (STUDY, "training", (COMMAND_LINE, "--set training.seed")),
        (STUDY, "model.n_head", ("base.yaml", "model.n_head")),
        (SWEEP, "parameters.n_layer", ("mine.yaml", "parameters.n_layer")),
        ("config/model/gpt.yaml", "n_layer", ("config/model/gpt.yaml", "n_layer")),
    ],
)
def test_each_place(file: str, key: str, place: tuple[str, str]) -> None:
    found = PLACES.of(Problem(file, key, 3, f"but {SWEEP} has another"))
    assert (found.file, found.key) == place
    assert found.value == 3 and found.hint == "but mine.yaml has another"
