"""From rung to rung: slots filled, and what each trial got in the end."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resweep.canonical import canonical_json
from resweep.errors import DamagedFile
from resweep.paths import Layout
from resweep.search.promote import RungPlan, check_decisions, conclude, promote, rung_plan_from
from resweep.search.rungs import Rung
from resweep.sweep import EarlyTerminate
from resweep.trials.decisions import read_decisions, write_decisions
from resweep.trials.trial import Outcome, read_outcome, read_trial
from tests.support.outcomes import METRIC, empty, outcome, write_outcome

HALVING = EarlyTerminate(min_iter=1, eta=2)


def plan(slots: int, band: int | None = 2, **changes: Any) -> RungPlan:
    """The first rung of as many trials as give so many slots, at step 10."""
    names = tuple(f"{slot:02d}" for slot in range(1, slots + 1))
    given = {"study": "s", "phase": "p", "rule": HALVING, "rung": Rung(1, 1, 2 * slots - 2)}
    given |= {"band": band, "slots": names, "metric": METRIC, "goal": "minimize", "keep": "best"}
    return RungPlan(**given | changes)


def at_rung(**values: float | None) -> list[Outcome]:
    return [outcome(name, value, "stopped", 10) for name, value in values.items()]


def test_a_plan_is_plain_values_and_back() -> None:
    given = plan(3)
    assert rung_plan_from(json.loads(canonical_json(given.content()))) == given


def test_the_best_get_the_slots_and_the_next_stop() -> None:
    trials, decisions = promote(plan(3), at_rung(a=3.0, b=1.0, c=2.0, d=4.0))
    assert [trial.trial for trial in trials] == ["b", "c", "a"]
    assert {trial.stop for trial in trials} == {20}
    assert trials[0].assignments == {"a": 1} and trials[0].config["training"]["max_steps"] == 40
    assert [row["decision"] for row in decisions] == ["promote"] * 3 + ["stop"]


def test_after_the_last_band_they_train_to_the_end() -> None:
    trials, _ = promote(plan(2, band=None), at_rung(a=3.0, b=1.0))
    assert [trial.stop for trial in trials] == [None, None]


def test_the_metric_and_the_goal_are_those_of_the_plan() -> None:
    outcomes = [
        outcome(name, status="stopped", stop=10, metrics={METRIC: loss, "lr": rate})
        for name, loss, rate in (("a", 1.0, 5.0), ("b", 2.0, 4.0))
    ]
    assert promote(plan(2, metric="lr"), outcomes)[1][0]["trial"] == "b"
    assert promote(plan(2, goal="maximize"), outcomes)[1][0]["trial"] == "b"
    by_lines = promote(plan(2, metric="lr", band=3), outcomes)[0]  # every five steps
    assert {trial.stop for trial in by_lines} == {15}


def test_slots_that_nothing_fills_are_empty_and_say_why() -> None:
    outcomes = [
        *at_rung(a=3.0),
        outcome("b", None, "infeasible", 10, step=0),
        outcome("c", 1.0, "finished", 10),
        empty("d"),
    ]
    trials, decisions = promote(plan(3), outcomes)
    assert [trial.trial for trial in trials] == ["a", "02", "03"]
    assert all("1 of 3 trials" in str(trial.empty) for trial in trials[1:])
    assert trials[1].config == {} and trials[1].stop is None
    assert {row["trial"]: row["decision"] for row in decisions} == {
        "a": "promote", "b": "lost", "c": "done",
    }  # fmt: skip


def test_a_rung_of_empty_slots_promotes_nothing() -> None:
    trials, decisions = promote(plan(2), [empty("a"), empty("b")])
    assert all("0 of 0 trials" in str(trial.empty) for trial in trials)
    assert decisions == []


def test_more_of_the_settings_leave_decisions_as_they_are() -> None:
    """Where the next band lies, and whose weights stay, decides nothing."""
    outcomes = at_rung(a=3.0, b=1.0, c=2.0)
    expected = promote(plan(2), outcomes)[1]
    assert promote(plan(2, band=7, keep="all"), outcomes)[1] == expected


HYPERBAND = EarlyTerminate(min_iter=1, eta=3)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"band": 7, "keep": "all", "slots": ("01",)}, True),
        ({"rule": replace(HALVING, strict=False, min_iter=None, max_iter=4, s=2)}, True),
        ({"rung": Rung(1, 1, 99)}, True),
        ({"rule": replace(HALVING, eta=2.0)}, True),
        ({"rule": HYPERBAND}, False),
        ({"rule": replace(HALVING, type="one_cut", keep=2)}, False),
        ({"rung": Rung(1, 2, 2)}, False),
        ({"rung": Rung(2, 1, 2)}, False),
        ({"metric": "train/loss"}, False),
        ({"goal": "maximize"}, False),
    ],
)
def test_decisions_know_the_settings_that_made_them(changes: dict[str, Any], same: bool) -> None:
    _, (row, *_) = promote(plan(2), at_rung(a=3.0, b=1.0))
    assert row["rule_digest"] == plan(2).rule_digest
    assert (replace(plan(2), **changes).rule_digest == row["rule_digest"]) is same


# In the end

STOPPED_AT_1 = {
    "decision": "stop",
    "rule": "hyperband rung 1: 1 values, eta 2",
    "reason": "rank 3",
}


def decisions_of(*names: str, **row: Any) -> list[dict[str, Any]]:
    return [{"trial": name, **STOPPED_AT_1, **row} for name in names]


def test_each_trial_gets_what_it_had_at_its_last_rung(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    written = [
        write_outcome(outcome("a", 3.0, "stopped", 10), "b1/a", layout),
        write_outcome(outcome("b", 1.0, "stopped", 10), "b1/b", layout),
        write_outcome(outcome("c", 2.0, "stopped", 10), "b1/c", layout),
        write_outcome(outcome("d", None, "diverged", 10, step=7), "b1/d", layout),
        write_outcome(outcome("e", None, "infeasible", 10, run_id=None), "b1/e", layout),
        write_outcome(empty("f", "the target was reached"), "b1/f", layout),
        write_outcome(outcome("b", 0.5), "b2/01", layout),
        write_outcome(outcome("c", 1.9, "stopped", step=23, rule="plateau"), "b2/02", layout),
        write_outcome(empty("03"), "b2/03", layout),
    ]
    conclude(written, decisions_of("a"), layout)
    got = {name: read_outcome(layout.record("s", "p", name)) for name in "abcdef"}
    records = {name: made.record for name, made in got.items()}
    assert sorted(path.stem for path in (tmp_path / "s/p/records").glob("*.json")) == list("abcdef")
    assert {name: record.status for name, record in records.items()} == {
        "a": "stopped", "b": "finished", "c": "stopped", "d": "diverged", "e": "infeasible",
        "f": "empty",
    }  # fmt: skip
    stop_reason = records["a"].stop_reason
    assert STOPPED_AT_1["rule"] in stop_reason and STOPPED_AT_1["reason"] in stop_reason
    assert records["a"].metrics[METRIC] == 3.0 and records["a"].run_id == "runa"
    assert (records["b"].step, got["b"].trial.stop) == (40, None)
    assert (records["c"].rule, records["c"].step) == ("plateau", 23)
    assert records["f"].stop_reason == "the target was reached"
    links = {name for name in "abcdef" if layout.record("s", "p", name).is_symlink()}
    assert links == {"b", "c", "d"}  # what the store has is linked
    assert got["a"].trial.stop == 10 and got["f"].trial.empty


def test_the_store_is_not_written_to(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    written = [write_outcome(outcome("a", 3.0, "stopped", 10), "b1/a", layout)]
    stored = layout.run("runa") / "records/10.json"
    before = stored.read_bytes()
    conclude(written, decisions_of("a"), layout)
    conclude(written, [], layout)  # decided otherwise: it is linked again
    assert stored.read_bytes() == before
    assert layout.record("s", "p", "a").resolve() == stored


def test_promoted_before_and_stopped_later_is_stopped_later(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    written = [
        write_outcome(outcome("a", 3.0, "stopped", 10), "r01/b1/a", layout),
        write_outcome(outcome("a", 2.5, "stopped", 20), "r01/b2/01", layout),
    ]
    rows = [*decisions_of("a", decision="promote"), *decisions_of("a", reason="rank 2")]
    conclude(written, rows, layout)
    made = read_outcome(layout.record("s", "p", "a"))
    assert made.record.step == 20 and "rank 2" in str(made.record.stop_reason)
    assert read_trial(layout.trial("s", "p", "a")).stop == 20


def test_a_trial_lost_on_its_way_keeps_its_own_reason(tmp_path: Path) -> None:
    """Promoted, then out of memory: no stop, whatever step it fell back to."""
    layout = Layout(tmp_path)
    lost = outcome("a", None, "infeasible", 20, step=0, stop_reason="out of memory")
    written = [
        write_outcome(lost, "b2/01", layout),
        write_outcome(outcome("a", 3.0, "stopped", 10), "b1/a", layout),
    ]
    conclude(written, [], layout)
    assert read_outcome(layout.record("s", "p", "a")).record.stop_reason == "out of memory"


def test_decisions_agree_with_the_records_of_their_round(tmp_path: Path) -> None:
    layout, table = Layout(tmp_path), tmp_path / "r01_b1.csv"
    first = [outcome(name, value, "stopped", 10) for name, value in (("a", 3.0), ("b", 1.0))]
    first.append(outcome("c", None, "diverged", 10, step=7))
    trials, decisions = promote(plan(2, band=None), first)
    places = [(made, f"r01/b1/{made.trial.trial}") for made in [*first, empty("d")]]
    places += [(outcome(one.trial, 0.5), f"r01/b2/{n:02d}") for n, one in enumerate(trials, 1)]
    written = [write_outcome(made, place, layout) for made, place in places]
    write_decisions(table, decisions)
    rows = read_decisions([table])
    check_decisions(table, rows, written)
    for number, row in enumerate(rows):
        for change in ({"value": "2.5"}, {"step": "9"}, {"run_id": "other"}, {"trial": "e"}):
            wrong = [*rows[:number], {**row, **change}, *rows[number + 1 :]]
            with pytest.raises(DamagedFile, match=r"r01_b1\.csv"):
                check_decisions(table, wrong, written)
        with pytest.raises(DamagedFile, match=row["trial"]):
            check_decisions(table, [*rows[:number], *rows[number + 1 :]], written)
    swapped = [{**row, "decision": "stop"} for row in rows]
    with pytest.raises(DamagedFile, match=rows[0]["trial"]):
        check_decisions(table, swapped, written)
