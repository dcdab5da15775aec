"""Which phase decides."""

from types import SimpleNamespace

import pytest

from resweep.report.deciding import deciding_phase


@pytest.mark.parametrize(
    ("phases", "decides"),
    [
        ([("sweep", True), ("rerun", True)], 1),
        ([("sweep", True), ("rerun", False)], 0),
        ([("sweep", True), ("rerun", True), ("resample", True)], 1),
        ([("sweep", True), ("rerun", True), ("finetune", True)], 2),
        ([("sweep", True), ("resample", True)], 1),
        ([("sweep", False)], None),
    ],
)
def test_what_trains_the_chosen_again_decides(
    phases: list[tuple[str, bool]], decides: int | None
) -> None:
    made = [SimpleNamespace(kind=kind, best=best) for kind, best in phases]
    assert deciding_phase(made) is (None if decides is None else made[decides])
