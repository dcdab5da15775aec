"""Starting the processes of a training: the command, and the way the answer comes back."""

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resweep.command_line import JsonArgument
from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.config.training_section import Training
from resweep.errors import ConfigError, DataError, Interrupted, LockTimeout, ResweepError
from resweep.jobs.options import JobOptions
from resweep.jobs.train_trial import train_trial
from resweep.machine import launch
from resweep.paths import Layout
from resweep.store.attempts import FEWER_ROWS, Attempts
from resweep.store.goal import goal_of
from resweep.store.lock import RunLock
from resweep.store.run import Run
from resweep.trials.trial import Trial, trial_from
from tests.support import tiny, train_short_of_memory
from tests.support.language import ensure
from tests.support.warm import warm_process

TRAINING = Training(max_steps=1, batch_size=4, distributed="ddp", processes=4)


@pytest.mark.parametrize(
    ("distributed", "processes", "wanted"),
    [("none", 1, False), ("ddp", 1, False), ("ddp", 2, True), ("zero1", 1, True)],
)
def test_one_process_starts_no_others_but_for_deepspeed(distributed, processes, wanted):
    training = TRAINING.model_copy(update={"distributed": distributed, "processes": processes})
    assert launch.is_wanted(training) is wanted


def test_nodes_are_those_of_a_slurm_job():
    two = TRAINING.model_copy(update={"nodes": 2})
    with pytest.raises(ConfigError, match=r"training\.nodes = 2: .*SLURM"):
        launch.command(two, [], {})
    command = launch.command(two, ["--log", "a b"], {"SLURM_JOB_ID": "1"})
    assert command[:3] == ["srun", "--nodes=2", "--ntasks=2"]
    words = shlex.split(command[-1])
    assert words[:3] == ["exec", sys.executable, "-m"]
    assert "--nproc-per-node=2" in words and "--node-rank=$SLURM_NODEID" in words
    assert words[-2:] == ["--log", "a b"]


def answer(monkeypatch, folder: Path, code: str) -> bool:
    """Launch a process that does this in place of rank 0."""
    script = folder / "rank_0.py"
    script.write_text(
        "import os\nfrom resweep.errors import *\nfrom resweep.machine.answer import *\n"
        "from resweep.machine.launch import RankZero\n" + code
    )
    monkeypatch.setattr(launch, "command", lambda *_: [warm_process().python, str(script)])
    return launch.launch(TRAINING, [], lambda: False)


@pytest.mark.parametrize("trained", [True, False])
def test_what_rank_0_says_comes_back(monkeypatch, tmp_path, trained):
    assert answer(monkeypatch, tmp_path, f"RankZero().answer(answer_of({trained}))") is trained


@pytest.mark.parametrize("kind", [Interrupted, LockTimeout, DataError, ResweepError])
def test_what_rank_0_raises_is_raised(monkeypatch, tmp_path, kind):
    error = f"{kind.__name__}('saved at step 3')"
    with pytest.raises(kind, match=r"^saved at step 3$"):
        answer(monkeypatch, tmp_path, f"RankZero().answer(answer_of_error({error}, str({error})))")


def test_no_answer_is_a_crash(monkeypatch, tmp_path):
    with pytest.raises(launch.Crashed, match=r"\b7\b"):
        answer(monkeypatch, tmp_path, "RankZero()\nos._exit(7)")


# A training job of two processes


def trial_of_two() -> Trial:
    """A trial that two processes train on the README."""
    flat = {"training.distributed": "ddp", "training.processes": 2, "training.batch_size": 4}
    flat |= {"training.eval_batch_size": 2}
    flat |= {"data.source": "text", "data.paths": ["README.md"], "data.split": "contiguous"}
    config, problems = compose.validate(Composed(nest(tiny.BASE | flat), {}), "tiny", tiny.LANGUAGE)
    assert not problems, problems
    return Trial("study", "sweep", "one", config=config)


def train(trial: Trial, layout: Layout, lock_timeout: float = 60.0) -> dict[str, Any]:
    """Train it; returns its record."""
    record = layout.root / "record.json"
    options = JobOptions(results=layout.root, device="cpu", lock_timeout=lock_timeout)
    train_trial(trial, record, options)
    return dict(json.loads(record.read_text()))


def run_of(trial: Trial, layout: Layout) -> Run:
    """Where it is trained."""
    data = ensure(trial.config["data"], layout)
    return Run(layout.run(goal_of(trial.config, None, data, layout).run_id))


@pytest.mark.parametrize(
    ("lacking", "most", "status", "ends"),
    [
        ("accumulate", 1, "finished", [FEWER_ROWS, "completed"]),
        pytest.param(
            *("measure", 1, "finished", [FEWER_ROWS, "completed"]), marks=pytest.mark.long
        ),
        pytest.param(
            *("accumulate", 0, "infeasible"),
            [FEWER_ROWS, FEWER_ROWS, "out of GPU memory"],
            marks=pytest.mark.long,
        ),
    ],
)
def test_where_one_of_them_lacks_memory_all_take_fewer_sequences(
    monkeypatch, tmp_path, lacking, most, status, ends
):
    monkeypatch.setattr(launch, "SCRIPT", Path(train_short_of_memory.__file__))
    monkeypatch.setenv("PYTHON_EXEC", warm_process().python)  # for torchrun
    monkeypatch.setenv("LACKING", lacking)
    monkeypatch.setenv("MOST_SEQUENCES", str(most))
    trial, layout = trial_of_two(), Layout(tmp_path)
    assert train(trial, layout)["status"] == status
    assert [attempt["end"] for attempt in Attempts(run_of(trial, layout)).all()] == ends


def test_no_processes_are_started_to_wait_for_another_job(monkeypatch, tmp_path):
    trial, layout = trial_of_two(), Layout(tmp_path)
    run = run_of(trial, layout)

    def started(*_: Any) -> bool:
        raise AssertionError("processes were started")

    monkeypatch.setattr(launch, "launch", started)
    with RunLock(run.path, 1.0), pytest.raises(LockTimeout, match=run.run_id):
        train(trial, layout, lock_timeout=0.0)
    with pytest.raises(AssertionError, match="were started"):
        train(trial, layout, lock_timeout=0.0)


def test_the_trial_reaches_other_nodes_however_long_it_is(monkeypatch, tmp_path):
    given: list[str] = []
    told: list[dict[str, Any]] = []

    def note(training: Any, words: list[str], interrupted: Any) -> bool:
        given.extend(words)
        told.append(JsonArgument()(words[words.index("--content") + 1]))
        return True

    monkeypatch.setattr(launch, "launch", note)
    options = JobOptions(results=tmp_path, lock_timeout=1.0)
    whole = trial_of_two()
    trial = replace(whole, config={**whole.config, "prompt": "é" * 200_000})
    train_trial(trial, tmp_path / "record.json", options)
    assert max(map(len, given)) < 2**17 and "--trial" not in given
    assert trial_from(told[0], "--content").content() == trial.content()
    assert not list(tmp_path.glob(".record.json.*"))
