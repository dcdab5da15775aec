"""Packs of real trainings: equal to trainings alone, whatever happens to some of them."""

import json
import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest
import torch

from resweep.jobs.train_pack import PackJob
from resweep.machine.gpus import default_folder
from resweep.machine.log_file import add_log_file
from resweep.machine.signals import STOP
from resweep.store import training_attempt
from resweep.store.attempts import OUT_OF_MEMORY
from resweep.systems.language.system import LanguageSystem
from resweep.trials.pack import Asked, write_pack
from resweep.trials.trial import write_trial
from tests.conftest import ROOT
from tests.support.packs import STEPS, PackPlace

SIX = (1e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1e-2)
WHOLE = list(range(1, STEPS + 1))


@pytest.fixture
def place(tmp_path: Path) -> PackPlace:
    return PackPlace(tmp_path)


def test_in_a_pack_they_are_what_they_are_alone(place: PackPlace, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    other = PackPlace(alone, data__paths=[str(tmp_path / "text.txt")])
    other.train_alone(other.pack(*SIX[:3]))
    assert place.train(place.pack(*SIX[:3]))["done"]
    found = place.results()
    assert sum(name.endswith("model.safetensors") for name in found) == 3
    assert found == other.results()


def test_two_train_at_once_and_never_three(place: PackPlace) -> None:
    def at_step(rate: float, step: int) -> None:
        """Let the first two wait for each other, also after their first step."""
        if step <= 2:
            (place.path / f"begun-{step}-{rate}").touch()
            while len(list(place.path.glob(f"begun-{step}-*"))) < 2:
                os.sched_yield()

    assert place.train(place.pack(*SIX), at_step)["done"]
    order = [process for _, process, _ in place.steps()]
    last = {process: position for position, process in enumerate(order)}
    running = [
        len([p for p in set(order[: position + 1]) if last[p] >= position])
        for position in range(len(order))
    ]
    assert max(running) == 2


def test_another_value_trains_its_trial_alone(place: PackPlace) -> None:
    first, inner, last = SIX[0], SIX[2], SIX[-1]
    rest = [rate for rate in SIX if rate not in (first, inner, last)]
    place.train(place.pack(*rest))
    for added in (first, inner, last):
        before = len(place.steps())
        rest = sorted([*rest, added])
        assert place.train(place.pack(*rest))["done"]
        assert [(rate, step) for rate, _, step in place.steps()[before:]] == [
            (added, step) for step in WHOLE
        ]
    assert place.train(place.pack(*SIX))["done"] and len(place.steps()) == 6 * STEPS


def test_a_child_that_crashes_takes_no_other_along(place: PackPlace) -> None:
    bad = SIX[2]

    def at_step(rate: float, step: int) -> None:
        if rate == bad and step == 9:
            os.kill(os.getpid(), signal.SIGSEGV)

    ended = place.train(place.pack(*SIX), at_step)
    assert ended["done"] is False and list(ended["failed"]) == [place.name(bad)]
    assert "SIGSEGV" in ended["failed"][place.name(bad)] and ended["left"] == []
    assert place.ends(bad) == ["killed", None]  # tried again once; the next attempt closes it
    before = len(place.steps())
    assert all(place.record(rate)["status"] == "finished" for rate in SIX if rate != bad)
    assert place.train(place.pack(*SIX))["done"]
    assert {rate for rate, *_ in place.steps()[before:]} == {bad}


def killing(place: PackPlace, bad: float, number: int) -> Callable[[float, int], None]:
    """Kill the training of a rate at its ninth step, the first time."""

    def at_step(rate: float, step: int) -> None:
        mark = place.path / "killed"
        if rate == bad and step == 9 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), number)

    return at_step


def test_one_that_was_killed_is_continued_in_the_same_job(place: PackPlace) -> None:
    bad = SIX[1]
    ended = place.train(place.pack(*SIX[:3]), killing(place, bad, signal.SIGKILL))
    assert ended["done"] and ended["at_once"] == 2
    assert place.ends(bad) == ["killed", "completed"]
    assert place.steps_of(bad) == [*range(1, 9), *WHOLE]  # nothing was saved before


def test_one_that_saved_by_itself_is_not_continued(place: PackPlace) -> None:
    bad = SIX[1]
    ended = place.train(place.pack(*SIX[:3]), killing(place, bad, signal.SIGTERM))
    assert (ended["done"], list(ended["failed"])) == (False, [place.name(bad)])
    assert place.ends(bad) == ["interrupted"]


@pytest.mark.parametrize("known_by", ["its size", "the kernel"])
def test_a_kill_for_memory_lowers_how_many_run_at_once(
    known_by: str, place: PackPlace, tmp_path: Path
) -> None:
    bad, events = SIX[3], tmp_path / "vmstat"
    events.write_text("oom_kill 5\n")
    kill = killing(place, bad, signal.SIGKILL)

    def at_step(rate: float, step: int) -> None:
        if known_by == "the kernel" and rate == bad and step == 9:
            events.write_text("oom_kill 6\n")
        kill(rate, step)

    limit = 1 if known_by == "its size" else 10**6
    options = {"events": events, "memory_limit_mb": limit}
    ended = place.train(place.pack(*SIX), at_step, at_once=4, **options)
    assert ended["done"] and ended["at_once"] == 2
    assert place.ends(bad) == [OUT_OF_MEMORY, "completed"]


def test_kills_of_one_moment_count_once(place: PackPlace, tmp_path: Path) -> None:
    """What the kernel kills together lacked memory together."""

    def at_step(rate: float, step: int) -> None:
        (tmp_path / f"here-{rate}").touch()
        while len(list(tmp_path.glob("here-*"))) < 4:
            os.sched_yield()
        mark = tmp_path / f"killed-{rate}"
        if step == 3 and rate in SIX[:3] and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    ended = place.train(place.pack(*SIX[:4]), at_step, at_once=4, memory_limit_mb=1)
    assert ended["done"] and ended["at_once"] == 2


def test_memory_that_cannot_be_had_is_no_bug(place: PackPlace) -> None:
    """A limit of the shell: torch raises a RuntimeError, Python a MemoryError."""
    bad = SIX[0]

    def at_step(rate: float, step: int) -> None:
        if rate == bad and step == 3 and place.ends(bad) == [None]:
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
            torch.empty(2**30, dtype=torch.uint8)

    ended = place.train(place.pack(*SIX[:2]), at_step)
    assert ended["done"] and ended["at_once"] == 1
    assert place.ends(bad) == [OUT_OF_MEMORY, "completed"]


def test_a_gpu_that_others_fill_is_waited_for(
    place: PackPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = SIX[0]
    monkeypatch.setattr(training_attempt, "is_shared", lambda device: True)

    def at_step(rate: float, step: int) -> None:
        if rate == bad and step == 3 and place.ends(bad) == [None]:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    ended = place.train(place.pack(*SIX), at_step, at_once=4)
    assert ended["done"] and ended["at_once"] == 2
    assert [end[:8] for end in place.ends(bad)] == ["machine:", "complete"]


def test_a_fork_that_fails_waits_for_one_that_ends(place: PackPlace) -> None:
    def before(pack: PackJob) -> None:
        usual = os.fork

        def fork() -> int:
            if len(pack._running) == 2:  # as `ulimit -u` does, which does not bind root
                raise BlockingIOError(11, "Resource temporarily unavailable")
            return usual()

        os.fork = fork

    ended = place.train(place.pack(*SIX), at_once=4, before=before)
    assert ended["done"] and ended["at_once"] == 2


@pytest.mark.parametrize(("number", "count"), [*zip(STOP, [1, 2, 2, 1], strict=True)])
def test_a_signal_to_the_pack_has_all_save(number: int, count: int, place: PackPlace) -> None:
    def at_step(rate: float, step: int) -> None:
        if step == 5:
            while {one for one, *_ in place.steps()} != set(SIX[:2]):  # both train
                os.sched_yield()
            for _ in range(count if rate == SIX[0] else 0):
                os.kill(os.getppid(), number)
            while not place.received:  # both are asked while they train
                os.sched_yield()

    ended = place.train(place.pack(*SIX), at_step)
    assert ended["done"] is None and ended["left"] == []
    assert {rate for rate, *_ in place.steps()} == set(SIX[:2])
    assert place.ends(SIX[0]) == place.ends(SIX[1]) == ["interrupted"]
    assert max(step for *_, step in place.steps()) < STEPS
    assert place.train(place.pack(*SIX))["done"]
    assert all(place.steps_of(rate) == WHOLE for rate in SIX)


def test_a_signal_during_a_fork_has_all_save(place: PackPlace) -> None:
    def before(pack: PackJob) -> None:
        own = os.getpid()

        def at_fork() -> None:
            if os.getpid() == own and len(pack._running) == 1:
                os.kill(own, signal.SIGTERM)

        os.register_at_fork(before=at_fork)

    def at_step(rate: float, step: int) -> None:
        while step == 5 and not place.received:
            os.sched_yield()

    ended = place.train(place.pack(*SIX), at_step, at_once=4, before=before)
    assert ended["done"] is None and ended["left"] == []
    assert len({rate for rate, *_ in place.steps()}) <= 2
    assert place.train(place.pack(*SIX))["done"]
    assert all(place.steps_of(rate) == WHOLE for rate in SIX)


def test_a_signal_while_data_is_prepared_ends_that(
    place: PackPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = LanguageSystem.prepare_data

    def prepare(*arguments: object) -> object:
        os.kill(os.getppid(), signal.SIGTERM)
        Event().wait()
        return usual(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(LanguageSystem, "prepare_data", prepare)
        ended = place.train(place.pack(*SIX))
    assert (ended["done"], ended["left"], place.steps()) == (None, [], [])
    assert place.train(place.pack(*SIX[:2]))["done"]


def test_under_nohup_a_closed_terminal_stops_nothing(place: PackPlace) -> None:
    """It is sent to the children too."""

    def before(pack: PackJob) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def at_step(rate: float, step: int) -> None:
        os.kill(os.getpid(), signal.SIGHUP)

    assert place.train(place.pack(*SIX[:2]), at_step, before=before)["done"]


def test_the_parent_forks_without_threads_and_locks(
    place: PackPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries that prepare data start threads, which stay."""
    usual = LanguageSystem.prepare_data

    def prepare(*arguments: object) -> object:
        Thread(target=Event().wait, daemon=True).start()
        return usual(*arguments)

    monkeypatch.setattr(LanguageSystem, "prepare_data", prepare)
    seen = place.path / "forks"

    def before(pack: PackJob) -> None:
        own = os.getpid()

        def at_fork() -> None:
            if os.getpid() != own:
                return
            threads = len(list(Path("/proc/self/task").iterdir()))
            locks = Path("/proc/locks").read_text().split()
            with seen.open("a") as file:
                file.write(json.dumps([threads, str(own) in locks]) + "\n")

        os.register_at_fork(before=at_fork)

    killed = killing(place, SIX[0], signal.SIGKILL)
    ended = place.train(place.pack(*SIX[:3]), killed, before=before, memory_limit_mb=1)
    assert ended["done"]
    forks = [json.loads(line) for line in seen.read_text().splitlines()]
    assert len(forks) == 1 + 3 + 2 and {tuple(one) for one in forks} == {(1, False)}


def test_what_is_wrong_with_one_trial_is_not_with_the_others(place: PackPlace) -> None:
    place.train(place.pack(*SIX[:2]))
    broken = place.name(SIX[2])
    for trial in place.pack(*SIX[:4]).known_trials():
        file = place.layout.trial("s", "p", trial.trial)
        write_trial(file, trial)
    place.layout.trial("s", "p", broken).write_text("- 1")
    known = replace(place.pack(*SIX[:4]), config=None, asked=())
    ended = place.train(known)
    assert (ended["done"], list(ended["failed"])) == (False, [broken])
    there = {file.stem for file in place.layout.root.glob("s/p/records/*.json")}
    assert there == {place.name(rate) for rate in SIX[:4]} - {broken}


@pytest.mark.parametrize("where", ["cost", "load", "weights_named"])
def test_a_bug_takes_no_other_along(
    where: str, place: PackPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a system of the user's own: one trial meets it."""
    usual = getattr(LanguageSystem, where)

    def fail(system: LanguageSystem, config: dict, *more: object) -> object:
        if config["training"]["learning_rate"] == SIX[1]:
            raise ZeroDivisionError("a bug")
        return usual(system, config, *more)

    place.train(place.pack(SIX[0]))
    monkeypatch.setattr(LanguageSystem, where, fail)
    ended = place.train(place.pack(*SIX[:3]))
    failed = {"cost": [], "load": []}.get(where, [place.name(SIX[1])])
    assert list(ended["failed"]) == failed and ended["done"] == (not failed)
    assert place.steps_of(SIX[2]) == WHOLE


def test_one_that_cannot_be_trained_is_named_and_not_in_the_store(place: PackPlace) -> None:
    log_file = place.path / "p1.log"

    def before(pack: PackJob) -> None:
        logging.getLogger().setLevel(logging.INFO)
        add_log_file(log_file)

    place.train(place.pack(SIX[0]))
    pack = place.pack(*SIX[:3])
    misfit = Asked(assignments={"model.n_head": 7}, stop=None)
    pack = replace(pack, asked=(pack.asked[0], misfit, pack.asked[2]))
    ended = place.train(pack, before=before)
    assert ended["done"] and place.record(SIX[1])["status"] == "infeasible"
    lines = log_file.read_text().splitlines()
    (warning,) = [line for line in lines if " WARNING " in line]
    assert place.name(SIX[1]) in warning and "n_head 7" in warning
    assert [line.split()[3:6] for line in lines if "in the" in line] == [["1", "of", "3"]]


def test_equal_trials_are_trained_once(place: PackPlace) -> None:
    pack = place.pack(SIX[0], SIX[0], SIX[1])
    pack = replace(pack, trials=("a", "b", "c"))
    assert place.train(pack, at_once=3)["done"]
    assert place.steps_of(SIX[0]) == WHOLE
    records = {place.layout.record("s", "p", name).resolve() for name in "ab"}
    assert len(records) == 1


def test_two_packs_that_want_the_same_runs_do_not_block_each_other(place: PackPlace) -> None:
    place.train(place.pack(SIX[-1]))  # its data
    rates = SIX[:4]
    first = Thread(target=lambda: place.train(place.pack(*rates)))
    first.start()
    second = place.train(place.pack(*reversed(rates)))
    first.join()
    assert second["done"] and all(place.steps_of(rate) == WHOLE for rate in rates)


def test_without_a_scheduler_each_has_its_gpu(place: PackPlace) -> None:
    names = [f"test-{os.getpid()}-{index}" for index in "ab"]

    def before(pack: PackJob) -> None:
        os.environ.pop("SLURM_JOB_ID", None)
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        os.environ["RESWEEP_GPUS"] = ",".join(names)
        os.chdir(place.path)

    try:
        ended = place.train(place.pack(*SIX), at_once=4, before=before, device="auto")
    finally:
        for name in names:
            (default_folder() / f"{name}.lock").unlink(missing_ok=True)
    assert ended["done"] and ended["at_once"] == 2
    used = {place.state(rate)["attempts"][0]["gpu"] for rate in SIX}
    assert used == set(names)


def test_what_the_store_has_is_linked_without_torch(place: PackPlace) -> None:
    pack = place.pack(*SIX[:3])
    place.train(pack)
    for rate in SIX[:3]:
        place.layout.record("s", "p", place.name(rate)).unlink()
    poison = place.path / "poison/torch.py"
    poison.parent.mkdir()
    poison.write_text("raise SystemError('imported')")
    file = place.path / "pack.json"
    write_pack(file, pack)
    command = [sys.executable, str(ROOT / "workflow/scripts/train_pack.py"), "--pack", str(file)]
    paths = os.pathsep.join([str(poison.parent), os.environ["PYTHONPATH"]])
    done = subprocess.run(
        [*command, "--results", str(place.layout.root)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "3 of 3" in done.stderr
    assert all(place.record(rate)["status"] == "finished" for rate in SIX[:3])


LOAD = """
import os
import sys
import torch

def fail(*arguments):
    raise SystemError("a GPU was looked at")

for name in ("is_available", "device_count", "_lazy_init", "init", "current_device"):
    setattr(torch.cuda, name, fail)
from resweep.jobs.forked_trainings import ForkedTrainings
from resweep.systems.registry import find_system

class Job:
    class goal:
        system = find_system()
        config = {"model": eval(sys.argv[1])}

job = Job()
ForkedTrainings(lambda: False)._load(job)
assert {"resweep.store.advance", "resweep.training.loop", "numpy.random"} <= sys.modules.keys()
print(len(os.listdir("/proc/self/task")), "transformers" in sys.modules, "peft" in sys.modules)
"""
HF = {"kind": "hf", "config": {"model_type": "llama"}}


@pytest.mark.parametrize(
    ("model", "shown"),
    [
        ({}, "1 False False"),
        pytest.param(HF, "1 True False", marks=pytest.mark.long),
        pytest.param({**HF, "lora_rank": 2}, "1 True True", marks=pytest.mark.long),
    ],
    ids=["gpt", "hf", "lora"],
)
def test_what_the_parent_imports_starts_no_thread_and_looks_at_no_gpu(
    model: dict, shown: str
) -> None:
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", LOAD, repr(model)],
        env={**os.environ, **one},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == shown, done.stderr
