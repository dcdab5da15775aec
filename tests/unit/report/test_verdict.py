"""Which configuration wins, what it beat, and in which words."""

from pathlib import Path

import pytest

from resweep.ranking.score_row import spread_text
from resweep.report.first_screen import cost_lines, first_screen
from resweep.report.results import StudyResults, read_study
from resweep.report.spent import Spent, Untrained
from resweep.report.verdict import Sure, Verdict, find_verdict
from resweep.report.verdict_text import sure_lines, sure_title, trained_line
from resweep.study.schema import Score
from tests.support.study import RATE, RERUN, SEED, SWEEP, Made, make_study


def judge(folder: Path, sweep: list[Made], rerun: list[Made], **more: Score) -> Verdict:
    layout = make_study(folder, sweep=sweep, rerun=rerun, **more)
    verdict = find_verdict(read_study("made", layout))
    assert verdict is not None
    return verdict


def seeds(rate: float, *finals: float) -> list[Made]:
    return [
        Made(f"{rate:g}".replace(".", "") + f"-{n}", {RATE: rate, SEED: n}, final)
        for n, final in enumerate(finals, 1)
    ]


def test_a_rerun_decides_over_its_sweep(tmp_path: Path) -> None:
    verdict = judge(tmp_path, SWEEP, RERUN)
    assert verdict.phase.name == "rerun" and verdict.row.trial == "02"
    assert verdict.settings == {RATE: 1e-3, "optimizer_name": "adam"}
    assert verdict.source is not None and verdict.source.phase.name == "sweep"
    assert verdict.source_row is not None and verdict.source_row.trial == "bbb"
    (rival,) = verdict.rivals
    assert rival.behind == pytest.approx(0.3) and rival.errors == pytest.approx(2.94, abs=0.01)
    assert verdict.sure is Sure.CLEAR and sure_title(verdict) == "clear winner"
    assert "2 seeds" in trained_line(verdict)


def test_what_lies_within_the_noise_of_seeds_is_a_tie(tmp_path: Path) -> None:
    rerun = [*seeds(1e-3, 1.5, 1.7), *seeds(1e-2, 1.55, 1.75), *seeds(1e-1, 2.9, 2.91)]
    verdict = judge(tmp_path, SWEEP, rerun)
    assert [one.row.final_mean for one in verdict.tied] == [pytest.approx(1.65)]
    assert sure_title(verdict) == "tie with 1 other"
    lines = sure_lines(verdict)
    assert "ties with 1 of the 2 others" in lines[0] and "the other one" in lines[1]


def test_with_one_seed_and_few_evaluations_nothing_is_known(tmp_path: Path) -> None:
    verdict = judge(tmp_path, SWEEP, [])
    assert verdict.sure is Sure.UNKNOWN and verdict.first_in is None
    assert "several seeds" in sure_lines(verdict)[0]


def test_a_single_configuration_has_no_rival_but_those_of_its_source(tmp_path: Path) -> None:
    verdict = judge(tmp_path, SWEEP, RERUN[:2])
    assert verdict.sure is Sure.ALONE and sure_title(verdict) == "no rival in rerun"
    said = " ".join(sure_lines(verdict))
    assert "chosen in sweep: rank 1" in said and "both other configurations in sweep" in said
    assert "top: 2 or more, rerun compares" in said and "Rerun the best" not in said


def test_a_phase_in_which_nothing_has_a_result_does_not_decide(tmp_path: Path) -> None:
    verdict = judge(tmp_path, SWEEP, [RERUN[4]])
    assert verdict.phase.name == "sweep"
    layout = make_study(tmp_path / "none", sweep=[SWEEP[3]], rerun=[])
    assert find_verdict(read_study("made", layout)) is None


def test_where_the_early_slope_decided_the_better_value_is_named(tmp_path: Path) -> None:
    verdict = judge(tmp_path, SWEEP, [], score=Score(slope_weight=-1000, early_steps=40))
    assert verdict.row.trial != "bbb"
    said = " ".join(sure_lines(verdict))
    assert "By the final val/loss alone, trial bbb would be rank 1" in said


def test_small_values_keep_four_digits() -> None:
    assert spread_text(0.0003301, 0.0000123) == "0.0003301 ± 0.0000123"
    assert spread_text(-0.05, None) == "-0.05000"
    assert spread_text(0.0, 0.5) == "0.0000 ± 0.5000"
    assert spread_text(1.736, 0.008) == "1.7360 ± 0.0080"


def test_rank_2_is_said_by_what_differs(tmp_path: Path) -> None:
    same = {"optimizer_name": "adam", "note": "both"}
    rows = [Made(f"t{n}", {RATE: 1e-3 * n, **same}, 2.0 + n) for n in (1, 2)]
    (other, *_) = [line for line in sure_lines(judge(tmp_path, rows, [])) if "Rank 2" in line]
    assert "trial t2 with learning_rate 0.002: 4.0000, worse by 1.0000." in other


def test_without_a_result_the_first_screen_says_what_happened(tmp_path: Path) -> None:
    lost = [SWEEP[3], Made("eee", {RATE: 0.5}, None, status="failed", reason="no more attempts")]
    layout = make_study(tmp_path, sweep=lost, rerun=[])
    said = first_screen(read_study("made", layout), {}, layout)
    assert "Trial ddd of sweep diverged: the loss was &lt;nan&gt;" in said
    assert "Trial eee of sweep failed: no more attempts" in said
    assert "No trial of sweep has a result." in said and "load it" not in said


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    layout = make_study(tmp_path_factory.mktemp("cost"))
    return read_study("made", layout)


def test_the_cost_says_what_stopping_saved(results: StudyResults) -> None:
    spent = Spent(planned=1000, steps=700, training_seconds=70, gpu_seconds=3600, repeated=12)
    spent.by_rungs = Untrained(runs=2, steps=200, seconds=90)
    spent.by_monitors = Untrained(runs=1, steps=50, seconds=30)
    spent.diverged = Untrained(runs=1, steps=50, seconds=30)
    lines = list(cost_lines(results, [spent]))
    assert lines[0] == "9 trials: 7 finished, 1 diverged, 1 empty."
    assert "1 h 0 min of GPU time and 1 min 10 s of training time" in lines[1]
    assert lines[2] == "Stopping 3 trainings early saved 250 steps, 25% of all, about 2 min 0 s."
    assert "12 steps" in lines[3]


def test_without_stops_nothing_was_saved(results: StudyResults) -> None:
    assert list(cost_lines(results, [Spent(planned=10, steps=10)]))[2:] == [
        "No training was stopped early."
    ]
