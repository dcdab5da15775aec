"""What the store has of packs whose records are not there."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from resweep.errors import StoreError
from resweep.paths import Layout
from resweep.report.report import render_report
from resweep.report.results import read_study
from resweep.report.summary import summarize
from resweep.store.forget import runs_of_phase
from resweep.store.unlinked import find_unlinked
from resweep.trials.pack import Asked, PackFile, write_pack
from resweep.trials.trial import Trial, read_trial
from tests.support.study import RERUN, SWEEP, make_study
from tests.support.tiny import BASE

STEPS = BASE["training.max_steps"]


def pack_of(layout: Layout, names: list[str], phase: str = "sweep", known: bool = True) -> PackFile:
    """Write the file of a pack of made-up trials; without what they train, a job writes that."""
    pack = PackFile(study="made", phase=phase, folder="", trials=tuple(names))
    if known:
        trials: list[Trial] = [read_trial(layout.trial("made", phase, name)) for name in names]
        asked = tuple(Asked(assignments=trial.assignments, stop=None) for trial in trials)
        named = {"study": pack.study, "phase": phase, "folder": "", "trials": pack.trials}
        pack = PackFile(**named, config=trials[0].config, asked=asked)
    write_pack(layout.phase("made", phase).pack(pack.id), pack)
    return pack


def lose(layout: Layout, phase: str, *names: str, trial_files: bool = True) -> None:
    """Remove outputs of trials, as Snakemake does after a failure."""
    for name in names:
        layout.record("made", phase, name).unlink()
        if trial_files:
            layout.trial("made", phase, name).unlink()


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A study with results, all of them linked, in three packs."""
    sweep, rerun = ([replace(made, steps=STEPS) for made in trials] for trials in (SWEEP, RERUN))
    layout = make_study(tmp_path, sweep, rerun)
    pack_of(layout, ["aaa", "bbb"])
    pack_of(layout, ["ccc", "ddd"])
    pack_of(layout, ["01", "02", "03", "04", "05"], "rerun", known=False)
    return layout


def test_what_has_its_record_is_not_reported(layout: Layout) -> None:
    assert [find_unlinked("made", phase, layout) for phase in ("sweep", "rerun")] == [None, None]
    assert read_study("made", layout).unlinked == ()
    assert find_unlinked("made", "nothing", layout) is None


def test_lost_records_are_counted_by_the_packs_that_lost_them(layout: Layout) -> None:
    lose(layout, "sweep", "aaa", "bbb")
    found = find_unlinked("made", "sweep", layout)
    assert found is not None and (found.packs, found.trials, found.done) == (1, 2, 2)
    lose(layout, "sweep", "ccc")
    found = find_unlinked("made", "sweep", layout)
    assert found is not None and (found.packs, found.trials, found.done) == (2, 4, 4)


def test_runs_without_a_record_can_be_forgotten(layout: Layout) -> None:
    whole, sweep = runs_of_phase("made", None, layout), runs_of_phase("made", "sweep", layout)
    lose(layout, "sweep", "aaa", "bbb", "ccc", "ddd")
    assert runs_of_phase("made", "sweep", layout) == sweep and len(sweep) == 4
    shutil.rmtree(layout.phase("made", "sweep").records)  # Snakemake removes empty folders
    assert runs_of_phase("made", None, layout) == whole


def test_what_the_store_lacks_is_not_done(layout: Layout) -> None:
    run = layout.record("made", "sweep", "aaa").resolve().parents[1]
    lose(layout, "sweep", "aaa")
    run.rename(layout.root / "away")
    assert find_unlinked("made", "sweep", layout) is None
    lose(layout, "sweep", "bbb")
    found = find_unlinked("made", "sweep", layout)
    assert found is not None and (found.trials, found.done) == (2, 1)
    run.write_text("a file in its place")
    assert find_unlinked("made", "sweep", layout) == found


def test_trials_that_a_job_wrote_are_known_by_their_files(layout: Layout) -> None:
    lose(layout, "rerun", "01", "02", "05", trial_files=False)
    layout.trial("made", "rerun", "02").unlink()
    found = find_unlinked("made", "rerun", layout)
    assert found is not None and (found.trials, found.done) == (5, 3)  # 01, 03 and 04


def test_the_study_shows_them_with_and_without_a_ranking(layout: Layout) -> None:
    lose(layout, "sweep", "aaa", "bbb")
    results = read_study("made", layout)
    line = results.unlinked[0].line
    assert line.startswith("sweep: 2 of 2 trials")
    summary = " ".join(summarize(results, layout).split())
    assert f"warning: {line}" in summary
    assert f'<p class="warning">{line}</p>' in render_report(results, layout)
    for phase in ("sweep", "rerun"):
        layout.phase("made", phase).scores.unlink()
    with pytest.raises(StoreError) as caught:
        read_study("made", layout)
    assert str(caught.value).splitlines()[1:] == [line]


def test_a_damaged_file_of_a_pack_is_named(
    layout: Layout, caplog: pytest.LogCaptureFixture
) -> None:
    (file, _) = layout.phase("made", "sweep").all_packs()
    file.write_text("{")
    assert find_unlinked("made", "sweep", layout) is None
    assert str(file) in caplog.text
