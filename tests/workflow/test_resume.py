"""One training that is killed, interrupted, or finds damage: it continues bit for bit."""

import json
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from resweep.study.files import trial_content
from resweep.study.load import load_study
from tests.conftest import Checkout, Process
from tests.workflow.search_files import audited

pytestmark = pytest.mark.xdist_group("resume")  # they share an uninterrupted training

STEPS = 400


class Training:
    """One trial of a checkout, trained by the command that the rule calls."""

    def __init__(self, checkout: Checkout, results: str = "results", steps: int = STEPS):
        self.checkout = checkout
        self.steps = steps
        self.env: dict[str, str] = {}
        self.results = checkout.path / results
        study = load_study(checkout.path / "config/studies/tiny.yaml", checkout.path / "config")
        phase = study.phase("sweep")
        self.content = trial_content(phase, phase.stages[0], phase.trials[0])

    def start(self) -> Process:
        """Start the trainer."""
        folder = self.results / "tiny/sweep"
        return self.checkout.start(
            *("python", "workflow/scripts/train.py", "--content", self.content),
            *("--trial", str(folder / "trials/t.yaml")),
            *("--record", str(folder / "records/t.json"), "--results", str(self.results)),
            env=self.env,
        )

    def finish(self) -> str:
        """Train to the end; returns what was said."""
        process = self.start()
        output = process.communicate()[0]
        assert process.returncode == 0, output
        return output

    @property
    def run(self) -> Path:
        """The run's folder."""
        (folder,) = (self.results / "runs").iterdir()
        return folder

    def last_step(self) -> int:
        """The last step that the run's metrics tell of; -1 before any."""
        try:
            lines = (self.run / "metrics.jsonl").read_text().splitlines()
            return int(json.loads(lines[-1])["step"])
        except (OSError, ValueError, IndexError):
            return -1

    def wait_beyond(self, step: int, process: Process) -> None:
        """Wait until the training is beyond a step, or has ended."""
        while process.poll() is None and self.last_step() <= step:
            time.sleep(0.002)

    def bytes_of_result(self) -> dict[str, bytes]:
        """Everything of a run that is determined."""
        last = f"checkpoint_{self.steps}"
        names = ["metrics.jsonl", f"{last}/model.safetensors"]
        names += [f"{last}/optimizer.safetensors", f"{last}/trainer.json"]
        return {name: (self.run / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def long_checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A study whose trials take seconds, and what the first of them gives undisturbed."""
    made = Checkout.new(tmp_path_factory.mktemp("long") / "checkout")
    made.write_sweep(learning_rate=[1e-5, 1e-3])
    study = {"training.max_steps": STEPS, "training.save_steps": 10, "training.log_steps": 3}
    study |= {"model.dropout": 0.1, "model.n_layer": 2, "model.n_embd": 32, "model.n_head": 2}
    study |= {"training.eval_sequences": 16, "training.eval_steps": 50, "training.batch_size": 4}
    study |= {"model.context_length": 32}
    made.write_study(set=study, phases=[{"name": "sweep", "kind": "sweep", "sweep": "rates"}])
    Training(made, "uninterrupted").finish()
    return made


@pytest.fixture
def training(long_checkout: Checkout, request: pytest.FixtureRequest) -> Training:
    """A training of that trial, in results of its own."""
    return Training(long_checkout, f"results-{request.node.name}")


@pytest.fixture
def expected(long_checkout: Checkout) -> dict[str, bytes]:
    """What an uninterrupted training gives."""
    return Training(long_checkout, "uninterrupted").bytes_of_result()


@pytest.mark.parametrize("count", [6, pytest.param(80, marks=pytest.mark.long)])
def test_kills_change_nothing(training: Training, expected: dict[str, bytes], count: int) -> None:
    chance = random.Random(0)
    kills = 0
    while kills < count:
        process = training.start()
        before = training.last_step() if kills else -1
        # Some are killed while they start, most at a random moment of the training.
        if kills % 5:
            training.wait_beyond(max(before, 300 * kills // count) + chance.randrange(9), process)
        else:
            time.sleep(chance.random() / 20)
        assert process.poll() is None, "it ended before it was killed"
        process.kill()
        process.communicate()
        kills += 1
    output = training.finish()
    assert "continues from step" in output
    assert training.bytes_of_result() == expected
    ends = [a["end"] for a in json.loads((training.run / "record.json").read_text())["attempts"]]
    assert ends.count("completed") == 1 and ends[-1] == "completed" and "killed" in ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_leaves(
    training: Training, expected: dict[str, bytes], number: signal.Signals
) -> None:
    process = training.start()
    training.wait_beyond(30, process)
    process.send_signal(number)
    output = process.communicate()[0]
    assert process.returncode == 75 and "same command" in output
    state = json.loads((training.run / "record.json").read_text())
    saved = state["attempts"][-1]["to_step"]
    assert state["attempts"][-1]["end"] == "interrupted"
    assert (training.run / f"checkpoint_{saved}").is_dir()
    assert f"continues from step {saved}" in training.finish()
    assert training.bytes_of_result() == expected


def test_a_damaged_checkpoint_is_noticed_and_the_one_before_used(
    training: Training, expected: dict[str, bytes]
) -> None:
    process = training.start()
    training.wait_beyond(60, process)
    process.kill()
    process.communicate()
    steps = sorted(int(p.name.split("_")[1]) for p in training.run.glob("checkpoint_*"))
    weights = training.run / f"checkpoint_{steps[-1]}/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    output = training.finish()
    assert f"checkpoint_{steps[-1]}" in output
    assert f"continues from step {steps[-2]}" in output
    assert training.bytes_of_result() == expected


def test_two_trainers_of_one_run_take_turns(training: Training) -> None:
    first = training.start()
    training.wait_beyond(0, first)
    second = training.start()
    outputs = [first.communicate()[0], second.communicate()[0]]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert "trained by another process" in outputs[1]
    assert len(json.loads((training.run / "record.json").read_text())["attempts"]) == 1


def test_pruned_weights_are_trained_again_beside_the_run(training: Training) -> None:
    training.finish()
    before = training.bytes_of_result()
    metrics = (training.run / "metrics.jsonl").stat()
    for folder in training.run.glob("checkpoint_*"):
        shutil.rmtree(folder)
    folder = training.results / "tiny/sweep"
    output = training.checkout.run(
        *("python", "workflow/scripts/train.py", "--trial", str(folder / "trials/t.yaml")),
        *("--record", str(folder / "records/t.json"), "--results", str(training.results)),
        "--weights",
    ).stdout
    assert "beside" in output and "differ" not in output
    assert training.bytes_of_result() == before
    assert metrics.st_size == (training.run / "metrics.jsonl").stat().st_size
    assert not (training.run / "again").exists()


def test_a_rerun_continues_the_best_run_for_more_steps(checkout: Checkout) -> None:
    checkout.write_sweep(learning_rate=[1e-5, 3e-3])
    sweep = {"name": "sweep", "kind": "sweep", "sweep": "rates"}
    longer = {"name": "longer", "kind": "rerun", "of": "sweep", "resume": True}
    longer["set"] = {"training.max_steps": 30}
    checkout.write_study(phases=[sweep, longer])
    checkout.snakemake()
    record = checkout.record("tiny", "longer", "01")
    state = checkout.path / "results/runs" / record["run_id"] / "record.json"
    (segment,) = json.loads(state.read_text())["segments"]
    assert (segment["from_step"], segment["to_step"]) == (20, 30)
    found = audited(checkout, "tiny")
    assert [phase["in store"] for phase in found.values()] == [2, 1]
    assert "Nothing to be done" in checkout.snakemake().stdout


def test_a_later_phase_names_all_weights_that_are_gone_and_how_to_restore_them(
    checkout: Checkout,
) -> None:
    checkout.write_sweep(learning_rate=[1e-5, 1e-3, 3e-3])
    sweep = {"name": "sweep", "kind": "sweep", "sweep": "rates"}
    checkout.write_study(phases=[sweep])
    checkout.snakemake()
    longer = {"name": "longer", "kind": "rerun", "of": "sweep", "top": 3, "resume": True}
    tuned = {"name": "tuned", "kind": "finetune", "of": "sweep", "top": 3}
    for phase in (tuned, {**longer, "set": {"training.max_steps": 30}}):
        checkout.write_study(phases=[sweep, phase])
        before = checkout.trainings()
        failed = checkout.snakemake(check=False)
        assert failed.returncode and checkout.trainings() == before
        (command,) = set(re.findall(r"`(resweep train --weights .+)`", failed.stdout))
        assert len(command.split(" && ")) == 2
    for words in command.split(" && "):
        checkout.run(*words.split())
    checkout.snakemake()
    assert checkout.record("tiny", "longer", "03")["step"] == 30
