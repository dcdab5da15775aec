"""Trainings that wait until a test has seen them."""

import os

from tests.conftest import Checkout


class Held:
    """Lets a checkout's trainings wait after their first evaluation, until they are released.

    Args:
        checkout: Where nothing was trained yet: it changes the code that trains.
    """

    def __init__(self, checkout: Checkout):
        self._pipe = checkout.path / "held"
        os.mkfifo(self._pipe)
        file = checkout.path / "src/resweep/training/loop.py"
        content, begin = file.read_text(), "    while learner.step < plan.until:\n"
        assert content.count(begin) == 1
        waits = f"    open({str(self._pipe)!r}).close()\n"
        file.write_text(content.replace(begin, waits + begin))

    def release(self) -> None:
        """Let the training go on that waits; waits for one."""
        self._pipe.open("w").close()
