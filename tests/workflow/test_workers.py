"""run_sweep.py: a study around any sweep file, and workers that share it through the run store."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from resweep.agents.sweep_study import find_sweep
from resweep.paths import Layout
from tests.conftest import Checkout, Process

RUN_SWEEP = "workflow/scripts/run_sweep.py"
BAYES: dict[str, Any] = {
    "method": "bayes",
    "metric": {"name": "val/loss", "goal": "minimize"},
    "run_cap": 8,
    "parameters": {
        "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1},
        "beta2": {"values": [0.9, 0.95, 0.99]},
    },
    "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 2},
}
STEPS_OF_ROUND = 8 * 10 + 5 * 10  # eight to the first of two values, five to the end


@pytest.fixture
def place(checkout: Checkout) -> Checkout:
    """A checkout with sweep files of the root; the base is the tiny study's."""
    checkout.write("bayes.yaml", BAYES)
    checkout.write("random.yaml", {**_plain(BAYES), "method": "random"})
    open_ended = {**_plain(BAYES), "method": "random"}
    del open_ended["run_cap"]
    checkout.write("open.yaml", open_ended)
    return checkout


def _plain(sweep: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in sweep.items() if key != "early_terminate"}


def create(place: Checkout, file: str, *more: str) -> str:
    """Make a sweep; returns its id."""
    done = place.run("python", RUN_SWEEP, "--sweep-config", file, "--create-only", *more)
    return done.stdout.splitlines()[-1]


def start(place: Checkout, *arguments: str) -> Process:
    """Start a worker."""
    return place.start("python", RUN_SWEEP, *arguments)


def finish(worker: Process) -> str:
    """Wait for a worker; returns what it said."""
    output, _ = worker.communicate()
    assert worker.returncode == 0, output
    return output


def trained(place: Checkout) -> dict[str, list[tuple[int, int]]]:
    """From which to which step each run was trained, each time."""
    states = [json.loads(p.read_text()) for p in place.path.glob("results/runs/*/record.json")]
    return {
        state["run_id"]: [(part["from_step"], part["to_step"]) for part in state["segments"]]
        for state in states
    }


def steps(place: Checkout) -> int:
    return sum(end - begin for parts in trained(place).values() for begin, end in parts)


def taken(output: str) -> int:
    found = re.search(r"this worker trained (\d+) trials?\b", output)
    assert found, output
    return int(found[1])


def test_an_id_is_of_the_content(place: Checkout) -> None:
    first = create(place, "bayes.yaml")
    assert re.fullmatch(r"[0-9a-f]{8}", first)
    assert create(place, "bayes.yaml") == first
    assert create(place, "bayes.yaml", "--count", "16") == first
    assert find_sweep(first, Path("config"), Layout(place.path / "results")).trials == 16
    assert create(place, "bayes.yaml", "--set", "weight_decay=0") != first
    assert create(place, "random.yaml") != first


def test_bad_calls_are_reported_in_one_line(place: Checkout) -> None:
    new = ["--sweep-config", "bayes.yaml"]
    for arguments, words in (
        (["--sweep-id", "0123abcd"], ["error: results/sweeps: --sweep-id = '0123abcd': "]),
        (["--sweep-id", "../../etc"], ["--sweep-id = '../../etc': "]),
        (["--sweep-id", ""], ["--sweep-id", "empty"]),
        (["--sweep-id", "0123abcd", "--metric", "p"], ["--metric", "--sweep-config"]),
        ([*new, "--device", "cpu"], ["--device", "--sweep-id"]),
        (["--sweep-config", "missing.yaml"], ["missing.yaml"]),
        ([*new, "--set", "learning_rate"], ["--set", "NAME=VALUE"]),
        ([*new, "--count", "0"], ["--count"]),
        ([*new, "--study", "nosuch"], ["study = 'nosuch': "]),
        ([*new, "--metric", "nosuch"], ["command line: --metric = 'nosuch': "]),
        ([*new, "--set", "n_head=x"], ["command line: --set n_head = 'x': "]),
    ):
        done = place.run("python", RUN_SWEEP, *arguments, check=False)
        said = done.stdout.splitlines()[-1]
        assert done.returncode != 0 and all(word in said for word in words), done.stdout
        assert "Traceback" not in done.stdout
    assert not list(place.path.glob("results/*/*/records"))


def test_a_count_is_of_its_call(place: Checkout) -> None:
    def trials() -> int | None:
        return find_sweep(name, Path("config"), Layout(place.path / "results")).trials

    name = create(place, "random.yaml", "--count", "2")
    assert trials() == 2
    assert create(place, "random.yaml") == name and trials() is None  # run_cap
    name = create(place, "open.yaml", "--count", "3")
    assert create(place, "open.yaml", "--count", "2") == name and trials() == 3  # it has no other


def test_what_cannot_run_leaves_nothing_and_blames_the_users_file(place: Checkout) -> None:
    place.write("accuracy.yaml", {**_plain(BAYES), "metric": {"name": "acc", "goal": "maximize"}})
    for sweep in ("accuracy.yaml", "open.yaml"):
        more = ["--set", "n_layer=none"] if sweep == "open.yaml" else []
        call = ["python", RUN_SWEEP, "--sweep-config", sweep, "--create-only", *more]
        done = place.run(*call, check=False)
        assert done.returncode == 1 and "results/sweeps" not in done.stdout, done.stdout
    assert (
        "error: accuracy.yaml"
        in place.run(
            "python", RUN_SWEEP, "--sweep-config", "accuracy.yaml", "--create-only", check=False
        ).stdout
    )
    assert not list(place.path.glob("results/sweeps/*/study.yaml"))
    create(place, "accuracy.yaml", "--metric", "val/loss", "--goal", "minimize")


def test_warnings_are_shown(place: Checkout) -> None:
    place.write("warned.yaml", {**BAYES, "patience": 3})
    done = place.run("python", RUN_SWEEP, "--sweep-config", "warned.yaml", "--create-only")
    assert re.search(r"^warning: .*'patience'", done.stdout, re.M)
    *_, command, name = done.stdout.splitlines()
    assert command == f"resweep sweep --sweep-id {name}"


@pytest.mark.long
def test_an_interrupted_call_is_made_again(place: Checkout) -> None:
    command = [sys.executable, RUN_SWEEP, "--config", "random.yaml", "--count", "3"]
    command += ["--set", "max_steps=600"]
    call = subprocess.Popen(
        [*command, "--", "--cores", "1"],
        cwd=place.path,
        env=place.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a terminal sends its signals to all of them
        # Who runs the tests may ignore it, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not list(place.path.glob("results/runs/*/metrics.jsonl")):
        assert call.poll() is None, "it ended before it was interrupted"
        time.sleep(0.02)  # files have no events here
    os.killpg(call.pid, signal.SIGINT)
    assert call.wait() != 0
    place.run(*command, "--", "--cores", "2")
    (scores,) = place.path.glob("results/random-*/sweep/scores.csv")
    assert scores.read_text().count("finished") == 3


def test_two_workers_and_snakemake_train_each_trial_once(place: Checkout) -> None:
    name = create(place, "bayes.yaml")
    workers = [start(place, "--sweep-id", name) for _ in range(2)]
    study = f"results/sweeps/{name}/study.yaml"
    place.snakemake("--config", f"study={study}")
    counts = [taken(finish(worker)) for worker in workers]
    assert sum(counts) <= 8  # Snakemake took the rest
    assert steps(place) == STEPS_OF_ROUND
    assert len(trained(place)) == 8
    assert all(len(set(parts)) == len(parts) for parts in trained(place).values())
    before = trained(place)
    assert "Nothing to be done" in place.snakemake("--config", f"study={study}").stdout
    assert trained(place) == before


def test_workers_alone_leave_links_only(place: Checkout) -> None:
    name = create(place, "random.yaml")
    first = start(place, "--sweep-id", name, "--count", "3")
    second = start(place, "--sweep-id", f"me/my-project/{name}", "--count", "5")
    assert [taken(finish(first)), taken(finish(second))] == [3, 5]
    before = trained(place)
    assert len(before) == 8
    place.snakemake("--config", f"study=results/sweeps/{name}/study.yaml")
    assert trained(place) == before
    (scores,) = place.path.glob("results/random-*/sweep/scores.csv")
    assert scores.read_text().count("finished") == 8


def test_a_sweep_without_end_grows_by_what_workers_ask_for(place: Checkout) -> None:
    name = create(place, "open.yaml")
    asked = place.run("python", RUN_SWEEP, "--sweep-id", name, check=False)
    assert asked.returncode == 1 and "--count: is missing" in asked.stdout
    workers = [start(place, "--sweep-id", name, "--count", "2") for _ in range(2)]
    assert [taken(finish(worker)) for worker in workers] == [2, 2]
    assert len(trained(place)) == 4
    assert find_sweep(name, Path("config"), Layout(place.path / "results")).trials == 4


def test_a_sweep_without_end_ends_where_there_is_nothing_new(place: Checkout) -> None:
    few = {**_plain(BAYES), "method": "random", "parameters": {"beta2": {"values": [0.9, 0.95]}}}
    del few["run_cap"]
    place.write("few.yaml", few)
    output = finish(start(place, "--sweep-id", create(place, "few.yaml"), "--count", "30"))
    assert taken(output) == 2 == len(trained(place))
    assert "no more" in output
    place.write("few.yaml", {**few, "method": "bayes"})
    output = finish(start(place, "--sweep-id", create(place, "few.yaml"), "--count", "30"))
    assert "no more" in output and "no further point" in output


def test_a_round_is_completed_with_the_points_it_began_with(place: Checkout) -> None:
    adaptive = _plain(BAYES)
    del adaptive["run_cap"]
    place.write("adaptive.yaml", adaptive)
    name = create(place, "adaptive.yaml")
    proposals = []
    for count, asked in ((2, 2), (7, 9)):
        finish(start(place, "--sweep-id", name, "--count", str(count)))
        assert find_sweep(name, Path("config"), Layout(place.path / "results")).trials == asked
        (first,) = place.path.glob("results/adaptive-*/sweep/rounds/r01.json")
        proposals.append(first.read_text())
    assert proposals[0] == proposals[1] and len(trained(place)) == 9


def test_a_killed_worker_loses_nothing_and_the_same_call_goes_on(place: Checkout) -> None:
    name = create(place, "bayes.yaml")
    worker = start(place, "--sweep-id", name)
    assert worker.stdout is not None
    for line in worker.stdout:
        if "stopped at step 10" in line:
            break
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    finish(start(place, "--sweep-id", name))
    assert len(trained(place)) == 8
    reached = [parts[-1][1] for parts in trained(place).values()]
    assert sorted(reached) == [10, 10, 10, 20, 20, 20, 20, 20]


def test_the_first_form_builds_the_study(place: Checkout) -> None:
    place.write("config/studies/tiny.yaml", _without_phases(place))
    done = place.run(
        "python", RUN_SWEEP, "--config", "random.yaml", "--count", "2", "--", "--cores", "2"
    )
    (scores,) = place.path.glob("results/random-*/sweep/scores.csv")
    assert len(scores.read_text().splitlines()) == 3, done.stdout


def _without_phases(place: Checkout) -> dict[str, Any]:
    from resweep import yaml12

    content = yaml12.load_mapping(place.path / "config/studies/tiny.yaml")
    return {**content, "phases": [{"name": "other", "kind": "sweep", "sweep": "rates"}]}


def test_a_worker_on_each_gpu(place: Checkout) -> None:
    env = {"RESWEEP_GPUS": "0,1", "CUDA_VISIBLE_DEVICES": "0,1"}
    script = "workflow/scripts/run_multi_gpu_sweep.sh"
    done = place.run("bash", script, "random.yaml", "2", "my-project", env=env)
    assert len(trained(place)) == 4
    assert re.search(r"^gpu 0: ", done.stdout, re.M) and re.search(r"^gpu 1: ", done.stdout, re.M)
    logs = [place.path / f"logs/gpu_{gpu}_sweep.log" for gpu in (0, 1)]
    for log in logs:
        assert "step 20 of 20" in log.read_text()


@pytest.mark.long
def test_a_worker_has_as_many_gpus_as_its_trainings_have_processes(place: Checkout) -> None:
    two = ("--set", "training.distributed=ddp", "training.processes=2")
    name = create(place, "open.yaml", *two)
    too_few = {"RESWEEP_GPUS": "0", "CUDA_VISIBLE_DEVICES": "0"}
    call = ("python", RUN_SWEEP, "--sweep-id", name, "--count", "1")
    refused = place.run(*call, env=too_few, check=False)
    assert refused.returncode == 1
    assert re.search(r"training\.processes = 2: .*\b1\b", refused.stdout)
    place.run(*call, env={"RESWEEP_GPUS": "0,1", "CUDA_VISIBLE_DEVICES": "0,1"})
    (run,) = (place.path / "results/runs").glob("*/record.json")
    (segment,) = json.loads(run.read_text())["segments"]
    assert (segment["gpu"], segment["processes"], segment["engine"]) == ("0,1", 2, "ddp")
