"""Settings of speed and memory: what they change, what they leave as it is, and what is refused."""

import json
import logging
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import torch

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.config.training_section import Training
from resweep.data.store import Prepared
from resweep.paths import Layout
from resweep.store.advance import advance
from resweep.store.identity import run_id
from resweep.systems.language.gpt import GPT
from resweep.training.clock import PEAK_FLOPS, data_sheet
from resweep.training.device import matmul_precision, pick_device
from resweep.training.gradient_learner import GradientLearner
from tests.support.asked import ask, run_of
from tests.support.learners import CPU, make_learner
from tests.support.tiny import LANGUAGE, configure, prepare

EIGHT = {"training__batch_size": 8}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(tmp_path_factory.mktemp("data"))


def make(data: Prepared, **changes: Any) -> GradientLearner:
    return make_learner(configure(data, **changes), data)


def assert_equal(left: GradientLearner, right: GradientLearner) -> None:
    """Weights, moments and counters, bit for bit."""
    mine, theirs = (
        dict(one.objective.model.state_dict()) | one.engine.state()[1] for one in (left, right)
    )
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []
    assert (left.step, left.engine.optimizer_steps) == (right.step, right.engine.optimizer_steps)
    assert left.interval_metrics() == right.interval_metrics()


# Memory


class Device:
    """Has memory for so many sequences of a training forward, from a given forward on."""

    def __init__(self, most: int, full_from: int = 0, evaluations: bool = False):
        self.most, self.full_from, self.evaluations = most, full_from, evaluations
        self.forwards: list[int] = []  # sequences of each, fitting or not

    def install(self, monkeypatch: pytest.MonkeyPatch) -> "Device":
        whole = GPT.loss

        def loss(model: GPT, sequences: torch.Tensor, reduction: str = "mean") -> torch.Tensor:
            if torch.is_grad_enabled() or self.evaluations:
                self.forwards.append(len(sequences))
                if len(sequences) > self.most and len(self.forwards) > self.full_from:
                    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            return whole(model, sequences, reduction)

        monkeypatch.setattr(GPT, "loss", loss)
        return self


def test_a_micro_batch_that_does_not_fit_is_halved_to_the_same_numbers(data, monkeypatch, caplog):
    small = make(data, **EIGHT, training__max_gpu_batch_size=2)
    for _ in range(3):
        small.train_step()
    device = Device(most=3).install(monkeypatch)
    learner = make(data, **EIGHT)
    for _ in range(3):
        learner.train_step()
    assert device.forwards == [8, 4, *[2] * 12]  # tried once, not at every step
    assert learner.micro_batch == 2
    assert_equal(learner, small)
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory: continuing with micro-batch size 4",
        "out of memory: continuing with micro-batch size 2",
    ]


def test_what_was_accumulated_before_memory_ran_out_counts_once(data, monkeypatch):
    halved = make(data, **EIGHT, training__max_gpu_batch_size=2)
    halved.train_step()
    device = Device(most=2, full_from=1).install(monkeypatch)  # the second of two forwards
    learner = make(data, **EIGHT, training__max_gpu_batch_size=4)
    learner.train_step()
    assert device.forwards == [4, 4, 2, 2, 2, 2]
    assert_equal(learner, halved)


def test_a_single_sequence_that_does_not_fit_is_reported_as_it_is(data, monkeypatch):
    Device(most=0).install(monkeypatch)
    learner = make(data, **EIGHT)
    with pytest.raises(torch.OutOfMemoryError):
        learner.train_step()
    assert (learner.step, learner.loss_count, learner.micro_batch) == (0, 0, 1)


def test_an_evaluation_that_does_not_fit_is_cut(data, monkeypatch):
    expected = make(data).evaluate()
    device = Device(most=3, evaluations=True).install(monkeypatch)
    learner = make(data)
    assert learner.evaluate() == pytest.approx(expected, rel=1e-6)
    assert device.forwards == [8, 4, 2, 2, 4, 2, 2]
    assert learner.micro_batch == 6


@pytest.mark.parametrize("most", [0, 1])
def test_the_store_tells_what_fits_no_device_from_what_fits_in_parts(
    most, data, tmp_path, monkeypatch
):
    Device(most).install(monkeypatch)
    for module in ("advance", "training_attempt"):
        monkeypatch.setattr(f"resweep.store.{module}.device_memory", lambda device: 1000)
    asked, layout = ask(configure(data, **EIGHT), data), Layout(tmp_path)
    record = json.loads(advance(*asked, layout).read_text())
    if most:
        assert (record["status"], record["step"]) == ("finished", 12)
        return
    assert (record["status"], record["step"]) == ("infeasible", 0)
    assert "memory: CUDA out of memory" in record["stop_reason"]
    run = run_of(asked, layout)
    assert run.find_record(asked.goal, device_memory=1000) is not None
    assert run.find_record(asked.goal, device_memory=2000) is None
    assert run.state()["status"] == "infeasible"


# Settings


def problems(**training: Any) -> list[str]:
    flat = {"training.max_steps": 2} | {f"training.{k}": value for k, value in training.items()}
    _, found = compose.validate(Composed(nest(flat), {}), "a study", LANGUAGE)
    return [str(problem) for problem in found]


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"cuda_graphs": True}, "cuda_graphs = True needs compile: true"),
        (
            {"cuda_graphs": True, "compile": True, "distributed": "zero2"},
            "cuda_graphs = True needs distributed: none or ddp, not zero2",
        ),
        ({"precision": "fp16"}, "fp32, tf32 or bf16"),
    ],
)
def test_what_does_not_go_together_is_refused(training, said):
    (problem,) = problems(**training)
    assert problem.startswith("a study: training") and said in problem


@pytest.mark.parametrize("distributed", ["none", "ddp"])
def test_graphs_of_what_is_compiled_are_allowed(distributed):
    assert problems(cuda_graphs=True, compile=True, distributed=distributed) == []


def test_precision_and_compilation_name_a_run_and_graphs_do_not(data):
    def name(**changes: Any) -> str:
        return run_id(configure(data, **changes), data)

    names = {name(training__precision=kind) for kind in ("fp32", "tf32", "bf16")}
    compiled = name(training__compile=True)
    assert len(names | {compiled}) == 4
    assert name() in names
    assert name(training__compile=True, training__cuda_graphs=True) == compiled


def test_tf32_is_float32_where_there_is_none(data):
    full, rounded = make(data), make(data, training__precision="tf32")
    for learner in (full, rounded):
        learner.train_step()
    assert_equal(full, rounded)


def test_the_switch_of_tf32_is_as_before_afterwards():
    gpu, switch = torch.device("cuda"), torch.backends.cuda.matmul
    before = switch.allow_tf32
    try:
        for was in (False, True):
            switch.allow_tf32 = was
            for precision, allowed in (("tf32", True), ("fp32", False), ("bf16", False)):
                with matmul_precision(gpu, precision):
                    assert switch.allow_tf32 is allowed
                assert switch.allow_tf32 is was
            with matmul_precision(CPU, "tf32"):
                assert switch.allow_tf32 is was
            with pytest.raises(KeyError), matmul_precision(gpu, "tf32"):
                raise KeyError
            assert switch.allow_tf32 is was
    finally:
        switch.allow_tf32 = before


@pytest.mark.parametrize("cuda_graphs", [False, True])
def test_graphs_on_a_cpu_get_one_line(cuda_graphs, data, caplog):
    with caplog.at_level(logging.WARNING):
        make(data, training__compile=True, training__cuda_graphs=cuda_graphs)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == int(cuda_graphs)
    assert all("training.cuda_graphs" in text for text in said)


@pytest.mark.parametrize("most", [None, 4, 1])
def test_gradients_are_taken_from_a_graph_before_it_writes_again(most, data, monkeypatch):
    plain, graphed = (make(data, training__max_gpu_batch_size=most) for _ in range(2))
    graphed.engine.graphs = True
    replayed: list[torch.Tensor] = []
    take = graphed.engine._copy_gradients

    def take_and_replay(last: bool) -> None:
        gradients = [p.grad for p in graphed.engine.parameters]
        take(last)
        if not last and not replayed:
            replayed.extend(gradients)
            for gradient in gradients:  # where the next replay would put its own
                gradient.fill_(7.0)

    monkeypatch.setattr(graphed.engine, "_copy_gradients", take_and_replay)
    for _ in range(2):
        plain.train_step()
        graphed.train_step()
        replayed.clear()
    assert_equal(plain, graphed)


# Peaks


def test_every_gpu_of_the_table_has_every_precision():
    precisions = set(get_args(Training.model_fields["precision"].annotation))
    for name, peaks in PEAK_FLOPS.items():
        assert peaks.keys() == precisions, name
        assert peaks["bf16"] >= peaks["tf32"] >= peaks["fp32"], name
        assert peaks["bf16"] in (peaks["tf32"], pytest.approx(2 * peaks["tf32"], rel=0.02)), name


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA GeForce RTX 4090", 165),
        ("Tesla T4", 8.1),
        ("something newer", 312),
    ],
)
def test_a_gpu_is_found_by_its_name(name, tera):
    assert data_sheet(name)["bf16"] == pytest.approx(tera * 1e12)


# What only a GPU can tell


@pytest.fixture
def gpu() -> Iterator[torch.device]:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    yield pick_device("cuda")
    torch.use_deterministic_algorithms(False)


def curve(data: Prepared, device: torch.device, **changes: Any) -> list[float]:
    """Losses of five steps, each in micro-batches of four and two sequences."""
    changes = {"training__max_gpu_batch_size": 4, **changes}
    learner = make_learner(configure(data, **changes), data, device)
    losses = []
    for _ in range(5):
        learner.train_step()
        losses.append(learner.interval_metrics()["train/loss"])
    return losses


def test_a_gpu_trains_as_a_cpu_does_and_twice_the_same(gpu, data):
    found = curve(data, gpu)
    assert found == pytest.approx(curve(data, CPU), rel=1e-5)
    assert found == curve(data, gpu)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_lower_precisions_round_on_a_gpu(precision, gpu, data):
    found, full = curve(data, gpu, training__precision=precision), curve(data, gpu)
    assert found != full
    assert found == pytest.approx(full, abs=0.02)


def test_graphs_change_no_numbers_on_a_gpu(gpu, data):
    compiled = curve(data, gpu, training__compile=True)
    assert compiled == pytest.approx(curve(data, gpu), rel=1e-5)
    graphs = curve(data, gpu, training__compile=True, training__cuda_graphs=True)
    assert graphs == pytest.approx(compiled, rel=1e-6)
