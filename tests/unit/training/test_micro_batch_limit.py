"""The note of the largest micro-batch: kept for as much memory, and set aside when damaged."""

import pytest

from resweep.training.micro_batch_limit import MicroBatchLimit


def test_a_note_is_for_devices_with_no_more_memory(tmp_path):
    assert MicroBatchLimit(tmp_path, 100).read() is None
    MicroBatchLimit(tmp_path, 100).note(3)
    assert [MicroBatchLimit(tmp_path, memory).read() for memory in (99, 100, None)] == [3, 3, 3]
    assert MicroBatchLimit(tmp_path, 101).read() is None


@pytest.mark.parametrize(
    "text", ["", "5", "{}", '{"sequences": "4", "device_memory": null}', '{"sequences": -1}']
)
def test_a_damaged_note_is_none(text, tmp_path):
    file = tmp_path / "micro_batch.json"
    file.write_text(text)
    assert MicroBatchLimit(tmp_path, 100).read() is None
    assert (tmp_path / "micro_batch.json.damaged").read_text() == text
    MicroBatchLimit(tmp_path, 100).note(2)
    assert MicroBatchLimit(tmp_path, 100).read() == 2
