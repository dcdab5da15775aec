"""What decides whose weights are kept is written with the decision."""

from pathlib import Path

import pytest

from tests.support.bests import Ranked
from tests.support.language import score as made_score

FINALS = {"a1": 3.1, "a2": 3.3, "b1": 3.4, "b2": 3.5, "c1": None}


@pytest.mark.parametrize(
    ("score", "values", "threshold"),
    [
        ({}, {"a1": 3.2, "b1": 3.45}, 3.2),
        ({"goal": "maximize"}, {"b1": 3.45, "a1": 3.2}, 3.45),
        ({"normalize": "zscore"}, {"a1": 1.0, "b1": -1.0}, 1.0),
        ({"final_weight": 2.0}, {"a1": -6.4, "b1": -6.9}, -6.4),
    ],
)
def test_weights_are_decided_by_final_values_or_scores(score, values, threshold, tmp_path: Path):
    decisions = Ranked(tmp_path, score=made_score(**score)).rank(FINALS)
    assert [row["threshold"] for row in decisions] == pytest.approx([threshold] * 5)
    assert {row["compared"] for row in decisions} == {4}
    found = {row["run_id"]: row["value"] for row in decisions}
    assert {run: found[run] for run in values} == pytest.approx(values)
    assert found["c1"] is None


def test_without_any_result_nothing_is_compared(tmp_path: Path) -> None:
    (row,) = Ranked(tmp_path).rank({"a1": None})
    assert (row["value"], row["threshold"], row["compared"]) == (None, None, 0)
