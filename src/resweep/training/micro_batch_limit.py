"""The largest micro-batch that may fit in memory, recorded when a larger one did not.

A single process halves its micro-batch and continues. Of several, the others would wait for it
forever: it leaves a note in the run's folder, all of them exit, and the next attempt starts with a
smaller micro-batch.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from resweep.errors import DamagedFile
from resweep.json_files import read_json, set_aside, write_json
from resweep.paths import RunFolder


class _Note(TypedDict):
    """Content of the file."""

    sequences: Annotated[int, Field(ge=0)]  # the key of earlier versions
    device_memory: Annotated[int, Field(ge=0)] | None


_SHAPE = TypeAdapter(_Note)


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
        """Return the maximum number of examples per forward; 0: none fits, None: unknown.

        A damaged note is set aside: the next training starts with its whole micro-batch.
        """
        try:
            note: _Note = read_json(self.path, "delete it", _SHAPE)
        except FileNotFoundError:
            return None
        except DamagedFile as error:
            set_aside(self.path, error.what)
            return None
        if self.memory is not None and self.memory > (note["device_memory"] or 0):
            return None
        return note["sequences"]

    def note(self, examples: int) -> None:
        """Record that at most this many examples per forward may fit."""
        write_json(self.path, {"sequences": examples, "device_memory": self.memory})
