"""Language models that note each step that is trained: `system: counted`.

Its folder is copied into the library of a checkout. Each step is a line in the file `steps` of the
folder where jobs run: learning rate, process, step. Files there change what trainings do:

    crash      a learning rate, whose training crashes at its third step
    together   the first trainings wait until so many have begun
"""

import os
import signal
import time
from pathlib import Path
from typing import Any

from resweep.systems.language.system import LanguageSystem

STEPS = Path("steps")
CRASH, TOGETHER = Path("crash"), Path("together")
CRASHES_AT = 3


def begun() -> int:
    """How many processes have trained, or are about to."""
    lines = STEPS.read_text().splitlines() if STEPS.exists() else []
    return len({line.split()[1] for line in lines})


def note(rate: float, step: int) -> None:
    """Add a line, whole even while others add theirs."""
    file = os.open(STEPS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{rate} {os.getpid()} {step}\n".encode())
    os.close(file)


class Counted(LanguageSystem):
    name = "counted"

    def learner(self, *arguments: Any) -> Any:
        learner = super().learner(*arguments)
        rate, train_step = learner.training.learning_rate, learner.train_step

        def counted(*more: Any) -> None:
            if CRASH.exists() and float(CRASH.read_text()) == rate and learner.step == CRASHES_AT:
                os.kill(os.getpid(), signal.SIGSEGV)
            train_step(*more)
            note(rate, learner.step)
            while TOGETHER.exists() and begun() < int(TOGETHER.read_text()):
                time.sleep(0.001)

        learner.train_step = counted
        return learner


SYSTEM = Counted()
