"""Records: files of every version are read, and written back byte by byte."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resweep.errors import DamagedFile
from resweep.json_files import from_json, has_checksum, to_json
from resweep.trials.record import (
    Record,
    Status,
    has_result,
    read_record,
    stopped_at_rung,
    write_own_record,
    write_record,
)

FINISHED = """{
  "run_id": "5e51ba90cde4",
  "status": "finished",
  "stop_reason": null,
  "rule": null,
  "step": 12,
  "max_steps": 12,
  "metrics": {
    "train/loss": 5.125,
    "lr": 1e-05,
    "val/loss": 5.0
  },
  "weights": null,
  "parameters": 23456,
  "seconds": 0.31,
  "gpu_seconds": 0.0,
  "device": "cpu",
  "versions": {
    "python": "3.11.9",
    "torch": "2.5.1"
  },
  "code": "0123456789ab"
}
"""
OLD = """{
  "run_id": "5e51ba90cde4",
  "status": "stopped",
  "stop_reason": "hyperband rung 1: 1 value, eta 2: place 3 of 4",
  "step": 4,
  "metrics": {},
  "weights": "ab12"
}
"""
EMPTY = """{
  "run_id": null,
  "status": "empty",
  "stop_reason": "the target was reached",
  "step": 0,
  "metrics": {}
}
"""


def record(**changes: Any) -> Record:
    """A record of a finished run, or another."""
    given: dict[str, Any] = {"run_id": "r", "status": Status.FINISHED, "stop_reason": None}
    return Record(**given | {"step": 8, "metrics": {"val/loss": 2.5}} | changes)


# Files


def altered(text: str, **changes: Any) -> str:
    return json.dumps(json.loads(text) | changes, indent=2) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        FINISHED,
        OLD,
        EMPTY,
        altered(FINISHED, status="infeasible", metrics={}, device_memory=17179869184),
        altered(FINISHED, status="infeasible", metrics={}, device_memory=None),
        altered(FINISHED, status="diverged", metrics={"val/loss": math.nan}),
        altered(FINISHED, status="failed", stop_reason="größer √2"),
        altered(FINISHED, tokens=[1, {"of": "a newer version"}], keys="k", more=None),
    ],
)
def test_a_file_is_written_back_byte_by_byte(text: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    write_record(path, read_record(path))
    assert path.read_text() == text


def test_a_new_record_of_a_run_has_every_key_and_a_checksum() -> None:
    made = Record(
        run_id="5e51ba90cde4",
        status=Status.FINISHED,
        stop_reason=None,
        step=12,
        max_steps=12,
        metrics={"train/loss": 5.125, "lr": 1e-5, "val/loss": 5.0},
        curve="00aa",
        parameters=23456,
        seconds=0.31,
        gpu_seconds=0.0,
        device="cpu",
        versions={"python": "3.11.9", "torch": "2.5.1"},
        code="0123456789ab",
    )
    assert from_json(made.to_json()) == {**json.loads(FINISHED), "curve": "00aa"}
    assert has_checksum(made.to_json()) and not has_checksum(FINISHED)
    assert Record.from_json(made.to_json()).to_json() == made.to_json()


@pytest.mark.parametrize("memory", [None, 17179869184])
def test_only_what_lacked_memory_says_how_much_there_was(memory: int | None) -> None:
    made = record(status=Status.INFEASIBLE, device_memory=memory)
    assert list(from_json(made.to_json()))[-1] == "device_memory"
    assert json.loads(made.to_json())["device_memory"] == memory
    assert "device_memory" not in json.loads(record().to_json())


def test_a_trial_without_a_run_has_a_short_record(tmp_path: Path) -> None:
    write_own_record(tmp_path / "r.json", Status.EMPTY, "the target was reached")
    assert from_json((tmp_path / "r.json").read_text()) == json.loads(EMPTY)


def test_an_old_record_has_what_it_has() -> None:
    old = Record.from_json(OLD)
    assert (old.step, old.weights, old.status) == (4, "ab12", Status.STOPPED)
    assert old.rule is old.max_steps is old.parameters is old.device is old.code is None


def test_a_changed_field_keeps_its_place_and_a_new_one_comes_last() -> None:
    changed = replace(Record.from_json(OLD), stop_reason="other", rule="plateau")
    expected = json.loads(OLD) | {"stop_reason": "other", "rule": "plateau"}
    assert changed.to_json() == json.dumps(expected, indent=2) + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Expecting value"),
        ("[1]", "JSON object"),
        ("[" * 100_000, "JSON"),
        (altered(FINISHED, parameters=10**400), "parameters"),
        (altered(FINISHED, metrics={"val/loss": 10**400}), "val/loss"),
        ('{"run_id": "a", "status": "finished", "step": 1}', "no stop_reason"),
        (altered(FINISHED, status="done"), "'done'"),
        (altered(FINISHED, run_id=""), "run_id"),
        (altered(FINISHED, step="12"), "step = '12'"),
        (altered(FINISHED, step=-1), "step = -1"),
        (altered(FINISHED, step=True), "step = True"),
        (altered(FINISHED, step=13), "max_steps = 12"),
        (altered(FINISHED, metrics=None), "metrics = None"),
        (altered(FINISHED, metrics={"val/loss": "5.0"}), "val/loss"),
        (altered(FINISHED, metrics={"val/loss": True}), "val/loss"),
        (altered(FINISHED, metrics=[1]), "metrics"),
        (altered(FINISHED, seconds=-1.0), "seconds"),
        (altered(FINISHED, parameters=1.5), "parameters"),
        (altered(FINISHED, versions={"torch": 2}), "versions"),
        (altered(FINISHED, checksum="0" * 16), "checksum"),
        (record_text := to_json(json.loads(FINISHED)).replace("5.125", "5.124"), "checksum"),
        (record_text.encode()[:-40], "not JSON"),
    ],
)
def test_what_is_not_a_record_is_named_in_one_line(
    text: str | bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(DamagedFile) as caught:
        read_record(path)
    assert caught.value.path == path and words in caught.value.what
    assert "\n" not in str(caught.value)


def test_a_record_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedFile) as caught:
        read_record(tmp_path / "r.json")
    assert caught.value.path == tmp_path / "r.json"


# What is asked of a record


@pytest.mark.parametrize(
    ("status", "rule", "result", "at_rung", "trained"),
    [
        ("finished", None, True, False, True),
        ("stopped", "plateau", True, False, True),
        ("stopped", None, False, True, True),
        ("diverged", None, False, False, True),
        ("diverged", "divergence", False, False, True),
        ("infeasible", None, False, False, False),
        ("failed", None, False, False, False),
        ("empty", None, False, False, False),
    ],
)
def test_each_status(
    status: str, rule: str | None, result: bool, at_rung: bool, trained: bool
) -> None:
    made = record(status=Status(status), rule=rule)
    assert (made.has_result, made.stopped_at_rung) == (result, at_rung)
    assert made.status.was_trained is trained
    for cell in (rule, "", math.nan) if rule is None else (rule,):  # as in a table
        assert (has_result(status, cell), stopped_at_rung(status, cell)) == (result, at_rung)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_is_finite_or_none(value: float) -> None:
    made = record(metrics={"val/loss": 0.0, "lr": value})
    assert (made.value("val/loss"), made.value("lr"), made.value("acc")) == (0.0, None, None)


def test_the_end_for_people() -> None:
    assert record().end_text == "finished at step 8"
    stopped = record(status=Status.STOPPED, stop_reason="plateau: no gain")
    assert stopped.end_text == "stopped at step 8 (plateau: no gain)"
