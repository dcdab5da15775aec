"""What was a study's best keeps its weights: by itself, as one of seeds, up to a number of runs."""

from pathlib import Path

import pytest

from resweep.errors import StoreError
from resweep.ranking.keep_bests import MOST_RUNS, drop_old_bests
from resweep.ranking.old_bests import OldBests, deciding_scores, find_old_bests
from resweep.store.lasting_claims import Why, claim_for_study, read_standing
from resweep.store.lock import RunLock
from resweep.store.retention import has_claims, release
from resweep.store.run import Run
from tests.support.bests import Ranked
from tests.support.language import score as made_score


@pytest.fixture
def mine(tmp_path: Path) -> Ranked:
    return Ranked(tmp_path)


def old_bests(ranked: Ranked) -> OldBests:
    return find_old_bests(ranked.study, deciding_scores(ranked.study, ranked.layout), ranked.layout)


def better(ranked: Ranked) -> str | None:
    found = old_bests(ranked).better
    return None if found is None else found.claimed[0].run.run_id


def test_a_best_that_falls_out_of_the_ranking_stays_and_is_announced(mine: Ranked, capsys) -> None:
    mine.rank({"a1": 3.037, "b1": 3.2})
    assert mine.kept == {"a1"}
    mine.rank({"c1": 3.142, "d1": 3.143})
    assert mine.kept == {"a1", "c1"} and better(mine) == "a1"
    (warning,) = capsys.readouterr().err.splitlines()
    assert all(part in warning for part in ("3.0370", "3.1420", "run a1", "ra", "a1/checkpoint_20"))
    mine.rank({"c1": 3.142, "a1": 3.037})
    assert better(mine) is None and capsys.readouterr().err == ""


def test_all_seeds_of_rank_1_are_claimed_with_what_they_were(mine: Ranked) -> None:
    mine.rank({"a1": 3.1, "a2": 3.0, "b1": 3.2, "b2": 3.3})
    assert mine.claimed() == mine.kept == {"a1", "a2"}
    standing = mine.standing("a2")
    assert (standing["phase"], standing["runs"], standing["step"]) == ("rerun", ["a1", "a2"], 20)
    assert (standing["value"], standing["final"]) == (pytest.approx(3.05), 3.0)
    assert (standing["metric"], standing["goal"]) == ("val/loss", "minimize")
    assert standing["settings"] == {"rate": "ra"}
    mine.rank({"c1": 3.4, "c2": 3.4})
    assert better(mine) == "a2"  # of the seeds, the best


def test_the_same_ranking_again_writes_no_claim(mine: Ranked) -> None:
    mine.rank({"a1": 3.1})
    file = Run(mine.layout.run("a1")).folder.lasting_claim(Why.BEST, "mine")
    before = file.stat().st_ino
    mine.rank({"a1": 3.1, "b1": 3.2})
    assert file.stat().st_ino == before


def test_a_seed_that_diverged_takes_its_configuration_out(mine: Ranked) -> None:
    mine.rank({"a1": 3.1, "a2": 3.0, "b1": 3.2})
    mine.rank({"a1": 3.1, "a2": 3.0, "a3": None, "b1": 3.2})
    assert mine.claimed() == {"a1", "a2", "b1"} and better(mine) == "a2"


def test_nothing_finished_claims_nothing_and_keeps_what_was(mine: Ranked) -> None:
    mine.rank({"a1": 3.1})
    mine.rank({"b1": None, "c1": None})
    assert mine.claimed() == mine.kept == {"a1"} and better(mine) == "a1"


def test_another_phase_claims_nothing_for_the_study(mine: Ranked) -> None:
    mine.rank({"a1": 3.1}, decides=False)
    mine.rank({"b1": 3.2}, decides=False)
    assert mine.claimed() == set() and mine.kept == {"b1"}


def test_a_phase_after_the_last_or_none_leaves_the_bests_of_the_old_one(mine: Ranked) -> None:
    mine.rank({"a1": 3.1})
    later = Ranked(mine.root, phase="again")
    later.rank({"z1": 3.3})
    assert later.claimed() == {"a1", "z1"} and better(later) == "a1"


@pytest.mark.parametrize(
    "changes", [{"metric": "val/perplexity"}, {"goal": "maximize"}, None], ids=str
)
def test_values_that_do_not_compare_are_not_compared(mine: Ranked, changes) -> None:
    mine.rank({"a1": 3.1})
    if changes is None:
        mine.data = "another text"
    else:
        mine.score = made_score(**changes)
    mine.rank({"b1": 3.3 if changes != {"goal": "maximize"} else 2.9})
    assert mine.kept == {"a1", "b1"} and better(mine) is None


def test_more_is_better_where_the_goal_says_so(mine: Ranked) -> None:
    mine.score = made_score(goal="maximize")
    mine.rank({"a1": 0.8})
    mine.rank({"b1": 0.7})
    assert better(mine) == "a1"
    mine.rank({"c1": 0.9})
    assert better(mine) is None


def test_ties_and_what_the_ranking_has_judged_are_not_better(mine: Ranked) -> None:
    mine.rank({"a1": 3.1})
    mine.rank({"b1": 3.1})
    assert better(mine) is None
    mine.score = made_score(final_weight=-1.0)
    mine.rank({"a1": 3.1, "b1": 3.2})  # ranked by another score: b1 is the best
    assert mine.claimed() == {"a1", "b1"} and better(mine) is None


def test_what_keep_says_counts(mine: Ranked) -> None:
    mine.rank({"a1": 3.1, "b1": 3.2}, keep="all")
    mine.rank({"b1": 3.2, "c1": 3.3}, keep="all")
    mine.rank({"c1": 3.3, "d1": 3.4}, keep="best")
    assert mine.kept == {"a1", "b1", "c1"}
    other = Ranked(mine.root, study="other")
    other.rank({"a1": 3.1})
    mine.rank({"c1": 3.3}, keep="none")
    assert mine.kept == {"a1"} and mine.claimed() == set()  # the other study's
    other.rank({"b1": 3.2}, keep="none")
    assert mine.kept == set()


@pytest.mark.parametrize(
    ("order", "alone"),
    [("each better", False), ("each worse", True)],
    ids=["each better", "each worse, the one before gone"],
)
def test_64_values_added_one_after_another_keep_a_dozen(
    mine: Ranked, order: str, alone: bool, capsys
) -> None:
    values = [3 + n / 100 for n in range(64)]
    if order == "each better":
        values.reverse()
    names = [f"run{n:02}-" for n in range(64)]
    for n, value in enumerate(values):
        best = values.index(min(values[: n + 1]))
        others = {} if alone else {names[best]: values[best]}
        mine.rank({names[n]: value, **others})
        assert len(mine.kept) <= MOST_RUNS <= 12
        assert names[best] in mine.kept  # the best of all never goes
    warnings = [line for line in capsys.readouterr().err.splitlines() if "dropping" in line]
    assert all("checkpoint_20" in line for line in warnings)
    assert len(mine.kept) == MOST_RUNS and len(warnings) == 64 - MOST_RUNS
    if order == "each worse":
        assert mine.kept == {*names[: MOST_RUNS - 1], names[63]}


def test_limit_counts_seeds_and_spares_what_compares_with_nothing_else(mine: Ranked) -> None:
    mine.rank({"x1": 9.0})
    mine.data = "another text"
    for n in range(6):
        mine.rank({f"run{n}{seed}": 3.0 - n / 10 for seed in "123"})
    assert mine.kept == {"x1", *(f"run{n}{seed}" for n in (3, 4, 5) for seed in "123")}


def drop(ranked: Ranked, published: bool = False) -> list[str]:
    old = old_bests(ranked).claimed
    chosen = [one for one in old if one.standing and (published or not one.published)]
    return list(drop_old_bests(ranked.study, chosen, ranked.layout))


def publish(ranked: Ranked, run_id: str) -> None:
    run = Run(ranked.layout.run(run_id))
    standing = read_standing(run, ranked.study)
    assert standing is not None
    claim_for_study(run, Why.PUBLISHED, standing)


def test_dropping_spares_the_best_the_published_and_what_others_keep(mine: Ranked) -> None:
    for run in ("p1", "s1", "a1", "b1"):
        mine.rank({run: 3.0 + ord(run[0]) / 1000})
        if run == "p1":
            publish(mine, run)
    Ranked(mine.root, study="other").rank({"s1": 3.0})
    assert drop(mine) == ["s1"]
    assert mine.kept == {"b1", "p1", "s1"} and mine.claimed() == {"b1", "p1"}
    mine.rank({"c1": 3.5})
    assert mine.kept == {"b1", "c1", "p1", "s1"}
    assert drop(mine, published=True) == []
    assert mine.kept == {"c1", "s1"} and mine.claimed(Why.PUBLISHED) == set()


def test_dropping_waits_for_a_run_that_is_being_trained(mine: Ranked) -> None:
    mine.rank({"a1": 3.1})
    mine.rank({"b1": 3.2})
    with RunLock(mine.layout.run("a1"), timeout=0.0):
        assert drop(mine) == ["a1"]
    assert mine.kept == mine.claimed() == {"a1", "b1"}
    assert drop(mine) == [] and mine.kept == {"b1"}


def test_dropping_needs_a_ranking_unless_the_study_is_gone(mine: Ranked) -> None:
    mine.rank({"a1": 3.1})
    folder = mine.layout.phase("mine", "rerun")
    scores = folder.scores.read_bytes()
    folder.scores.unlink()
    with pytest.raises(StoreError, match=r"scores\.csv"):
        old_bests(mine)
    folder.scores.write_bytes(scores)
    mine.describe(rerun="sweep", later="sweep")
    with pytest.raises(StoreError, match=r"later/scores\.csv"):
        old_bests(mine)
    mine.describe(earlier="sweep")  # the phase was removed, and nobody would release its trials
    mine.layout.phase("mine", "earlier").scores.write_bytes(scores.replace(b"a1", b"z1"))
    assert drop(mine) == [] and mine.kept == set()


def test_the_ranking_of_the_phase_that_decides_is_compared_with(mine: Ranked) -> None:
    mine.rank({"a1": 3.1})
    mine.describe(sweep="sweep", rerun="rerun", focus="resample")
    rerun = mine.layout.phase("mine", "rerun").scores
    assert deciding_scores("mine", mine.layout) == rerun


def test_a_study_that_was_renamed_leaves_bests_that_can_be_dropped(mine: Ranked) -> None:
    mine.rank({"a1": 3.1})
    mine.layout.study("mine").path.rename(mine.layout.study("renamed").path)
    assert deciding_scores("mine", mine.layout) is None
    assert drop(mine) == [] and mine.kept == set()
    with pytest.raises(StoreError, match="mine"):
        deciding_scores("mine", mine.layout)


@pytest.mark.parametrize("content", ["", "{", "[]", "5", '{"study": "mine"}', "\0\0"])
def test_a_damaged_claim_is_reported_and_keeps_the_weights(
    content: str, mine: Ranked, caplog
) -> None:
    mine.rank({"a1": 3.1})
    file = Run(mine.layout.run("a1")).folder.lasting_claim(Why.BEST, "mine")
    file.write_text(content)
    mine.rank({"b1": 3.2})
    assert mine.kept == {"a1", "b1"} and str(file) in caplog.text
    assert better(mine) is None and drop(mine) == [] and mine.kept == {"a1", "b1"}
    assert [one.standing for one in old_bests(mine).claimed] == [None]
    mine.rank({"a1": 3.1, "b1": 3.2})  # the best again: its claim is whole again
    assert mine.standing("a1")["value"] == 3.1


def test_weights_that_were_restored_and_those_that_are_gone(mine: Ranked) -> None:
    mine.rank({"a1": 3.1, "b1": 3.2})
    mine.save("b1")
    decisions = mine.rank({"b1": 3.2})
    assert [row["decision"] for row in decisions] == ["keep"] and mine.claimed() == {"a1", "b1"}
    for file in (mine.layout.run("a1") / "checkpoint_20").iterdir():
        file.unlink()
    (mine.layout.run("a1") / "checkpoint_20").rmdir()
    assert better(mine) is None  # the record alone brings nothing back


def test_claims_of_studies_are_no_claims_of_trials(mine: Ranked) -> None:
    best = Ranked(mine.root, study="best", phase="published")
    best.rank({"a1": 3.1})
    run = Run(mine.layout.run("a1"))
    assert [trial for _, trial in mine.layout.claims_of("best", "published")] == ["00"]
    release(run, "best", "published", "00")
    assert has_claims(run) and mine.kept == {"a1"}
    run.folder.lasting_claim(Why.BEST, "best").unlink()
    (run.folder.claims / "best/.best.json.0123").touch()  # of a killed process
    assert not has_claims(run)


def test_forgotten_runs_take_their_claims_along(mine: Ranked) -> None:
    mine.rank({"a1": 3.1})
    mine.rank({"b1": 3.2})
    mine.layout.trash.mkdir()
    mine.layout.run("a1").rename(mine.layout.trash / "a1")
    assert old_bests(mine).claimed == () and better(mine) is None
    (mine.layout.trash / "a1").rename(mine.layout.run("a1"))
    assert better(mine) == "a1"
