"""Which checkpoints a command line means: of a run, of a trial, of a folder."""

from pathlib import Path

import pytest

from resweep.analysis.checkpoints import find_checkpoints
from resweep.errors import ConfigError, DamagedFile
from resweep.paths import Layout
from resweep.store.advance import advance
from resweep.trials.record import Status, link_record, write_own_record
from tests.support.asked import ask
from tests.support.tiny import configure, prepare


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A run of 12 steps with checkpoints every 4, and two trials: to step 8, and to its end."""
    place = tmp_path_factory.mktemp("checkpoints")
    data, made = prepare(place / "data"), Layout(place / "results")
    config = configure(data, training__save_steps=4)
    for trial, stop in (("early", 8), ("whole", None)):
        record = advance(*ask(config, data, stop=stop), made)
        link_record(made.record("study", "phase", trial), record)
    write_own_record(made.record("study", "phase", "none"), Status.EMPTY, "nothing to fill it")
    return made


def steps(given: str | Path, layout: Layout) -> list[int | None]:
    return [one.step for one in find_checkpoints(str(given), layout).checkpoints]


def test_each_way_to_name_them(layout: Layout) -> None:
    (run,) = layout.all_runs()
    assert steps(run.name, layout) == steps(run, layout) == [4, 8, 12]
    assert steps(layout.record("study", "phase", "whole"), Layout()) == [4, 8, 12]
    assert steps(layout.record("study", "phase", "early"), layout) == [4, 8]
    for folder in (run, run / "checkpoint_4", run / "final_checkpoint"):
        found = find_checkpoints(str(folder), layout)
        assert found.run is not None and found.run.path == run
    assert steps(run / "checkpoint_4", layout) == [4]
    assert steps(run / "final_checkpoint", layout) == [12]


def test_folders_of_other_trainers_have_no_run(tmp_path: Path, layout: Layout) -> None:
    for name in ("checkpoint_20", "checkpoint_100", "final_checkpoint", "checkpoint_7.damaged"):
        (tmp_path / "saved" / name).mkdir(parents=True)
    found = find_checkpoints(str(tmp_path / "saved"), layout)
    assert found.run is None and [one.step for one in found.checkpoints] == [20, 100]
    assert [one.step for one in found.only([100, 100]).checkpoints] == [100]
    with pytest.raises(ConfigError, match=r"--checkpoints = 50: .* there are: 20, 100"):
        found.only([50])
    assert steps(tmp_path / "saved/final_checkpoint", layout) == [None]


def test_what_has_no_checkpoints_is_refused(tmp_path: Path, layout: Layout) -> None:
    with pytest.raises(ConfigError, match="the trial is empty"):
        steps(layout.record("study", "phase", "none"), layout)
    with pytest.raises(DamagedFile, match="does not exist"):
        steps(layout.record("study", "phase", "nobody"), layout)
    with pytest.raises(ConfigError, match="should be the id of a run"):
        steps("0123456789ab", layout)
    pruned = layout.run("0123456789ab")
    pruned.mkdir()
    (pruned / "record.json").write_text("{}")
    with pytest.raises(ConfigError, match="keep: all"):
        steps("0123456789ab", layout)
