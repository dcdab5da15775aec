"""A trial of two processes is killed, interrupted, goes wrong, and continues bit for bit."""

import json
import signal
from typing import Any

import psutil
import pytest
from test_resume import Training

from tests.conftest import Checkout, Process
from tests.support.warm import warm_process

STEPS = 150
BEYOND = 30  # steps after which something happens
TWO = {"training.distributed": "ddp", "training.processes": 2}


@pytest.fixture(scope="module")
def checkout_of_two(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A study whose only trial two processes train, and what it gives undisturbed."""
    made = Checkout.new(tmp_path_factory.mktemp("two") / "checkout")
    made.write_sweep(learning_rate=[1e-3])
    settings = {"training.max_steps": STEPS, "training.save_steps": 20, "training.log_steps": 3}
    settings |= {"model.dropout": 0.1, "model.n_layer": 2, "model.n_embd": 32, "model.n_head": 2}
    settings |= {"training.eval_sequences": 16, "training.eval_steps": 50}
    settings |= {"training.batch_size": 4, "model.context_length": 32}
    phases = [{"name": "sweep", "kind": "sweep", "sweep": "rates"}]
    made.write_study(set={**settings, **TWO}, phases=phases)
    finish(Training(made, "uninterrupted", STEPS))
    return made


def finish(training: Training) -> str:
    """Train to the end, by ranks that are forks of the warm process; returns what was said."""
    training.env = {"PYTHON_EXEC": warm_process().python}  # for torchrun
    return training.finish()


@pytest.fixture
def training(checkout_of_two: Checkout, request: pytest.FixtureRequest) -> Training:
    """A training of that trial, in results of its own."""
    return Training(checkout_of_two, f"results-{request.node.name}", STEPS)


def rank(process: Process, number: int) -> psutil.Process:
    """The process of a rank, below a training."""
    for child in psutil.Process(process.pid).children(recursive=True):
        if child.environ().get("RANK") == str(number):
            return child
    raise AssertionError(f"there is no rank {number}")


def attempts(training: Training) -> list[dict[str, Any]]:
    """How the run was advanced."""
    return list(json.loads((training.run / "record.json").read_text())["attempts"])


def assert_as_undisturbed(training: Training) -> None:
    expected = Training(training.checkout, "uninterrupted", STEPS).bytes_of_result()
    assert training.bytes_of_result() == expected


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGUSR1, marks=pytest.mark.long)]
)
def test_a_signal_to_the_job_saves_and_the_same_command_goes_on(
    training: Training, number: signal.Signals
) -> None:
    process = training.start()
    training.wait_beyond(BEYOND, process)
    process.send_signal(number)
    output = process.communicate()[0]
    assert process.returncode == 75, output
    assert "saved at step" in output
    assert "continues from step" in finish(training)
    first, second = attempts(training)
    assert first["end"] == "interrupted" and first["to_step"] == second["from_step"] > BEYOND
    assert_as_undisturbed(training)


@pytest.mark.parametrize("number", [pytest.param(0, marks=pytest.mark.long), 1])
def test_a_process_that_dies_ends_the_job_and_the_next_goes_on(
    training: Training, number: int
) -> None:
    process = training.start()
    training.wait_beyond(BEYOND, process)
    rank(process, number).kill()
    output = process.communicate()[0]
    # Of rank 1 the others tell, and the scheduler tries again; without rank 0 it is tried here.
    assert process.returncode == (1 if number else 0), output
    assert "continues from step" in finish(training) + output
    first, *_, last = attempts(training)
    assert ("another process" if number else "killed") in first["end"]
    assert last["end"] == "completed" and last["from_step"] >= 20
    assert_as_undisturbed(training)


@pytest.mark.long
@pytest.mark.parametrize("and_torchrun", [False, True])
def test_processes_save_and_leave_when_the_job_is_killed(
    training: Training, and_torchrun: bool
) -> None:
    process = training.start()
    training.wait_beyond(BEYOND, process)
    rank_0 = rank(process, 0)
    torchrun = rank_0.parent()
    process.kill()
    if and_torchrun and torchrun is not None:
        torchrun.kill()
    process.communicate()
    rank_0.wait(timeout=120)
    (attempt,) = attempts(training)
    assert attempt["end"] == "interrupted" and attempt["to_step"] > BEYOND
    finish(training)
    assert_as_undisturbed(training)
