"""The benchmark of packs: equal numbers in all contenders, and complete accounts of processes."""

import json
import os
import sys
from dataclasses import replace

import pytest
import torch

from benchmarks.learner import build_learner, loop_plan, no_monitors
from benchmarks.packs.bare_loop import BareLoop
from benchmarks.packs.process_tree import Usage, measure
from benchmarks.packs.rounds import in_turn, ratios, spread
from benchmarks.packs.workload import Workload
from resweep.config.nesting import nest
from resweep.training.loop import Callbacks, train
from resweep.training.metrics import MetricLog, read_metrics
from tests.support.tiny import BASE, configure, prepare

BUSY = "import time\nwhile time.process_time() < 0.3: pass"
USAGE = Usage(cpu=4.0, own=1.0, wall=2.0, peak_mb=100.0)


def test_the_bare_loop_has_our_numbers(tmp_path):
    data = prepare(tmp_path / "data")
    (data.folder / "data.json").write_text(json.dumps(data.about))
    assigned = {"learning_rate": 5e-3, "warmup_steps": 2, "pct_warmup": None}
    config = configure(data, **{f"training__{name}": value for name, value in assigned.items()})
    learner = build_learner(config, data, torch.device("cpu"))
    metrics, timing = MetricLog(tmp_path / "metrics"), MetricLog(tmp_path / "timing")
    calls = Callbacks(lambda: None, lambda: False, lambda step: None)
    train(learner, loop_plan(learner, learner.max_steps), metrics, timing, calls, no_monitors())
    *lines, test = BareLoop(
        Workload(data=data.folder, **nest(BASE), trials={"one": assigned})
    ).train(assigned)
    ours = read_metrics(tmp_path / "metrics")
    assert [line["step"] for line in lines] == [line["step"] for line in ours]
    assert all(line.items() <= other.items() for line, other in zip(lines, ours, strict=True))
    assert test == learner.conclude()


def test_a_workload_is_a_grid_by_name(tmp_path):
    trials = {"a": {"learning_rate": 1e-3}, "b": {"learning_rate": 1e-2}}
    load = Workload(data=tmp_path, model={"n_layer": 1}, training={"max_steps": 2}, trials=trials)
    assert Workload.read(load.write(tmp_path / "load.json")) == load
    assert load.space == {"learning_rate": [1e-3, 1e-2]}
    assert load.trial_with({"learning_rate": 1e-2}) == "b"


@pytest.mark.parametrize(
    ("code", "least"),
    [
        (BUSY, 0.3),
        ("subprocess.Popen(busy)", 0.3),  # an orphan
        (
            "signal.signal(signal.SIGCHLD, signal.SIG_IGN); subprocess.run(busy)",
            0.02,
        ),  # as seen last
    ],
)
def test_all_processes_are_counted(code, least, tmp_path):
    begin = f"import signal, subprocess, sys; busy = [sys.executable, '-S', '-c', {BUSY!r}]\n"
    usage = measure([sys.executable, "-S", "-c", begin + code], tmp_path, os.environ)
    assert usage.cpu >= least
    assert (usage.own >= 0.25) == (code == BUSY)
    assert usage.peak_mb > 5


def test_what_a_command_says_when_it_fails_is_shown(tmp_path):
    with pytest.raises(RuntimeError, match=r"(?s)3.*no such luck"):
        measure(["sh", "-c", "echo no such luck; exit 3"], tmp_path, os.environ)


def test_ratios_are_of_one_round():
    figures = {"a": [USAGE, replace(USAGE, cpu=9.0)], "b": [USAGE, replace(USAGE, cpu=6.0)]}
    assert ratios(figures, "a", "b", lambda usage: usage.cpu) == [1.0, 1.5]
    assert USAGE.of_jobs == 3.0
    assert spread([1.0, 3.0, 2.0], 1) == "2.0 (1.0 to 3.0)"
    assert in_turn("abc", 4) == ["b", "c", "a"]
