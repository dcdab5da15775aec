"""Batches of a training and of an evaluation: functions of seed and step."""

import numpy as np
import pytest

from resweep.systems.language.batches import (
    TrainBatches,
    eval_batches,
    steps_for_epochs,
    windows_per_epoch,
)


def batches(tokens=1000, context=8, batch=5, seed=0) -> TrainBatches:
    return TrainBatches(np.arange(tokens, dtype="<u2"), context, batch, seed)


def test_a_batch_holds_windows_of_consecutive_tokens():
    batch = batches().at(3)
    assert batch.shape == (5, 9)
    assert batch.dtype == np.int64
    assert (np.diff(batch, axis=1) == 1).all()


def test_every_window_is_read_once_an_epoch():
    source = batches(batch=1)
    for epoch in range(3):
        steps = range(epoch * source.windows, (epoch + 1) * source.windows)
        starts = sorted(int(source.at(step)[0, 0]) for step in steps)
        assert np.diff(starts).tolist() == [8] * (source.windows - 1)
        assert starts[0] >= 0
        assert starts[-1] + 8 < 1000


def test_epochs_differ_in_order_and_offset():
    source = batches(batch=1)
    epochs = [[int(source.at(e * source.windows + i)[0, 0]) for i in range(source.windows)]
              for e in range(4)]  # fmt: skip
    assert len({tuple(np.argsort(epoch)) for epoch in epochs}) == 4
    assert len({min(epoch) for epoch in epochs}) > 1


def test_a_batch_is_a_function_of_the_step_alone():
    source = batches()
    in_order = [source.at(step) for step in range(60)]
    other = batches()
    for step in (59, 0, 30, 24, 25, 3):
        assert (other.at(step) == in_order[step]).all()


def test_a_batch_across_the_end_of_an_epoch_has_windows_of_both():
    single, batch = batches(batch=1), batches(batch=5)
    assert single.windows % 5 != 0
    step = single.windows // 5
    expected = [single.at(step * 5 + i)[0].tolist() for i in range(5)]
    assert batch.at(step).tolist() == expected


def test_a_batch_can_be_larger_than_an_epoch():
    source = batches(tokens=30, context=8, batch=20)
    assert source.windows < 10
    assert source.at(2).shape == (20, 9)


def test_accumulated_batches_are_the_same_sequences():
    halves, whole = batches(batch=5), batches(batch=10)
    assert whole.at(1).tolist() == halves.at(2).tolist() + halves.at(3).tolist()


def test_seeds_read_other_batches():
    assert (batches(seed=0).at(0) != batches(seed=1).at(0)).any()


@pytest.mark.parametrize("tokens", [9, 10, 16, 17, 18, 24, 25])
def test_windows_never_leave_the_split(tokens):
    source = batches(tokens=tokens, batch=1)
    seen = [source.at(step)[0] for step in range(20 * source.windows)]
    assert max(window[-1] for window in seen) <= tokens - 1
    assert min(window[0] for window in seen) == 0


def test_a_split_without_a_window_is_refused():
    with pytest.raises(ValueError, match="8 tokens"):
        batches(tokens=8)


@pytest.mark.parametrize(
    ("tokens", "epochs", "steps"), [(1000, 1, 25), (1000, 2, 50), (9, 1, 1), (1000, 3, 75)]
)
def test_epochs_come_to_steps(tokens, epochs, steps):
    assert windows_per_epoch(1000, 8) == 124
    assert steps_for_epochs(tokens, 8, 5, epochs) == steps


def test_evaluation_reads_the_split_in_order_without_overlap():
    parts = eval_batches(np.arange(100, dtype="<u2"), 8, 5, None)
    assert [part.shape for part in parts] == [(5, 9), (5, 9), (2, 9)]
    targets = np.concatenate(parts)[:, 1:].ravel()
    assert targets.tolist() == list(range(1, 97))


def test_evaluation_takes_so_many_sequences_from_the_start():
    parts = eval_batches(np.arange(100, dtype="<u2"), 8, 5, 7)
    assert np.concatenate(parts)[:, 0].tolist() == [0, 8, 16, 24, 32, 40, 48]
    assert eval_batches(np.arange(8, dtype="<u2"), 8, 5, None) == []
