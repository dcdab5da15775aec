"""A finished sweep under other rules: who would stay, at which cost, what nobody can know."""

import dataclasses
import random
from unittest.mock import ANY

import pytest

from resweep.config.metric import Logged, Metric
from resweep.errors import DamagedFile, StoreError
from resweep.replay.bounds import Fate
from resweep.replay.choose_rule import choose_rule
from resweep.replay.curves import RecordedCurve, read_sweep
from resweep.replay.rank_correlation import correlate, rank_correlation
from resweep.replay.redecide import Choice, redecide
from resweep.replay.verdict import correlations, judge
from resweep.replay.verdict_text import describe_redecision
from resweep.search.rungs import PROMOTE, STOP, decide, rungs
from resweep.sweep import EarlyTerminate
from resweep.systems.registry import metric_of
from tests.support.curves import EVERY, made_curve, made_sweep
from tests.support.problems import assert_problem, problem_of
from tests.support.study import make_study, run_id

# The winner starts slowly: a is third at the first value, second at the second.
SLOW = [
    made_curve("a", [4.0, 2.5, 1.0, 0.5]),
    made_curve("b", [2.0, 1.9, 1.8, 1.7]),
    made_curve("c", [3.0, 2.8, 2.0, 1.5]),
    made_curve("d", [5.0, 4.9, 4.8, 4.7]),
]


def halving(eta: float = 2, bands: tuple[int, ...] = (1, 2), kind: str = "hyperband") -> Choice:
    return Choice(kind, EarlyTerminate(min_iter=bands[0], eta=eta), bands, "minimize")


def decisions(curves, choice):
    """For each rung: trial -> decision."""
    found = redecide(made_sweep(curves), choice).decided
    return [{row["trial"]: row["decision"] for row in rung.rows} for rung in found]


def cut(curve: RecordedCurve, step: int) -> RecordedCurve:
    """What is left of a curve that a rung stops."""
    points = tuple(point for point in curve.points if point[0] <= step)
    changes = {"known": step, "status": None, "rule": None, "final": None, "trained": step}
    return dataclasses.replace(curve, points=points, **changes)


def play(curves, choice):
    """Decide a sweep as it goes; returns the rows of its rungs, and what is left of the curves."""
    going, left, rows = {c.trial: c for c in curves}, {}, []
    for rung in rungs(choice.rule, choice.bands, len(curves))[:-1]:
        at = {name: curve.step_at(rung.band) for name, curve in going.items()}
        entries = [curve.rung_entry(at[name]) for name, curve in going.items()]
        rows.append(decide(choice.rule, rung, entries, choice.goal))
        for row in rows[-1]:
            if row["decision"] != PROMOTE:
                curve = going.pop(row["trial"])
                stopped = row["decision"] == STOP
                left[curve.trial] = cut(curve, at[curve.trial]) if stopped else curve
    return rows, [(left | going)[curve.trial] for curve in curves]


def random_curves(chance: random.Random) -> list[RecordedCurve]:
    """Ties, trials that diverged, trials that a monitor stopped."""
    curves = []
    for number in range(chance.randint(2, 12)):
        values: list[float | None] = [round(chance.gauss(3, 1), 1) for _ in range(8)]
        more = {"horizon": 8 * EVERY, "arrived": chance.random()}
        fate, length = chance.random(), chance.randint(1, 7)
        if fate < 0.1:
            more |= {"status": "diverged"}
            values = [*values[:length], None]
        elif fate < 0.2:
            more |= {"status": "stopped", "rule": "loss-flat"}
            values = values[:length]
        curves.append(made_curve(f"t{number:02}", values, **more))
    return curves


def random_choice(chance: random.Random, kinds=("hyperband", "one_cut", "asynchronous")) -> Choice:
    kind, goal = chance.choice(kinds), chance.choice(["minimize", "maximize"])
    if kind == "one_cut":
        rule = EarlyTerminate(
            type="one_cut", min_iter=chance.randint(1, 7), keep=chance.randint(1, 5)
        )
    else:
        rule = EarlyTerminate(min_iter=chance.randint(1, 3), eta=chance.choice([1.5, 2, 3]))
        rule = dataclasses.replace(rule, strict=kind == "hyperband" or chance.random() < 0.5)
    return Choice(kind, rule, rule.bands(8), goal)


@pytest.mark.parametrize("seed", range(60))
def test_its_own_rule_gives_the_decisions_that_were_made(seed):
    chance = random.Random(seed)
    choice = random_choice(chance, kinds=("hyperband", "one_cut"))
    rows, left = play(random_curves(chance), choice)
    found = redecide(made_sweep(left, goal=choice.goal), choice)
    assert [list(rung.rows) for rung in found.decided] == rows
    fates = {curve.trial: Fate(curve.known, curve.known, curve.status is None) for curve in left}
    assert found.fates == fates and found.unknown_from == {}


@pytest.mark.parametrize("seed", range(150))
def test_what_is_said_of_other_rules_is_true_whatever_the_unknown_values_are(seed):
    chance = random.Random(seed)
    curves, other = random_curves(chance), random_choice(chance)
    _, left = play(curves, random_choice(chance, kinds=("hyperband", "one_cut")))
    truth = redecide(made_sweep(curves, goal=other.goal), other)
    found = redecide(made_sweep(left, goal=other.goal), other)
    by_itself = {curve.trial for curve in curves if curve.status != "finished"}
    for trial, fate in truth.fates.items():
        said = found.fates[trial]
        assert fate.least == fate.most <= said.most
        # Of steps that nobody saw it is taken that no training ends by itself.
        assert said.least <= fate.least or trial in by_itself & found.unknown_from.keys()
        assert said.stopped in (None, fate.stopped)
    for real, told in zip(truth.decided, found.decided, strict=True):
        outcomes = {row["trial"]: row["decision"] for row in real.rows}
        for row in told.rows:
            if row["decision"] == PROMOTE:
                assert outcomes[row["trial"]] == PROMOTE
            elif row["decision"] == STOP and not row["reason"].startswith("if it got here"):
                assert outcomes[row["trial"]] == STOP


def test_eta_and_bands_change_who_stays():
    assert decisions(SLOW, halving()) == [
        {"b": "promote", "c": "promote", "a": "promote", "d": "stop"},
        {"b": "promote", "a": "promote", "c": "stop"},
    ]
    assert decisions(SLOW, halving(eta=4)) == [
        {"b": "promote", "c": "promote", "a": "stop", "d": "stop"},
        {"b": "promote", "c": "stop"},
    ]
    assert decisions(SLOW, halving(eta=4, bands=(3,))) == [
        {"a": "promote", "b": "promote", "c": "stop", "d": "stop"}
    ]


def test_one_cut_keeps_what_it_says_and_none_keeps_all():
    rule = EarlyTerminate(type="one_cut", min_iter=1, keep=1)
    (rung,) = decisions(SLOW, Choice("one_cut", rule, (1,), "minimize"))
    assert [trial for trial, decision in rung.items() if decision == "promote"] == ["b"]
    found = redecide(made_sweep(SLOW), Choice("none", EarlyTerminate(), (), "minimize"))
    assert found.decided == () and set(found.fates.values()) == {Fate(40, 40, False)}


def test_rungs_lie_inside_rounds():
    later = [dataclasses.replace(curve, trial=f"z{curve.trial}", round=2) for curve in SLOW]
    found = decisions([*SLOW, *later], halving(bands=(1,)))
    assert [[t for t, d in rung.items() if d == "stop"] for rung in found] == [["d"], ["zd"]]


def arriving(*values: float | list[float]) -> list[RecordedCurve]:
    """Trials a, b, c ... in that order, with their first values."""
    curves = [value if isinstance(value, list) else [value] for value in values]
    return [made_curve("abcdefg"[n], [*curve, 0.0], arrived=n) for n, curve in enumerate(curves)]


def test_asynchronously_a_trial_is_compared_with_those_before_it():
    # Thresholds sorted(values)[int(n / 2)]: 5 of 1, 6 of 2, 6 of 3, 6 of 4, 6 of 5.
    curves = arriving(5.0, 6.0, 7.0, 4.0, 6.5)
    found = redecide(made_sweep(curves[::-1]), halving(bands=(1,), kind="asynchronous"))
    rows = found.decided[0].rows
    assert [(row["trial"], row["decision"], row["threshold"]) for row in rows] == [
        ("a", "promote", 5.0),
        ("b", "promote", 6.0),
        ("c", "stop", 6.0),
        ("d", "promote", 6.0),
        ("e", "stop", 6.0),
    ]
    assert [row["compared"] for row in rows] == [1, 2, 3, 4, 5]
    assert "7 is worse" in rows[2]["reason"] and "threshold 6" in rows[2]["reason"]
    assert "asynchronous" in rows[2]["rule"] and "eta 2" in rows[2]["rule"]


@pytest.mark.parametrize(("strict", "decision"), [(True, "stop"), (False, "promote")])
def test_asynchronously_the_best_value_so_far_may_count(strict, decision):
    curves = arriving([5.0, 4.0], [6.0, 5.0], [3.0, 7.0])
    rule = EarlyTerminate(min_iter=2, eta=2, strict=strict)
    found = redecide(made_sweep(curves), Choice("asynchronous", rule, (2,), "minimize"))
    assert found.decided[0].rows[-1]["decision"] == decision


def test_what_comes_after_a_stop_is_not_known_and_costs_are_bounds():
    _, left = play(SLOW, halving(eta=4, bands=(1,)))  # a and d stop at the first value
    sweep = made_sweep(left)
    found = redecide(sweep, halving())
    first, second = ({row["trial"]: row for row in rung.rows} for rung in found.decided)
    assert {trial: row["decision"] for trial, row in first.items()} == {
        "b": "promote", "c": "promote", "a": "promote", "d": "stop",
    }  # fmt: skip
    # Three get there, two go on; a may be the first, the second or the third.
    assert {trial: row["decision"] for trial, row in second.items()} == {
        "b": "promote", "c": "unknown", "a": "unknown",
    }  # fmt: skip
    assert "2 to 3 of 3, 2" in second["c"]["reason"]
    assert "step 10" in second["a"]["reason"]
    assert found.unknown_from == {"a": 10}
    assert found.fates["a"] == Fate(20, 40, None)
    verdict = judge(sweep, found)
    assert (verdict.least, verdict.most) == (40 + 20 + 20 + 10, 40 + 40 + 40 + 10)
    assert (verdict.full, verdict.trained, verdict.open) == (160, 40 + 40 + 10 + 10, 1)
    assert verdict.winner.trial == "c" and verdict.winner_stopped is None
    text = describe_redecision(sweep, halving(), found)
    lines = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    assert all(part in lines["cost"] for part in ("90 to 130 steps", "56% to 81%", "160"))
    assert lines["winner"].startswith("c, val/loss 1.5000")
    assert "a after step 10" in text


@pytest.mark.parametrize(
    ("choice", "stopped", "survivor", "regret"),
    [(halving(), False, "a", 0.0), (halving(eta=4), True, "b", 1.2)],
)
def test_whether_the_winner_would_have_survived(choice, stopped, survivor, regret):
    sweep = made_sweep(SLOW)
    found = redecide(sweep, choice)
    verdict = judge(sweep, found)
    assert (verdict.winner.trial, verdict.winner_stopped) == ("a", stopped)
    assert (verdict.survivor.trial, verdict.regret) == (survivor, pytest.approx(regret))
    text = describe_redecision(sweep, choice, found)
    assert ("is stopped" in text, "rank 3, 1.7000: regret 1.2000" in text) == (stopped, stopped)


def test_more_is_better_where_the_goal_says_so():
    sweep = made_sweep(SLOW, goal="maximize")
    choice = dataclasses.replace(halving(bands=(1,)), goal="maximize")
    verdict = judge(sweep, redecide(sweep, choice))
    assert (verdict.winner.trial, verdict.winner_stopped) == ("d", False)
    assert correlations(sweep, choice)[1] == correlations(made_sweep(SLOW), halving(bands=(1,)))[1]


def test_a_run_that_two_trials_share_is_paid_once():
    twin = dataclasses.replace(SLOW[0], trial="twin")
    sweep = made_sweep([SLOW[0], twin])
    assert (
        judge(sweep, redecide(sweep, Choice("none", EarlyTerminate(), (), "minimize"))).full == 40
    )


def test_the_rank_correlation_of_a_rung_with_the_end():
    # Order at the first value b c a d, at the third a b c d, at the end a c b d.
    found = correlations(made_sweep(SLOW), halving(bands=(1, 3)))
    assert [f.correlation for f in found.values()] == pytest.approx([0.2, 0.8])
    assert str(found[1]) == "0.20 (4 trials)"
    survivors = [SLOW[1], SLOW[2], cut(SLOW[0], 10)]
    assert str(correlations(made_sweep(survivors), halving(bands=(1,)))[1]) == "(2 trials)"


def test_equal_values_share_a_rank():
    assert rank_correlation([1, 2, 2, 3], [1, 2, 3, 4]) == pytest.approx(0.9486833)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None
    assert correlate([(1.0, 2.0)]).correlation is None


# Which rule


OWN = EarlyTerminate(min_iter=1, eta=2)


def test_options_change_the_sweeps_own_rule():
    sweep = made_sweep(SLOW, OWN, bands=(1, 2))
    assert choose_rule(sweep, {}) == Choice("hyperband", OWN, (1, 2), "minimize")
    assert choose_rule(sweep, {"eta": 3.0, "rule": None}).bands == (1, 3)
    assert choose_rule(sweep, {"min_iter": 3}) == Choice(
        "hyperband", EarlyTerminate(min_iter=3, eta=2), (3,), "minimize"
    )
    assert choose_rule(sweep, {"max_iter": 6, "s": 1}).bands == (3,)
    assert choose_rule(sweep, {"rule": "asynchronous", "strict": False}).rule.strict is False
    assert choose_rule(sweep, {"rule": "none"}, "maximize").goal == "maximize"
    cut_once = choose_rule(sweep, {"rule": "one_cut", "min_iter": 2, "keep": 1})
    assert (cut_once.kind, cut_once.bands) == ("one_cut", (2,))
    assert choose_rule(made_sweep(SLOW), {}).kind == "none"
    assert choose_rule(made_sweep(SLOW), {"min_iter": 1}).bands == (1, 3)


def test_another_metric_is_compared_in_its_own_direction():
    accuracy = Metric(name="accuracy", logged=Logged.EVALUATION, goal="maximize")
    curves = [dataclasses.replace(curve, metric=accuracy) for curve in SLOW]
    assert choose_rule(made_sweep(curves, OWN), {"min_iter": 1}).goal == "maximize"
    assert choose_rule(made_sweep(curves, OWN), {"min_iter": 1}, "minimize").goal == "minimize"


def test_bands_follow_the_interval_of_the_metric():
    rare = [
        dataclasses.replace(
            curve, metric=metric_of({}, "train/loss"), training={**curve.training, "log_steps": 20}
        )
        for curve in SLOW
    ]
    assert choose_rule(made_sweep(rare, OWN, bands=(1, 2)), {}).bands == (1,)


@pytest.mark.parametrize(
    ("rule", "options", "key", "value", "words"),
    [
        (OWN, {"eta": 1.0}, "--eta", 1.0, ["1"]),
        (OWN, {"min_iter": 0}, "--min-iter", 0, []),
        (OWN, {"min_iter": 4}, "--min-iter", 4, ["4 values"]),
        (OWN, {"keep": 2}, "--keep", 2, ["one_cut", "hyperband"]),
        (OWN, {"strict": True}, "--strict", True, ["asynchronous", "hyperband"]),
        (OWN, {"s": 2}, "--s", 2, ["--max-iter"]),
        (OWN, {"max_iter": 9}, "--s", None, []),
        (OWN, {"min_iter": 1, "max_iter": 9, "s": 1}, "--min-iter", 1, ["--max-iter"]),
        (OWN, {"rule": "none", "eta": 3.0}, "--eta", 3.0, ["hyperband", "asynchronous"]),
        (OWN, {"rule": "one_cut", "min_iter": 2}, "--keep", None, []),
        (None, {"eta": 3.0}, "--rule", ANY, ["min_iter", "max_iter and s"]),
        (EarlyTerminate(type="one_cut", min_iter=1, keep=1), {"eta": 2.0}, "--eta", 2.0, []),
    ],
)
def test_options_that_do_not_go_together_are_one_line(rule, options, key, value, words):
    problem = problem_of(choose_rule, made_sweep(SLOW, rule, bands=(1, 2)), options)
    assert_problem(problem, key, value, *words, file="resweep decide")


# What is read


def test_curves_are_read_from_the_store(tmp_path):
    sweep = read_sweep("made", "sweep", make_study(tmp_path))
    curves = {curve.trial: curve for curve in sweep.curves}
    assert list(curves) == ["aaa", "bbb", "ccc", "ddd"]
    assert curves["bbb"].points[-1] == (40, 2.1) and curves["bbb"].final == 2.1
    assert (curves["bbb"].status, curves["ddd"].status) == ("finished", "diverged")
    assert curves["ddd"].final is None and curves["ddd"].points[-1] == (40, None)
    assert (sweep.metric, sweep.rule, sweep.rounds) == ("val/loss", None, False)
    assert (
        read_sweep("made", "sweep", make_study(tmp_path / "b"), "train/loss").metric == "val/loss"
    )


def test_what_cannot_be_read_is_one_line(tmp_path):
    layout = make_study(tmp_path)
    problem = problem_of(read_sweep, "made", "swep", layout)
    assert_problem(problem, "phase", "swep", "sweep, rerun")
    problem = problem_of(read_sweep, "no", "sweep", layout)
    assert_problem(problem, "", None, "`snakemake --config study=no`", file="no/study.yaml")
    for metric in ("test/loss", "val/los"):
        problem = problem_of(read_sweep, "made", "sweep", layout, metric)
        assert_problem(problem, "metric", metric, file="made/sweep")
    (layout.run(run_id(layout, "sweep", "aaa")) / "metrics.jsonl").unlink()
    with pytest.raises(StoreError, match="trial aaa"):
        read_sweep("made", "sweep", layout)
    layout.record("made", "sweep", "aaa").unlink()
    with pytest.raises(DamagedFile, match=r"records/aaa\.json"):
        read_sweep("made", "sweep", layout)
    layout.phase("made", "sweep").scores.unlink()
    with pytest.raises(StoreError, match="ranked"):
        read_sweep("made", "sweep", layout)


@pytest.mark.parametrize("content", [b"", b"\0", b"\xff\n", b"a,b\n1,2\n", b"rank,trial\n1,\n"])
def test_a_damaged_ranking_is_one_line(content, tmp_path):
    layout = make_study(tmp_path)
    layout.phase("made", "sweep").scores.write_bytes(content)
    with pytest.raises(DamagedFile, match=r"sweep/scores\.csv: is not a ranking"):
        read_sweep("made", "sweep", layout)
