"""The run store: goals and their records, the lock and its lease, weights and forgetting."""

import fcntl
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from resweep.data.store import Prepared
from resweep.errors import Interrupted, LeaseLost, LockTimeout, ProcessLost, StoreError
from resweep.files import link_relative, write_atomically
from resweep.paths import Layout
from resweep.store import lock as lock_module
from resweep.store.advance import advance
from resweep.store.attempts import Attempts
from resweep.store.forget import drifted_runs, failed_runs, forget_runs, runs_of_phase
from resweep.store.lock import RunLock, read_lease
from resweep.store.retention import claim, release
from resweep.store.run import Run
from resweep.study.schema import Resources
from resweep.training.gradient_learner import GradientLearner
from resweep.trials.trial import Trial
from tests.support.asked import Asked, ask, run_of
from tests.support.needs import trial_needs
from tests.support.tiny import LANGUAGE, configure, prepare


@pytest.fixture
def data(tmp_path: Path) -> Prepared:
    return prepare(tmp_path / "data")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "results")


def request(data: Prepared, changes: dict[str, Any] | None = None, **options: Any) -> Asked:
    return ask(configure(data, **(changes or {})), data, **options)


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


# Goals


def test_a_request_is_answered_from_the_store_the_second_time(data, layout):
    asked = request(data)
    record = advance(*asked, layout)
    before = record.stat().st_mtime_ns
    assert read(record)["status"] == "finished" and read(record)["step"] == 12
    assert advance(*asked, layout) == record
    assert record.stat().st_mtime_ns == before
    assert len(Attempts(run_of(asked, layout)).all()) == 1


def test_a_stopped_run_goes_on_to_the_same_weights(data, layout):
    whole = read(advance(*request(data), layout))
    other = Layout(layout.root.with_name("other"))
    stopped = read(advance(*request(data, stop=5), other))
    assert (stopped["status"], stopped["step"], stopped["max_steps"]) == ("stopped", 5, 12)
    assert stopped["metrics"]["val/loss"] > whole["metrics"]["val/loss"]
    finished = read(advance(*request(data), other))
    assert finished["weights"] == whole["weights"]
    run = run_of(request(data), other)
    assert [segment["from_step"] for segment in run.state()["segments"]] == [0, 5]
    here = run_of(request(data), layout).path / "metrics.jsonl"
    assert (run.path / "metrics.jsonl").read_bytes() == here.read_bytes()
    assert read(advance(*request(data, stop=5), other)) == stopped


def test_an_earlier_stop_of_a_finished_run_is_trained_beside_it(data, layout):
    advance(*request(data), layout)
    run = run_of(request(data), layout)
    metrics = (run.path / "metrics.jsonl").read_bytes()
    stopped = read(advance(*request(data, stop=5), layout))
    assert stopped["step"] == 5
    assert (run.path / "metrics.jsonl").read_bytes() == metrics
    assert (run.path / "checkpoint_12").is_dir() and not (run.path / "again").exists()


@pytest.mark.parametrize("stop", [6, 12])
def test_an_earlier_stop_at_an_evaluation_follows_from_the_metrics(stop, data, layout):
    """As if it had been trained to there, apart from the weights: at 12 they are the run's own."""
    other = Layout(layout.root.with_name("other"))
    expected = read(advance(*request(data, stop=stop), other))
    advance(*request(data), layout)
    run = run_of(request(data), layout)
    assert run.is_served(request(data, stop=stop).goal)
    told = read(advance(*request(data, stop=stop), layout))
    assert len(Attempts(run).all()) == 1
    measured = ("seconds", "gpu_seconds", "weights", "checksum")
    assert {k: v for k, v in told.items() if k not in measured} == {
        k: v for k, v in expected.items() if k not in measured
    }
    assert told["weights"] == (expected["weights"] if stop == 12 else None)


def test_weights_of_an_earlier_stop_are_trained_beside_the_run(data, layout):
    advance(*request(data), layout)
    run = run_of(request(data), layout)
    assert not run.is_served(request(data, stop=6, weights=True).goal)
    assert read(advance(*request(data, stop=6, weights=True), layout))["weights"]
    assert run.has_weights(6) and len(Attempts(run).all()) == 2


def test_what_is_not_settled_tells_nothing(data, layout):
    """Lines behind the last checkpoint are written again, on who knows what device."""
    advance(*request(data), layout)
    run = run_of(request(data), layout)
    shutil.rmtree(run.path / "records")
    shutil.rmtree(run.path / "checkpoint_12")
    assert not run.is_served(request(data, stop=6).goal)


def test_an_interrupted_run_says_so_and_saves(data, layout):
    at_once = request(data, interrupted=lambda: True)
    with pytest.raises(Interrupted, match="step 0 of 12"):
        advance(*at_once, layout)
    assert "attempts" not in run_of(at_once, layout).state()
    told = iter([False, True])
    asked = request(data, interrupted=lambda: next(told))
    with pytest.raises(Interrupted, match="step 1 of 12"):
        advance(*asked, layout)
    run = run_of(asked, layout)
    assert Attempts(run).all()[-1]["end"] == "interrupted"
    assert (run.path / "checkpoint_1").is_dir() and not run.records()
    assert read(advance(*request(data), layout))["status"] == "finished"


def test_the_same_error_at_the_same_step_twice_is_a_failure(data, layout, monkeypatch):
    step = GradientLearner.train_step

    def broken(self: GradientLearner, *_: Any) -> None:
        if self.step == 3:
            raise RuntimeError("a kernel of its own")
        step(self)

    monkeypatch.setattr(GradientLearner, "train_step", broken)
    asked = request(data)
    with pytest.raises(RuntimeError):
        advance(*asked, layout)
    record = read(advance(*asked, layout))
    assert record["status"] == "failed" and "a kernel of its own" in record["stop_reason"]
    run = run_of(asked, layout)
    assert failed_runs([run.run_id], layout) == [run.run_id]
    monkeypatch.undo()
    forget_runs([run.run_id], layout)
    assert read(advance(*asked, layout))["status"] == "finished"


def test_a_full_device_is_infeasible_for_as_much_memory_only(data, layout, monkeypatch):
    def full(self: GradientLearner, *_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(GradientLearner, "train_step", full)
    for module in ("advance", "training_attempt"):
        monkeypatch.setattr(f"resweep.store.{module}.device_memory", lambda device: 1000)
    asked = request(data)
    record = read(advance(*asked, layout))
    assert record["status"] == "infeasible" and "memory" in record["stop_reason"]
    run = run_of(asked, layout)
    assert run.find_record(asked.goal, device_memory=1000) is not None
    assert run.find_record(asked.goal, device_memory=2000) is None


def test_diverging_ends_the_run_and_answers_later_stops(data, layout):
    asked = request(data, {"training__learning_rate": 1e15, "training__grad_clip": 0.0})
    record = read(advance(*asked, layout))
    assert record["status"] == "diverged" and record["metrics"] == {}
    run = run_of(asked, layout)
    assert run.find_record(replace(asked.goal, stop=record["step"])) is not None
    assert run.state()["status"] == "diverged"


def test_weights_that_nobody_keeps_are_not_saved(data, layout):
    asked = request(data, keep_weights=False)
    assert read(advance(*asked, layout))["weights"] is None
    assert not list(run_of(asked, layout).path.glob("checkpoint_*"))


# Attempts


@pytest.mark.parametrize(("limit", "times"), [(1, 1), (10**6, 0), (None, 0)])
def test_another_process_that_vanished_may_have_been_out_of_memory(
    limit, times, data, layout, monkeypatch
):
    def lost(self: GradientLearner, *_: Any) -> None:
        raise ProcessLost("another process of the training is gone")

    monkeypatch.setattr(GradientLearner, "train_step", lost)
    asked = request(data, memory_limit_mb=limit)
    with pytest.raises(ProcessLost):
        advance(*asked, layout)
    assert Attempts(run_of(asked, layout)).out_of_memory_count() == times


def test_a_process_that_vanished_counts_as_killed_or_out_of_memory(tmp_path):
    run = Run(tmp_path / "run")
    run.path.mkdir()
    lease = {"memory_mb": 990, "memory_limit_mb": 1000, "step": 7}
    (run.path / "lease.json").write_text(json.dumps(lease))
    attempts = Attempts(run)
    attempts.begin(1, 0, "cpu")
    assert attempts.all()[-1]["end"] == "out of memory" and attempts.out_of_memory_count() == 1
    (run.path / "lease.json").write_text(json.dumps(lease | {"memory_mb": 300}))
    assert attempts.all()[-1]["end"] == "killed" and attempts.out_of_memory_count() == 0


def test_killed_at_the_same_step_again_and_again_is_used_up(data, layout):
    asked = request(data)
    run = run_of(asked, layout)
    for generation in range(8):
        run.path.mkdir(parents=True, exist_ok=True)
        Attempts(run).begin(generation, 0, "cpu")
    record = read(advance(*asked, layout))
    assert record["status"] == "failed" and "without progress" in record["stop_reason"]


def test_memory_grows_after_running_out_of_it_and_links_need_no_gpu(data, layout, monkeypatch):
    monkeypatch.setattr("resweep.data.store.find", lambda *_: data)
    asked = request(data)
    run = run_of(asked, layout)
    trial, wanted = (
        Trial("s", "p", "t", config=asked.goal.config),
        Resources(gpus=2, gpu_model="a100"),
    )
    first = trial_needs(trial, wanted, "best", layout)
    assert first.gres == "gpu:a100:2"
    run.path.mkdir(parents=True)
    lease(run.path, host=socket.gethostname(), memory_mb=9, memory_limit_mb=10)
    Attempts(run).begin(1, 0, "cpu")
    grown = trial_needs(trial, wanted, "best", layout)
    assert grown.mem_mb == pytest.approx(1.5 * first.mem_mb, rel=0.01)
    advance(*asked, layout)
    served = trial_needs(trial, wanted, "best", layout)
    assert served.gres is None and served.partition is None


def test_a_crash_while_a_retraining_is_published_loses_nothing(data, layout, monkeypatch):
    record = advance(*request(data), layout)
    run = run_of(request(data), layout)
    metrics = (run.path / "metrics.jsonl").read_bytes()
    release(run, "s", "p", "t")
    assert not list(run.path.glob("checkpoint_*"))
    monkeypatch.setattr("shutil.rmtree", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        advance(*request(data, weights=True), layout)
    monkeypatch.undo()
    assert advance(*request(data, weights=True), layout) == record
    assert (run.path / "metrics.jsonl").read_bytes() == metrics
    assert (run.path / "checkpoint_12").is_dir()


def test_a_retraining_that_fails_takes_nothing_from_the_record(data, layout, monkeypatch):
    record = advance(*request(data), layout)
    run = run_of(request(data), layout)
    release(run, "s", "p", "t")

    def broken(self: GradientLearner, *_: Any) -> None:
        raise RuntimeError("broken now")

    monkeypatch.setattr(GradientLearner, "train_step", broken)
    for error in (RuntimeError, StoreError):
        with pytest.raises(error, match="broken now"):
            advance(*request(data, weights=True), layout)
    assert advance(*request(data), layout) == record


def test_memory_grows_for_each_time_it_ran_out(data, layout):
    asked = request(data)
    run = run_of(asked, layout)
    attempts = Attempts(run)
    for count in (1, 2):
        lease(run.path, host=socket.gethostname(), memory_mb=9, memory_limit_mb=10, step=0)
        with RunLock(run.path, timeout=0.0) as lock:
            attempts.close(lock.previous)
            attempts.begin(lock.generation, 0, "cpu")
        lease(run.path, host=socket.gethostname(), memory_mb=9, memory_limit_mb=10, step=0)
        assert attempts.out_of_memory_count() == count


def test_a_claim_of_another_study_has_the_weights_saved(data, layout):
    asked = request(data, keep_weights=False)
    claim(run_of(asked, layout), "other", "p", "t")
    assert read(advance(*asked, layout))["weights"] is not None


def test_an_error_after_the_last_step_counts_too(data, layout, monkeypatch):
    def broken(self: GradientLearner) -> dict[str, float]:
        raise RuntimeError("no room for the test")

    monkeypatch.setattr(GradientLearner, "conclude", broken)
    with pytest.raises(RuntimeError):
        advance(*request(data), layout)
    assert read(advance(*request(data), layout))["status"] == "failed"


# Lock and lease


def test_a_waiter_leaves_when_it_is_interrupted(tmp_path):
    with (
        RunLock(tmp_path, timeout=0.0),
        pytest.raises(Interrupted, match="waiting"),
        RunLock(tmp_path, timeout=60.0, interrupted=lambda: True),
    ):
        pass


def test_a_waiter_notices_that_the_run_was_forgotten(tmp_path):
    folder = tmp_path / "run"
    with RunLock(folder, timeout=0.0):
        waiting = RunLock(folder, timeout=20.0)
        thread = threading.Thread(target=waiting.__enter__)
        thread.start()
        while waiting._file is None:
            pass
        folder.rename(tmp_path / "trash")
    thread.join()
    with pytest.raises(LockTimeout):
        RunLock(folder, timeout=0.0).__enter__()
    waiting.__exit__(None, None, None)


def lease(folder: Path, **changes: Any) -> None:
    """A lease of another host, as it stands in a shared folder."""
    content = {"generation": 4, "token": "theirs", "host": "elsewhere", "pid": 1, "beats": 1}
    write_atomically(folder / "lease.json", json.dumps(content | changes))


def test_a_waiter_gives_up_in_time_and_says_who_holds_the_run(tmp_path):
    with (
        RunLock(tmp_path, timeout=1.0, details=lambda: {"step": 42}),
        pytest.raises(LockTimeout, match=r"process .* at step 42.*\bcommand\b"),
        RunLock(tmp_path, timeout=0.1),
    ):
        pass


def test_a_silent_host_is_taken_over_with_a_higher_generation(tmp_path):
    lease(tmp_path)
    with RunLock(tmp_path, timeout=10.0, stale_after=0.3) as mine:
        assert mine.generation == 5
        mine.confirm()


def test_who_only_looks_in_finds_a_silent_host_as_well(tmp_path):
    lease(tmp_path)
    for beats in (1, 2):  # it is heard of in between
        lease(tmp_path, beats=beats)
        with pytest.raises(LockTimeout):
            RunLock(tmp_path, timeout=0.0, stale_after=0.0).__enter__()
    with RunLock(tmp_path, timeout=0.0, stale_after=0.0) as mine:
        assert mine.generation == 5


def test_a_host_that_is_heard_of_is_not_taken_over(tmp_path):
    done = threading.Event()

    def beat() -> None:
        beats = 2
        while not done.wait(0.05):
            lease(tmp_path, beats=beats)
            beats += 1

    lease(tmp_path)
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(LockTimeout, match="held by elsewhere"):
            RunLock(tmp_path, timeout=1.0, stale_after=0.5).__enter__()
    finally:
        done.set()
        thread.join()


def test_a_released_lease_of_another_host_is_free_at_once(tmp_path):
    lease(tmp_path, released=True)
    with RunLock(tmp_path, timeout=0.0) as mine:
        assert mine.generation == 5


def test_who_lost_the_lease_publishes_nothing(data, layout, monkeypatch):
    asked = request(data, {"training__save_steps": 4})
    run = run_of(asked, layout)
    step = GradientLearner.train_step

    def lose(self: GradientLearner, *_: Any) -> None:
        step(self)
        if self.step == 3:
            lease(run.path, generation=99)

    monkeypatch.setattr(GradientLearner, "train_step", lose)
    with pytest.raises(LeaseLost, match="taken over by elsewhere"):
        advance(*asked, layout)
    assert not list(run.path.glob("checkpoint_*")) and not run.records()
    assert read_lease(run.path)["token"] == "theirs"


def test_the_lock_goes_with_its_process(tmp_path):
    with (
        RunLock(tmp_path, timeout=0.0),
        (tmp_path / "lock").open() as file,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / "lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_the_heartbeat_continues_while_the_training_is_busy(tmp_path, monkeypatch):
    monkeypatch.setattr(lock_module, "HEARTBEAT_SECONDS", 0.02)
    with RunLock(tmp_path, timeout=0.0) as mine:
        first = read_lease(tmp_path)
        latest, deadline = first, time.monotonic() + 20
        while latest["beats"] < first["beats"] + 3 and time.monotonic() < deadline:
            latest = read_lease(tmp_path)
        assert latest["beats"] >= first["beats"] + 3
        assert (latest["token"], latest["released"], mine.lost) == (first["token"], False, False)


# Weights and forgetting


@pytest.fixture
def trained(data: Prepared, layout: Layout) -> Iterator[Run]:
    asked = request(data)
    record = advance(*asked, layout)
    link_relative(layout.record("s", "p", "t"), record)
    yield run_of(asked, layout)


def test_weights_stay_while_anyone_claims_them(trained, data):
    claim(trained, "s", "p", "a")
    claim(trained, "s", "q", "b")
    release(trained, "s", "p", "a")
    assert (trained.path / "final_checkpoint/model.safetensors").is_file()
    release(trained, "s", "q", "b")
    assert not list(trained.path.glob("*checkpoint*"))
    goal = request(data).goal
    assert trained.find_record(goal) is not None
    assert trained.find_record(replace(goal, weights=True)) is None


def test_forgetting_moves_the_run_and_leaves_its_links_dangling(trained, layout):
    assert runs_of_phase("s", "p", layout) == [trained.run_id]
    (place,) = forget_runs([trained.run_id], layout)
    assert (place / "record.json").is_file() and not trained.path.exists()
    link = layout.record("s", "p", "t")
    assert link.is_symlink() and not link.exists()


def test_forgetting_a_phase_includes_trials_that_a_rung_stopped(trained, layout):
    at_rung = layout.record("s", "p", "b1/t")
    link_relative(at_rung, next(iter(trained.records().values())))
    own = layout.record("s", "p", "t")
    own.unlink()
    own.write_bytes(at_rung.read_bytes())
    assert runs_of_phase("s", "p", layout) == [trained.run_id]
    assert runs_of_phase("s", None, layout) == [trained.run_id]


def test_forgetting_something_else_moves_nothing(trained, layout):
    for name in ("../s", "nothing", ".", ".."):
        with pytest.raises(StoreError, match=name):
            forget_runs([trained.run_id, name], layout)
    assert trained.path.is_dir()
    with pytest.raises(StoreError, match="s/other"):
        runs_of_phase("s", "other", layout)


def test_runs_of_older_code_have_drifted(trained, layout):
    assert drifted_runs([trained.run_id], layout) == []
    trained.update(code="older")
    assert drifted_runs([trained.run_id], layout) == [trained.run_id]


def test_runs_of_a_system_that_was_removed_have_drifted(trained, layout):
    trained.update(identity={**trained.state()["identity"], "system": "gone"})
    assert drifted_runs([trained.run_id], layout) == [trained.run_id]


def test_the_shipped_defaults_are_a_valid_configuration():
    assert LANGUAGE.validate({"training": {"max_steps": 1}}).model.kind == "gpt"
