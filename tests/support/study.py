"""A study with made-up numbers, written as trainings would write it: a sweep and its rerun."""

import math
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.canonical import digest, file_digest
from resweep.config import compose
from resweep.config.compose import Composed, assign
from resweep.config.nesting import nest
from resweep.data.description import DESCRIPTION
from resweep.data.source import data_id
from resweep.data.store import Prepared
from resweep.errors import StoreError
from resweep.json_files import write_json
from resweep.paths import METRICS, Layout, trial_of
from resweep.ranking.keep import keep_models
from resweep.ranking.score_table import write_scores
from resweep.ranking.scores import rank_trials
from resweep.ranking.trial_result import read_result
from resweep.report.tables import tabulate_study, write_runs_table
from resweep.search.rungs import Rung, RungEntry, decide
from resweep.store import checkpoints as checkpoint
from resweep.store.goal import goal_of
from resweep.store.identity import identity_without_data
from resweep.store.recorder import REACHED
from resweep.store.retention import claim
from resweep.store.run import Run
from resweep.study.kinds.rerun import RerunPhase
from resweep.study.kinds.sweep_phase import SweepPhase
from resweep.study.metric import choose_metric
from resweep.study.schema import Publish, Resources, Score, Tracking
from resweep.study.study import Phase, Study
from resweep.sweep import EarlyTerminate
from resweep.systems.registry import find_system
from resweep.training.metrics import MetricLog
from resweep.trials.decisions import write_decisions
from resweep.trials.record import Record, Status, link_record, read_record, write_own_record
from resweep.trials.trial import Trial, read_outcome, write_trial
from tests.support.tiny import BASE, LANGUAGE

RATE = "training.learning_rate"
SEED = "training.seed"
PART = {
    "from_step": 0,
    "to_step": 40,
    "device": "cpu (made)",
    "processes": 1,
    "seconds": 1.0,
    "versions": {},
    "code": "0123456789ab",
}
DATA = {"digest": "made up", "vocab_size": 257, "tokens": {"train": 4000, "val": 900, "test": 900}}


@dataclass(frozen=True)
class Made:
    """What a made-up trial asks and gets; without a final value it did not finish."""

    name: str
    assignments: dict[str, Any]
    final: float | None = None
    _: KW_ONLY
    status: str = Status.FINISHED
    reason: str | None = None
    rule: str | None = None
    steps: int = 40


SWEEP = [
    Made("aaa", {RATE: 1e-4, "optimizer_name": "lion"}, 2.9),
    Made("bbb", {RATE: 1e-3, "optimizer_name": "adam"}, 2.1),
    Made("ccc", {RATE: 1e-2, "optimizer_name": "adam"}, 2.4),
    Made(
        "ddd",
        {RATE: 1.0, "optimizer_name": "<b>&"},
        None,
        status="diverged",
        reason="the loss was <nan>",
    ),
]
RERUN = [
    Made("01", {RATE: 1e-3, "optimizer_name": "adam", SEED: 1}, 1.52),
    Made("02", {RATE: 1e-3, "optimizer_name": "adam", SEED: 2}, 1.48),
    Made("03", {RATE: 1e-2, "optimizer_name": "adam", SEED: 1}, 1.7),
    Made("04", {RATE: 1e-2, "optimizer_name": "adam", SEED: 2}, 1.9),
    Made("05", {}, None, status="empty", reason="top3_best_configs.yaml has only 2 configurations"),
]

LOGGED = {"training.log_steps": 10, "training.eval_steps": 10}  # as `make_run` writes


def make_study(
    root: Path,
    sweep: list[Made] = SWEEP,
    rerun: list[Made] = RERUN,
    name: str = "made",
    floor: float | None = 1.6,
    score: Score | None = None,
) -> Layout:
    """Write a whole study; equal trials of two studies share their runs."""
    layout = Layout(root / "results")
    score = score or Score()
    ranked = choose_metric(score, None, "made.yaml", find_system("language"))
    full, problems = compose.validate(Composed(nest(BASE | LOGGED), {}), "made", LANGUAGE)
    assert not problems
    common = {"study": name, "config": full, "keep": "best", "resources": Resources()}
    phases: list[Phase] = [SweepPhase(name="sweep", score=ranked, **common)]
    if rerun:
        own = {"sources": ("sweep",), "possible_values": (), "top": 1, "seeds": (1,)}
        own |= {"overrides": {}}
        phases.append(RerunPhase(name="rerun", score=ranked, **own, **common))
    study = Study(
        name=name,
        system="language",
        origin="made.yaml",
        phases=tuple(phases),
        score=score,
        tracking=Tracking(),
        publish=Publish(),
        tolerate_failures=0,
    )
    layout.study(name).path.mkdir(parents=True)
    layout.study(name).described.write_text(yaml12.dump(study.resolved()))
    if floor is not None:
        stamp = layout.study(name).data_stamp("0123")
        stamp.parent.mkdir()
        counts = {"train": 900, "val": 90, "test": 45}
        about = {"digest": "d", "vocab_size": 257, "tokens": counts, "bigram_floor": floor}
        write_json(stamp, about)
    records = []
    for phase, trials in zip(phases, (sweep, rerun), strict=False):
        paths = [make_trial(layout, phase, made) for made in trials]
        rank_phase(layout, phase, paths)
        records += paths
    layout.study(name).table.write_text(tabulate_study(records, layout))
    write_runs_table(layout)
    return layout


ADAPTIVE = [
    Made("r01-01", {RATE: 1e-4}, 2.6),
    Made("r01-02", {RATE: 1e-3}, 2.4),
    Made("r01-03", {RATE: 1e-2}, 3.9, status="stopped", reason="behind", steps=20),
    Made("r02-01", {RATE: 2e-3}, 2.1),
    Made("r02-02", {RATE: 3e-3}, 2.9),
    Made("r02-03", {RATE: 1.0}, None, status="diverged", reason="the loss was nan", steps=20),
]
AT_RUNG = [
    {"r01-01": 3.1, "r01-02": 3.3, "r01-03": 3.9},
    {"r02-01": 2.7, "r02-02": 3.2, "r02-03": None},
]


def make_adaptive_study(root: Path) -> Layout:
    """Write a study of two rounds with a rung at step 20."""
    layout = make_study(root, sweep=ADAPTIVE, rerun=[])
    file = layout.study("made").described
    described = yaml12.load_mapping(file)
    described["phases"][0] |= {"rounds": 2, "rungs": [[2, 3], [None, 2]]}
    file.write_text(yaml12.dump(described))
    statuses = {made.name: made.status for made in ADAPTIVE}
    for number, values in enumerate(AT_RUNG, 1):
        entries = [
            RungEntry(
                trial=trial,
                run_id=run_id(layout, "sweep", trial),
                step=20,
                status=Status.DIVERGED if statuses[trial] == "diverged" else Status.STOPPED,
                rule=None,
                value=value,
            )
            for trial, value in values.items()
        ]
        rule = EarlyTerminate(min_iter=2, eta=2)
        rows = decide(rule, Rung(1, 2, 3), entries, "minimize")
        write_decisions(layout.phase("made", "sweep").rung_decisions(f"r{number:02}_b1"), rows)
    return layout


def make_trial(layout: Layout, phase: Phase, made: Made, trial: Trial | None = None) -> Path:
    """Write a trial, of its own or of a slot, its run and its record; returns the record."""
    path = layout.record(phase.study, phase.name, made.name)
    config = assign(phase.config, made.assignments) if trial is None else trial.config
    if trial is None:
        place = (phase.study, phase.name, made.name)
        trial = Trial(*place, config=config, assignments=made.assignments)
    if made.status == "empty":
        write_trial(trial_of(path), replace(trial, config={}, assignments={}, empty=made.reason))
        write_own_record(path, Status.EMPTY, str(made.reason))
        return path
    write_trial(trial_of(path), trial)
    data = make_data(layout, config)
    try:
        known = goal_of(config, None, data, layout).identity
    except StoreError:  # made up like the rest, it starts from weights that are not there
        known = identity_without_data(config) | {"run": {"weights": made.name}}
    run = Run(layout.run(digest(known, 12)))
    record = make_run(run, config, made)
    run.update(identity=known, config_digest=file_digest(run.folder.config))
    if made.final is not None:
        folder = run.path / checkpoint.folder_name(made.steps)
        folder.mkdir(exist_ok=True)
        claim(run, phase.study, phase.name, made.name)
    link_record(path, record)
    return path


def make_data(layout: Layout, config: dict[str, Any]) -> Prepared:
    """Describe the data of a configuration, as if it was prepared."""
    folder = layout.data(data_id(find_system("language"), config["data"]))
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / DESCRIPTION, {"settings": config["data"], "sources": {}, **DATA})
    return Prepared(folder, DATA["digest"], DATA)


def run_id(layout: Layout, phase: str, trial: str, study: str = "made") -> str:
    """Name of the run of a trial."""
    return str(read_record(layout.record(study, phase, trial)).run_id)


def write_config(run: Run, config: dict[str, Any]) -> None:
    """Replace the configuration of a run as its training would."""
    run.folder.config.write_text(yaml12.dump(config))
    run.update(config_digest=file_digest(run.folder.config))


def make_run(run: Run, config: dict[str, Any], made: Made) -> Path:
    """Write a run's folder: its losses fall from 5 to the final value, or end in nan."""
    log = MetricLog(run.path / METRICS)
    log.write(0, {"val/loss": 5.0})
    last = 5.0 if made.final is None else made.final
    for step in range(10, made.steps + 1, 10):
        loss = last + (5.0 - last) * (1 - step / made.steps)
        value = math.nan if made.final is None and step == made.steps else loss
        log.write(step, {"train/loss": value + 0.1, "val/loss": value})
    log.close()
    resolved = {**config, "model": {**config.get("model", {}), "vocab_size": 257}}
    (run.path / "config.yaml").write_text(yaml12.dump(resolved))
    metrics = {} if made.final is None else {"val/loss": last, "test/loss": last + 0.2}
    run.update(
        status=made.status,
        step=made.steps,
        metrics=metrics,
        segments=[PART | {"seconds": 1.5}, PART | {"from_step": 10, "seconds": 2.0}],
        gpu_seconds=3.5,
    )
    record = Record(
        run_id=run.run_id,
        status=Status(made.status),
        stop_reason=made.reason,
        rule=made.rule,
        step=made.steps,
        metrics=metrics,
        parameters=1_250_000,
        seconds=3.5,
        gpu_seconds=3.5,
        code="0123456789ab",
    )
    ended = made.status == Status.FINISHED or made.reason == REACHED
    rule = None if ended else made.rule or made.status
    return run.write_record(record, rule)


def rank_phase(layout: Layout, phase: Phase, records: list[Path]) -> None:
    """Write scores.csv, decisions.csv and models/ of a phase."""
    folder = layout.phase(phase.study, phase.name)
    results = [read_result(read_outcome(path), phase.score, layout) for path in records]
    write_scores(folder.scores, rank_trials(results, phase.score))
    decisions = keep_models(
        study=phase.study,
        phase=phase.name,
        scores_path=folder.scores,
        policy="best",
        top=1,
        models=folder.models,
        layout=layout,
    )
    write_decisions(folder.decisions, decisions)
