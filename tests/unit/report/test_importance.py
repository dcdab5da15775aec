"""Which hyperparameters mattered, on made-up rankings where the answer is known."""

import math
import random
from types import SimpleNamespace
from typing import Any

import pytest

from resweep.ranking.score_row import ScoreRow
from resweep.report.importance import importance_note, importances, lead_may_be_chance


def ranking(count: int, seed: int = 0) -> Any:
    """A phase in which rates beyond a plateau are bad, and all optimizers but one."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        point = {
            "rate": 10 ** draw.uniform(-5, -1),
            "decay": draw.uniform(0, 0.1),
            "optimizer": draw.choice(["adam", "lion", "sgd", "<b>"]),
            "training.seed": draw.randrange(1000),
        }
        beyond = max(0.0, abs(math.log10(point["rate"]) + 3) - 1.0)
        value = 8 * beyond + 0.5 * (point["optimizer"] != "lion")
        made.append((value + draw.gauss(0, 0.05), point))
    made.sort(key=lambda one: one[0])
    rows = [
        ScoreRow(rank=rank, trial=str(rank), status="finished", step=1, hyperparameters=point)
        for rank, (_, point) in enumerate(made, 1)
    ]
    return SimpleNamespace(
        scores=rows, hyperparameters=list(rows[0].hyperparameters) if rows else []
    )


def test_the_parameter_that_made_the_difference_has_the_largest_share() -> None:
    found = importances(ranking(120))
    assert found[0].path == "rate"
    assert {one.path for one in found} == {"rate", "decay", "optimizer"}
    assert sum(one.share for one in found) == pytest.approx(1)
    shares = {one.path: one for one in found}
    assert shares["rate"].share - 2 * shares["rate"].error > shares["decay"].share


def test_a_lead_of_few_trials_may_be_chance() -> None:
    assert lead_may_be_chance(importances(ranking(8)))
    assert not lead_may_be_chance(importances(ranking(120)))


def test_among_the_good_trials_others_matter_more_than_over_all() -> None:
    over_all, good = (
        {one.path: one.share for one in importances(ranking(200), among_good=half)}
        for half in (False, True)
    )
    assert good["optimizer"] > 1.5 * over_all["optimizer"]
    assert good["optimizer"] > good["rate"]


def test_more_trials_make_the_shares_surer() -> None:
    few, many = ({one.path: one for one in importances(ranking(n))} for n in (20, 200))
    assert many["rate"].error < few["rate"].error / 2


def test_equal_rankings_give_equal_shares() -> None:
    assert importances(ranking(40)) == importances(ranking(40))


def test_stopped_and_diverged_trials_count_as_bad() -> None:
    phase = ranking(40)
    statuses = ["finished"] * 14 + ["stopped"] * 20 + ["diverged"] * 6
    phase.scores = [
        ScoreRow(rank=row.rank, trial=row.trial, status=status, step=1,
                 hyperparameters=row.hyperparameters)
        for row, status in zip(phase.scores, statuses, strict=True)
    ]  # fmt: skip
    assert importances(phase) == importances(ranking(40))


def test_a_parameter_that_only_some_trials_have() -> None:
    phase = ranking(60)
    for row in phase.scores[::2]:
        row.hyperparameters["decay"] = None
    assert importances(phase)[0].path == "rate"


def test_too_few_trials_say_so() -> None:
    assert importances(ranking(7)) == []
    assert ": 7 trained, 8 needed" in str(importance_note(ranking(7)))
    assert importance_note(ranking(8)) is None
    assert importances(ranking(15), among_good=True) == []
    note = importance_note(ranking(15), among_good=True)
    assert "among the better half: 15 trained, 16 needed" in str(note)
    assert importances(ranking(16), among_good=True)


def test_a_single_swept_parameter_is_not_compared() -> None:
    phase = ranking(30)
    phase.hyperparameters = ["rate", "training.seed"]
    assert importances(phase) == []
    assert "fewer than two" in str(importance_note(phase))


def test_seeds_of_one_configuration_are_one_sample() -> None:
    phase = ranking(7)
    phase.scores = [row for row in phase.scores for _ in range(3)]
    assert importances(phase) == []
    assert ": 7 trained, 8 needed" in str(importance_note(phase))
