"""The file of a pack: what is common once, and every trial as it was."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from resweep.errors import DamagedFile
from resweep.study.packs import MOST_TRIALS
from resweep.trials.pack import Asked, PackFile, read_pack, write_pack

LARGE = 3000  # bytes of a configuration
CONFIG = {"model": {"config": {f"key_{n:03}": n for n in range(LARGE // 14)}}, "training": {}}
PACK = PackFile(
    study="s",
    phase="p",
    folder="r01/b1",
    trials=tuple(f"{number:010x}" for number in range(MOST_TRIALS)),
    config=CONFIG,
    asked=tuple(
        Asked(assignments={"training.learning_rate": number / 1e5}, stop=number or None)
        for number in range(MOST_TRIALS)
    ),
)
BYTES_OF_A_TRIAL = 150


def test_the_largest_pack_comes_back_and_has_what_is_common_once(tmp_path: Path) -> None:
    file = tmp_path / "pack.json"
    write_pack(file, PACK)
    assert read_pack(file) == PACK and len(PACK.id) == 16
    config = len(json.dumps(CONFIG))
    assert config > LARGE
    assert file.stat().st_size < 2 * config + MOST_TRIALS * BYTES_OF_A_TRIAL
    trials = list(read_pack(file).known_trials())
    assert [trial.trial for trial in trials] == list(PACK.trials)
    assert trials[7].config == {**CONFIG, "training": {"learning_rate": 7e-5}}
    assert (trials[0].stop, trials[7].stop) == (None, 7)
    assert PACK.slot(trials[7].trial) == "r01/b1/0000000007"


def test_of_trials_that_other_jobs_write_it_has_the_names(tmp_path: Path) -> None:
    file = tmp_path / "pack.json"
    names = PackFile(study="s", phase="p", folder="", trials=("01", "02"))
    write_pack(file, names)
    assert read_pack(file) == names and list(names.known_trials()) == []
    assert names.slot("01") == "01" and names.id != PACK.id


@pytest.mark.parametrize("text", ["", "[]", '{"study": "s"}'])
def test_what_is_not_a_pack_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "pack.json"
    file.write_text(text)
    with pytest.raises(DamagedFile):
        read_pack(file)


@pytest.mark.parametrize("damage", [lambda text: text[: len(text) // 2], lambda text: "{}"])
def test_a_damaged_file_is_written_again(damage: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "pack.json"
    write_pack(file, PACK)
    before = file.stat().st_ino
    write_pack(file, PACK)
    assert file.stat().st_ino == before
    file.write_text(damage(file.read_text()))
    write_pack(file, PACK)
    assert read_pack(file) == PACK
