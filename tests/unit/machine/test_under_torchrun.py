"""Processes that somebody else's torchrun started."""

import pytest

from resweep.errors import ConfigError
from resweep.machine.under_torchrun import become_launcher, is_helper, torchrun_processes

OURS = {"PATH": "/bin", "LOCAL_FOLDER": "/data"}


def started(rank: int, of: int = 4, here: int = 4) -> dict[str, str]:
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": of, "LOCAL_WORLD_SIZE": here}
    more = {"TORCHELASTIC_RUN_ID": "none", "MASTER_ADDR": "localhost", "GROUP_RANK": "0"}
    return OURS | {name: str(value) for name, value in names.items()} | more


def test_rank_zero_trains_with_as_many_processes() -> None:
    environment = started(0)
    assert not is_helper(environment) and torchrun_processes(environment) == 4
    become_launcher(environment)
    assert environment == OURS


def test_the_other_ranks_help() -> None:
    assert [is_helper(started(rank)) for rank in range(3)] == [False, True, True]


def test_ranks_of_another_launcher_are_not_looked_at() -> None:
    environment = {**OURS, "RANK": "1", "WORLD_SIZE": "2"}
    assert not is_helper(environment) and torchrun_processes(environment) is None
    become_launcher(environment)
    assert environment["RANK"] == "1"


def test_several_machines_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"training\.nodes"):
        torchrun_processes(started(0, of=8, here=4))
