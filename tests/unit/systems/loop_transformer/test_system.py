"""What planning knows of loop transformers."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from resweep.config.metric import Logged
from resweep.store.identity import identity, resolve, run_id
from resweep.systems.loop_transformer.sections import Arch
from resweep.systems.loop_transformer.symmetry import AUGMENTATIONS
from resweep.systems.values import TrainedRun
from tests.support.loop_transformer import SYSTEM, configure, prepare

NAMES = ("exact_accuracy", "accuracy", "q_halt_accuracy", "steps", "lm_loss", "q_halt_loss")


def test_its_metrics_have_the_names_that_sweeps_use() -> None:
    found = {name: SYSTEM.find_metric(name) for name in NAMES}
    goals = {name: metric.goal for name, metric in found.items() if metric is not None}
    assert goals == {
        **dict.fromkeys(NAMES[:3], "maximize"),
        **dict.fromkeys(NAMES[3:], "minimize"),
    }
    assert all(m is not None and m.logged is Logged.EVALUATION for m in found.values())
    assert SYSTEM.metric == "exact_accuracy"


def test_flops_grow_linearly_with_each_repeat() -> None:
    for stage in range(3):
        costs = [
            SYSTEM.cost(configure(**{f"arch__stages__{stage}__repeat": repeat}), None).step_flops
            for repeat in (1, 2, 3, 4, 5)
        ]
        steps = {round(after - before) for before, after in itertools.pairwise(costs)}
        assert len(steps) == 1 and steps.pop() > 0


def test_a_cycle_without_gradient_costs_a_third_of_one_with() -> None:
    def flops(cycles: int, free: int) -> float:
        config = configure(arch__outer_cycles=cycles, arch__no_grad_cycles=free)
        return SYSTEM.cost(config, None).step_flops

    free, full = flops(3, 2) - flops(2, 1), flops(3, 1) - flops(2, 1)
    assert full == pytest.approx(3 * free)


def test_the_size_of_the_documents_model() -> None:
    """Four square matrices and three of SwiGLU, 11 tokens in and out, 81 cells, three states."""
    config = configure(data__size=9, arch__hidden_size=512, arch__num_heads=8)
    layer = 4 * 512**2 + 3 * 512 * 1376
    assert SYSTEM.count_parameters(config) == layer + (2 * 11 + 81 + 3) * 512 + 512 + 1


def test_epochs_are_steps_before_the_data_is_there() -> None:
    config = configure(
        data__train_puzzles=1000,
        training__max_steps=None,
        training__num_epochs=50_000,
        training__batch_size=768,
    )
    assert SYSTEM.steps_of(config, None) == 65_105  # 50,000 * 1000 / 768, rounded up
    files = configure(data__path="x", training__max_steps=None, training__num_epochs=3)
    assert SYSTEM.steps_of(files, None) == 0  # until they are read


def test_augmentations_average_and_halting_are_identity_and_paths_are_not(tmp_path: Path) -> None:
    def identified(**changes: object) -> dict[str, object]:
        config = configure(**changes)
        data = prepare(config, tmp_path)
        return identity(resolve(config, data), data)

    plain = identified()
    for changes in (
        {"training__augmentations": ["rows"]},
        {"training__ema": False},
        {"arch__halt_exploration_prob": 0.2},
        {"arch__stages__2__repeat": 2},
        {"data__puzzle_seed": 1},
    ):
        assert identified(**changes) != plain
    assert identified(training__max_gpu_batch_size=2) == plain
    assert plain["system"] == "loop_transformer"


def test_configurations_that_compute_the_same_are_one_run(tmp_path: Path) -> None:
    def named(**changes: Any) -> str:
        config = configure(**changes)
        data = prepare(config, tmp_path)
        return run_id(resolve(config, data), data)

    shared = [{"name": n, "share_weights_with": "z_L"} for n in ("z_M", "z_H")]
    written_out = {
        "arch__states": [{"name": "z_L"}, *shared],
        "arch__readout_state": "z_H",
        "arch__halt_state": "z_H",
        "arch__no_grad_cycles": 1,  # of two
        "training__augmentations": sorted(AUGMENTATIONS),
    }
    assert named(**written_out) == named()
    direct = {"arch__stages__1__repeat": 0, "arch__stages__2__sources": ["z_L"]}
    skipped = named(**direct)
    assert named(**direct, arch__stages__1__include_inputs=False) == skipped != named()
    for changes in (
        {"arch__stages__2__include_inputs": True},
        {"arch__num_layers": 2},
        {"arch__halt_state": "z_L"},
        {"arch__no_grad_cycles": 0},
    ):
        assert named(**direct, **changes) != skipped


def trained(trial: str, **changes: Any) -> TrainedRun:
    config = configure(**changes)
    return TrainedRun(trial=trial, asked=config, config=config, folder=Path(), step=9, metrics={})


def test_trials_that_never_see_the_puzzle_are_named() -> None:
    blind = {f"arch__stages__{n}__include_inputs": False for n in (0, 1)}
    cut = {"arch__stages__1__repeat": 0}  # nothing else leads to the answer's state
    runs = [trained("fine"), trained("blind", **blind), trained("cut", **cut)]
    (remark,) = SYSTEM.remarks(runs)
    assert "of blind, cut cannot" in remark
    assert SYSTEM.remarks(runs[:1]) == []
    (remark,) = SYSTEM.remarks([trained(f"t{n}", **blind) for n in range(7)])
    assert "t4 and 2 more" in remark and "t5" not in remark


def test_a_state_that_is_read_before_it_is_updated_is_seen_in_the_next_cycle() -> None:
    stages = [
        {"target": "z_H", "sources": ["z_L"], "include_inputs": False, "repeat": 1},
        {"target": "z_L", "sources": ["z_H"], "include_inputs": True, "repeat": 1},
    ]
    for cycles, steps, seen in ((1, 1, False), (2, 1, True), (1, 2, True)):
        config = configure(
            arch__stages=stages,
            arch__readout_state="z_H",
            arch__outer_cycles=cycles,
            arch__halt_max_steps=steps,
        )
        assert Arch.model_validate(config["arch"]).sees_the_puzzle() is seen


def test_a_fine_tuning_keeps_the_entries_that_it_sets_itself() -> None:
    run = configure(arch__stages__0__repeat=5, arch__stages__1__repeat=4, arch__hidden_size=32)
    tuned = configure(arch__stages__1__repeat=1)
    SYSTEM.fit_to_run(tuned, run, given=["arch.stages.1.repeat"], data=Path(), forgetting=False)
    assert [stage["repeat"] for stage in tuned["arch"]["stages"]] == [5, 1, 1]
    assert tuned["arch"]["hidden_size"] == 32
    SYSTEM.fit_to_run(tuned, run, given=[], data=Path(), forgetting=False)
    assert tuned["arch"] == run["arch"]


def test_a_guess_gets_the_givens_and_a_part_of_the_rest() -> None:
    (guess,) = SYSTEM.references({"size": 4, "givens": 8.0})
    assert (guess.metric, guess.value) == ("accuracy", pytest.approx((8 + 8 / 4) / 16))
