"""Work in a fork of this process: it has one thread, as what forks further must have."""

import faulthandler
import json
import os
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

import pytest


def in_fork(work: Callable[[], Any]) -> Any:
    """Return what some work returns, through JSON; fails with the trace of what it raises."""
    with tempfile.TemporaryFile("w+") as file:  # a pipe ends with all that inherited it
        pid = os.fork()
        if pid == 0:
            faulthandler.disable()  # crashes on purpose need no traces
            try:
                answer = {"returned": work()}
            except BaseException:
                answer = {"trace": traceback.format_exc()}
            json.dump(answer, file)
            file.flush()
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        file.seek(0)
        answer = json.load(file) if status == 0 else {"trace": f"it ended with status {status}"}
    if "trace" in answer:
        pytest.fail(answer["trace"])
    return answer["returned"]
