"""A call asks for few files, and yet makes every one that is missing."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from resweep.paths import Layout
from resweep.study import files
from resweep.study.load import load_study
from resweep.study.study import Study
from resweep.study.targets import targets
from tests.conftest import ROOT


@dataclass(frozen=True)
class Job:
    inputs: frozenset[Path]
    outputs: frozenset[Path]


def job(inputs: Iterable[Path], outputs: Iterable[Path]) -> Job:
    return Job(frozenset(inputs), frozenset(outputs))


def jobs(study: Study, layout: Layout) -> list[Job]:
    """The jobs of a study, as in its rules."""
    found = []
    for phase in study.phases:
        folder = layout.phase(study.name, phase.name)
        for stage in phase.stages:
            for pack in phase.packs[stage.name]:
                for group in ([name] for name in pack.names) if pack.is_alone else [pack.names]:
                    waits = files.training_inputs(layout, phase, stage, group)
                    written = files.training_outputs(layout, phase, stage, group)
                    found.append(job(waits, [path for paths in written.values() for path in paths]))
        for fill in phase.fills(layout):
            waits = [*fill.records, *(path for given in fill.inputs.values() for path in given)]
            found.append(job(waits, [path for made in fill.outputs.values() for path in made]))
        found.append(job(files.records(layout, phase), [folder.scores]))
        found.append(job([folder.scores], [folder.best_configs(phase.selects)]))
        found.append(job([folder.scores], [folder.decisions, folder.models]))
    records = [path for phase in study.phases for path in files.records(layout, phase)]
    return [*found, job(records, [layout.study(study.name).table])]


def to_run(all_jobs: list[Job], asked: Iterable[Path], there: set[Path]) -> set[Job]:
    """The jobs that Snakemake runs: those that make what is missing and asked for, or is read by
    a job that runs, and those that read what these make."""
    makers = {path: one for one in all_jobs for path in one.outputs}
    runs: set[Job] = set()
    waiting = [makers[path] for path in asked if path in makers and path not in there]
    while waiting:
        one = waiting.pop()
        if one in runs:
            continue
        runs.add(one)
        waiting += [makers[path] for path in one.inputs if path in makers and path not in there]
        waiting += [other for other in all_jobs if other.inputs & one.outputs]
    return runs


def every_file(study: Study, layout: Layout) -> set[Path]:
    """The files that a study ends in, and all of its records and trial files."""
    found = set(targets(layout, study))
    for phase in study.phases:
        folder = layout.phase(study.name, phase.name)
        slots = files.all_slots(phase)
        found |= {*map(folder.record, slots), *map(folder.trial, slots)}
    return found


def make(paths: Iterable[Path]) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize("name", ["quickstart", "adaptive"])
def test_whatever_is_missing_the_same_jobs_run_as_if_all_were_asked_for(
    name: str, tmp_path: Path
) -> None:
    study = load_study(ROOT / f"config/studies/{name}.yaml", ROOT / "config")
    draw = random.Random(1)
    for case in range(30):
        layout = Layout(tmp_path / str(case))
        everything = sorted(every_file(study, layout))
        some = max(1, round(len(everything) * draw.choice([0.01, 0.03, 0.3, 0.97])))
        there = {*everything} - {*draw.sample(everything, some)}
        make(there)
        all_jobs = jobs(study, layout)
        asked = targets(layout, study)
        assert len(asked) == len(set(asked))
        assert to_run(all_jobs, asked, there) == to_run(all_jobs, everything, there)


@pytest.mark.parametrize("name", ["quickstart", "adaptive"])
def test_where_all_or_nothing_is_there_no_trial_is_asked_for(name: str, tmp_path: Path) -> None:
    study = load_study(ROOT / f"config/studies/{name}.yaml", ROOT / "config")
    layout = Layout(tmp_path)
    folders = {"records", "trials"}
    assert not any(folders & set(path.parts) for path in targets(layout, study))
    make(every_file(study, layout))
    asked = targets(layout, study)
    assert not any(folders & set(path.parts) for path in asked)
    lost = layout.record(study.name, study.phases[0].name, study.phases[0].trials[0])
    lost.unlink()
    lost.symlink_to("gone")
    assert targets(layout, study)[0] == lost and len(targets(layout, study)) == len(asked) + 1
