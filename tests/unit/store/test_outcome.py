"""A trial file is believed only as far as its record is of what it asks for."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.canonical import digest
from resweep.config.compose import assign
from resweep.errors import ConfigError, DamagedFile, ResweepError, StoreError
from resweep.json_files import read_json
from resweep.paths import Layout, trial_of
from resweep.store.outcome import OutcomeReader
from resweep.store.run import Run
from resweep.trials.record import Status, link_record, read_record, write_own_record, write_record
from resweep.trials.trial import Trial, read_trial, write_trial
from tests.support.disks import only_readable, run_plain
from tests.support.study import RATE, make_study, run_id


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study without damage; not to be changed."""
    return make_study(tmp_path_factory.mktemp("made")).root


@pytest.fixture
def layout(made: Path, tmp_path: Path) -> Layout:
    shutil.copytree(made, tmp_path / "results", symlinks=True)
    return Layout(tmp_path / "results")


def record(layout: Layout, trial: str = "bbb", phase: str = "sweep") -> Path:
    return layout.record("made", phase, trial)


def edit(layout: Layout, *, only_config: bool = False, **values: Any) -> None:
    """Change values in a trial file, in its configuration and in what distinguishes it."""
    file = trial_of(record(layout))
    trial = read_trial(file)
    named = {name.replace("__", "."): value for name, value in values.items()}
    assigned = {name: value for name, value in named.items() if name in trial.assignments}
    assignments = trial.assignments | ({} if only_config else assigned)
    changed = replace(trial, config=assign(trial.config, named), assignments=assignments)
    write_trial(file, changed)


def refused(layout: Layout, path: Path | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        OutcomeReader(layout).read(path or record(layout))
    assert "\n" not in str(caught.value)
    return caught.value


def test_what_nobody_touched_belongs_together(layout):
    records = sorted(layout.study("made").path.glob("*/records/*.json"))
    assert [found.path for found in OutcomeReader(layout).read_all(records)] == records


@pytest.mark.parametrize(
    ("values", "trained"),
    [
        ({"training__learning_rate": 0.5}, 0.001),
        ({"training__max_steps": 13}, 12),
        ({"model__n_layer": 3}, 2),
        ({"training__batch_size": 12}, 6),
        ({"optimizer_name": "lion"}, "adam"),
        ({"mine": 3}, None),
    ],
)
@pytest.mark.parametrize("lost", ["nothing", "data", "data and stamp", "upgrade"])
def test_a_changed_value_is_named_with_the_one_that_was_trained(values, trained, lost, layout):
    (key, value), *_ = values.items()
    lose(layout, lost)
    edit(layout, **values)
    (problem,) = refused(layout).problems
    assert problem.file == str(trial_of(record(layout)))
    assert (problem.key, problem.value) == (key.replace("__", "."), value)
    assert f"{trained!r}" in problem.hint and "snakemake" in problem.hint


def lose(layout: Layout, what: str) -> None:
    """Take away what the comparison rests on; untouched trials still pass."""
    (described,) = layout.root.glob("data/*/data.json")
    if what == "data":
        stamp = layout.study("made").data_stamp(described.parent.name)
        shutil.copy(described, stamp)
    if what.startswith("data"):
        shutil.rmtree(layout.root / "data")
    if what == "upgrade":  # runs of an older recipe have another name than today's
        older(layout)
    OutcomeReader(layout).read(record(layout))


def older(layout: Layout) -> None:
    """Turn the trial's run into one of an older recipe."""
    old = Run(layout.run(run_id(layout, "sweep", "bbb")))
    identity = old.state()["identity"] | {"recipe": "gpt/0"}
    run = Run(layout.run(digest(identity, 12)))
    old.path.rename(run.path)
    state = read_json(run.folder.state, "")
    run.folder.state.unlink()
    run.update(**state | {"run_id": run.run_id, "identity": identity})
    (file,) = run.records().values()
    write_record(file, replace(read_record(file), run_id=run.run_id))
    link_record(record(layout), file)


def test_a_result_without_a_run_is_none(layout):
    path = record(layout)
    found = read_record(path)
    path.unlink()
    write_record(path, replace(found, run_id=None))
    with pytest.raises(DamagedFile) as caught:
        OutcomeReader(layout).read(path)
    assert caught.value.path == path


def test_labels_may_change(layout):
    edit(layout, run__name="another", training__save_steps=3, training__eval_batch_size=2)
    OutcomeReader(layout).read(record(layout))


@pytest.mark.parametrize("assigned", [{}, {"training.batch_size": 6}, {"training.seed": 3}])
def test_assignments_give_a_trial_its_name(assigned, layout):
    """A shorter list agrees with the configuration too, and would be the best configuration."""
    trial = read_trial(trial_of(record(layout)))
    name = f"{digest(trial.assignments, 10)}-2"
    link_record(record(layout, name), record(layout).resolve())
    write_trial(trial_of(record(layout, name)), replace(trial, trial=name))
    OutcomeReader(layout).read(record(layout, name))
    changed = replace(trial, trial=name, assignments=assigned)
    write_trial(trial_of(record(layout, name)), changed)
    (problem,) = refused(layout, record(layout, name)).problems
    assert (problem.key, problem.value) == ("assignments", assigned)


def test_assignments_agree_with_the_configuration(layout):
    edit(layout, only_config=True, training__learning_rate=0.5)
    (problem,) = refused(layout).problems
    assert (problem.key, problem.value) == (RATE, 0.001) and "0.5" in problem.hint


def test_a_value_that_cannot_be_trained_was_not(layout):
    edit(layout, model__n_head=3)
    (problem,) = refused(layout).problems
    assert problem.file == str(trial_of(record(layout))) and "n_head" in problem.hint


@pytest.mark.parametrize("key", ["study", "phase", "trial"])
def test_a_trial_file_is_at_its_place(key, layout):
    file = trial_of(record(layout))
    write_trial(file, replace(read_trial(file), **{key: "other"}))
    (problem,) = refused(layout).problems
    assert (problem.file, problem.key, problem.value) == (str(file), key, "other")


def test_swapped_links_are_refused(layout):
    links = {name: record(layout, name).readlink() for name in ("aaa", "bbb")}
    for name, other in (("aaa", "bbb"), ("bbb", "aaa")):
        record(layout, name).unlink()
        record(layout, name).symlink_to(links[other])
    for name, rate, trained in (("aaa", 1e-4, 1e-3), ("bbb", 1e-3, 1e-4)):
        (problem,) = refused(layout, record(layout, name)).problems
        assert (problem.key, problem.value) == (RATE, rate) and f"{trained!r}" in problem.hint


def test_a_record_of_another_run_is_refused_as_a_copy_too(layout):
    other = record(layout, "03", "rerun").read_bytes()
    path = record(layout)
    path.unlink()
    path.write_bytes(other)
    assert refused(layout).problems[0].file == str(trial_of(path))


def test_a_changed_copy_of_its_own_record_is_refused(layout):
    """As those of trials that a rung stopped; without a checksum, as in older stores."""
    path = record(layout)
    content = read_json(path, "")
    path.unlink()
    content["metrics"]["val/loss"] -= 1.0
    path.write_text(json.dumps(content))
    with pytest.raises(DamagedFile) as caught:
        OutcomeReader(layout).read(path)
    assert caught.value.path == path


def test_a_plain_copy_of_the_same_record_is_fine(layout):
    path = record(layout)
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    assert OutcomeReader(layout).read(path).record.step == 40


@pytest.mark.parametrize(
    ("status", "step", "rule", "stop", "fits"),
    [
        ("finished", 40, None, None, True),
        ("finished", 40, None, 40, True),
        ("finished", 40, None, 20, False),
        ("stopped", 20, None, 20, True),
        ("stopped", 20, None, None, False),
        ("stopped", 20, None, 30, False),
        ("stopped", 20, "plateau", 30, True),
        ("stopped", 20, "plateau", 10, False),
        ("diverged", 10, None, 20, True),
    ],
)
def test_a_record_ends_where_the_trial_asks_for(status, step, rule, stop, fits, layout):
    path, file = record(layout), trial_of(record(layout))
    made = replace(read_record(path), status=Status(status), step=step, rule=rule, max_steps=40)
    path.unlink()
    write_record(path, made)
    write_trial(file, replace(read_trial(file), stop=stop))
    if fits:
        OutcomeReader(layout).read(path)
    else:
        assert refused(layout).problems[0].key == "stop"


def test_an_empty_slot_has_an_empty_record(layout):
    path = record(layout)
    path.unlink()
    write_own_record(path, Status.EMPTY, "nothing to do")
    assert refused(layout).problems[0].key == "empty"


def test_damaged_records_of_the_store_are_set_aside_and_all_named(layout):
    paths = [record(layout, name) for name in ("aaa", "bbb", "ccc")]
    for path in paths[:2]:
        path.write_text("{")
    with pytest.raises(StoreError) as caught:
        OutcomeReader(layout).read_all(paths)
    lines = str(caught.value).splitlines()
    assert [line.partition(": ")[0] for line in lines] == [str(path) for path in paths[:2]]
    assert [path.exists() for path in paths] == [False, False, True]
    assert all(path.is_symlink() for path in paths)


@pytest.mark.parametrize("target", ["notes.json", "../../../runs/notes.txt"])
def test_a_link_out_of_the_store_is_refused(target, layout):
    path = record(layout)
    content = path.read_bytes()
    path.unlink()
    path.symlink_to(target)
    (path.parent / target).write_bytes(content)
    with pytest.raises(DamagedFile, match=target):
        OutcomeReader(layout).read(path)


def test_of_a_run_with_a_damaged_state_only_the_name_is_compared(layout):
    state = Run(layout.run(run_id(layout, "sweep", "bbb"))).folder.state
    state.write_text("5")
    OutcomeReader(layout).read(record(layout))
    edit(layout, training__learning_rate=0.5)
    (problem,) = refused(layout).problems
    assert problem.file == str(trial_of(record(layout))) and str(state) in problem.hint
    shutil.rmtree(layout.root / "data")
    with pytest.raises(DamagedFile) as caught:
        OutcomeReader(layout).read(record(layout))
    assert caught.value.path == state


def text(content: Any) -> Callable[[Path], object]:
    return lambda file: file.write_text(yaml12.dump(content))


SLOT = {"study": "made", "phase": "sweep", "trial": "bbb"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_text(""),
        lambda file: file.write_bytes(b"\0" * 50),
        lambda file: file.write_bytes(b"\xff\xfe\x00"),
        lambda file: file.write_text("a: [1\n"),
        lambda file: file.unlink(),
        text([1, 2]),
        text("words"),
        text(SLOT),
        text(SLOT | {"config": 5}),
        text(SLOT | {"config": {"a": 1}, "assignments": [1]}),
        text(SLOT | {"config": {"a": 1}, "stop": "x"}),
        text(SLOT | {"config": {"a": 1}, "stop": True}),
        text(SLOT | {"config": {"a": 1}, "stop": -1}),
        text(SLOT | {"config": {"a": 1}, "more": 1}),
        text(SLOT | {"trial": 5, "config": {"a": 1}}),
    ],
)
def test_what_is_not_a_trial_file_is_named_in_one_line(damage, layout):
    file = trial_of(record(layout))
    damage(file)
    (problem,) = refused(layout).problems
    assert problem.file == str(file) and "snakemake" in problem.hint


def test_a_trial_needs_nothing_but_its_place_and_configuration(tmp_path):
    write_trial(tmp_path / "t.yaml", Trial("s", "p", "t", config={"a": {}}))
    assert read_trial(tmp_path / "t.yaml").assignments == {}
    with pytest.raises(ResweepError):
        read_trial(tmp_path / "no.yaml")


@pytest.mark.parametrize("section", ["data", "training", "model", "system"])
@pytest.mark.parametrize("value", [5, [1], None, {}, {"a": {"b": 1}}])
def test_a_section_that_is_none_is_named(section, value, layout):
    file = trial_of(record(layout))
    trial = read_trial(file)
    write_trial(file, replace(trial, config={**trial.config, section: value}))
    assert str(file) in str(refused(layout))


def test_a_link_that_leads_to_another_trial_damages_nothing(layout):
    wrong, right = record(layout), record(layout, "aaa")
    wrong.unlink()
    wrong.symlink_to(right.name)
    with pytest.raises(StoreError) as caught:
        OutcomeReader(layout).read_all([wrong, right])
    assert str(wrong) in str(caught.value)
    assert OutcomeReader(layout).read_all([right])[0].path == right


def test_a_damaged_record_of_another_user_is_named(layout):
    path = record(layout)
    path.resolve().write_text("{}")
    only_readable(layout.root)
    script = f"""
from pathlib import Path
from resweep.errors import StoreError
from resweep.paths import Layout
from resweep.store.outcome import OutcomeReader
try:
    OutcomeReader(Layout(Path({str(layout.root)!r}))).read_all([Path({str(path)!r})])
except StoreError as error:
    print(error)
"""
    (line,) = run_plain(script)
    assert line.startswith(f"{path}: is not a record")
