"""The largest micro-batch that may fit in memory, recorded when a larger one did not.

A single process halves its micro-batch and continues. Of several, the others would wait for it
forever: it leaves a note in the run's folder, all of them exit, and the next attempt starts with a
smaller micro-batch.
"""

import json
from pathlib import Path

from resweep.files import write_atomically
from resweep.paths import RunFolder


class MicroBatchLimit:
    """The note of a run.

    Args:
        folder: The run's folder.
        memory: Bytes of device memory; None: unknown. Devices with more memory ignore the note.
    """

    def __init__(self, folder: Path, memory: int | None):
        self.path = RunFolder(folder).micro_batch
        self.memory = memory

    def read(self) -> int | None:
        """Return the maximum number of examples per forward; 0: none fits, None: unknown."""
        try:
            note = json.loads(self.path.read_text())
        except FileNotFoundError:
            return None
        if self.memory is not None and self.memory > (note["device_memory"] or 0):
            return None
        return int(note["sequences"])  # the key of earlier versions

    def note(self, examples: int) -> None:
        """Record that at most this many examples per forward may fit."""
        content = {"sequences": examples, "device_memory": self.memory}
        write_atomically(self.path, json.dumps(content) + "\n")
