"""How many sequences fit a forward: found out when more of them did not.

One process alone halves its micro-batch and goes on. Of several, the others would wait for it
forever: it leaves a note in the run's folder, all of them end, and the next ones begin with fewer.
"""

import json
from pathlib import Path

from resweep.paths import write_atomically

NOTE = "micro_batch.json"


class MicroBatchLimit:
    """The note of a run.

    Args:
        folder: The run's folder.
        memory: Bytes that the device has; None: not known. On larger devices the note says nothing.
    """

    def __init__(self, folder: Path, memory: int | None):
        self.path = folder / NOTE
        self.memory = memory

    def read(self) -> int | None:
        """Return the most sequences a forward; 0: not even one fits, None: nothing is known."""
        try:
            note = json.loads(self.path.read_text())
        except FileNotFoundError:
            return None
        if self.memory is not None and self.memory > (note["device_memory"] or 0):
            return None
        return int(note["sequences"])

    def note(self, sequences: int) -> None:
        """Write down that at most so many may fit."""
        content = {"sequences": sequences, "device_memory": self.memory}
        write_atomically(self.path, json.dumps(content) + "\n")
