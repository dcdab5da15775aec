"""Which phase decides."""

from types import SimpleNamespace

import pytest

from resweep.study.deciding import deciding_phase


@pytest.mark.parametrize(
    ("kinds", "decides"),
    [
        (["sweep"], 0),
        (["sweep", "rerun"], 1),
        (["sweep", "rerun", "resample"], 1),
        (["sweep", "rerun", "finetune"], 2),
        (["sweep", "rerun", "resample", "rerun"], 3),
        (["sweep", "resample"], 1),
    ],
)
def test_what_trains_the_chosen_again_decides(kinds: list[str], decides: int) -> None:
    made = [SimpleNamespace(kind=kind) for kind in kinds]
    assert deciding_phase(made) is made[decides]
    assert deciding_phase(list(enumerate(kinds)), kind=lambda pair: pair[1])[0] == decides
