"""decisions.csv, damaged: one line that names the file."""

import pytest

from resweep.errors import DamagedFile
from resweep.trials.decisions import COLUMNS, read_decisions, write_decisions

ROW = dict.fromkeys(COLUMNS, "") | {
    "trial": "0012", "step": 40, "decision": "stop", "value": 3.5, "compared": 4,
}  # fmt: skip


def test_rows_come_back(tmp_path):
    file = tmp_path / "decisions.csv"
    write_decisions(file, [ROW])
    (row,) = read_decisions([file])
    assert (row["trial"], row["step"], row["value"]) == ("0012", "40", "3.5")


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b"",
        lambda b: b[:-4],
        lambda b: bytes(len(b)) + b"\n",
        lambda b: b"\xff" + b,
        lambda b: b.replace(b"40", b"4x"),
        lambda b: b.replace(b"compared", b"comparet"),
        lambda b: b + b"1,2\r\n",
    ],
)
def test_damage_is_named(damage, tmp_path):
    file = tmp_path / "decisions.csv"
    write_decisions(file, [ROW])
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DamagedFile) as caught:
        read_decisions([file])
    assert caught.value.path == file and "\n" not in str(caught.value)
