"""The results of a study as its report and its summary read them: rankings, decisions, reruns.

study.yaml, {phase}/scores.csv, decisions.csv, decisions/{rung}.csv  ->  StudyResults
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import pandas as pd

from resweep import yaml12
from resweep.config.schema import Schema
from resweep.errors import StoreError
from resweep.paths import Layout
from resweep.ranking.scores import SEED, code_warning, with_result
from resweep.ranking.selection import read_scores, short_name
from resweep.replay.rung_summary import (
    RungRows,
    RungSummary,
    correlation_by_rung,
    read_rungs,
    summarize_rungs,
)
from resweep.report.trained_by import TrainedBy, describe_training, trained_runs
from resweep.study.metric import read_score
from resweep.systems.registry import find_system
from resweep.systems.system import DEFAULT, Reference, System, TrainedRun
from resweep.trials.record import read_record

SCORE_COLUMNS = (
    "rank", "trial", "run_id", "status", "rule", "stop_reason", "score", "final_mean", "final_std",
    "seeds", "early_slope", "final", "step", "parameters",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class PhaseResults:
    """What a phase got.

    Attributes:
        name, kind: As in the study.
        source: rerun: the phase whose best were rerun.
        metric: Whose final value ranks.
        goal: minimize or maximize.
        early_metric: Whose early slope counts.
        keep: Whose weights stay: best, all or none.
        trained_by: What was trained, and by what; None if nothing was.
        scores: scores.csv, best trial first.
        decisions: decisions.csv.
        rounds: sweep by bayes: how many there are, else None.
        rungs: What was decided at each rung of each round; none without rungs.
        newest: When its last record was written, in seconds since 1970; None without records.
        warning: What to know before trusting the ranking.
        schema: The fields that its configurations have.
        trained: Its trials that were trained, best first.
    """

    name: str
    kind: str
    source: str | None
    metric: str
    goal: str
    early_metric: str
    keep: str
    trained_by: TrainedBy | None
    scores: pd.DataFrame
    decisions: pd.DataFrame
    rounds: int | None
    rungs: tuple[RungRows, ...]
    newest: float | None
    warning: str | None
    schema: Schema
    trained: tuple[TrainedRun, ...]

    @property
    def hyperparameters(self) -> list[str]:
        """Paths of what distinguishes the trials, the seed among them if it does."""
        return [column for column in self.scores.columns if column not in SCORE_COLUMNS]

    def label(self, path: str) -> str:
        """Return a hyperparameter's name for people: as short as it can be."""
        return short_name(path, self.schema)

    def settings_text(self, hyperparameters: Mapping[str, Any]) -> str:
        """Return hyperparameters as one line for people, without those that have no value."""
        named = {self.label(path): shown(value) for path, value in hyperparameters.items()}
        return ", ".join(f"{name} {text}" for name, text in named.items() if text)

    @property
    def with_result(self) -> pd.DataFrame:
        """The trials with a result, best first; not all of their configurations have a score."""
        return self.scores[with_result(self.scores) & self.scores["final"].notna()]

    @property
    def rung_summaries(self) -> list[RungSummary]:
        """The rungs over all rounds, the first one first."""
        known = self.with_result
        finals = dict(zip(known["trial"], known["final"], strict=True))
        return summarize_rungs(self.rungs, correlation_by_rung(self.rungs, finals))

    @property
    def best(self) -> pd.DataFrame:
        """The trials of the best configuration, best first; empty if none has a score."""
        scored = self.scores[self.scores["score"].notna()]
        return scored[scored["rank"] == scored["rank"].min()]


@dataclass(frozen=True)
class StudyResults:
    """A study's phases, in their order, as far as they have been ranked.

    Attributes:
        name: Of the study.
        system: What it trained.
        phases: In their order.
        references: Values that its results are worth comparing with.
    """

    name: str
    system: System
    phases: tuple[PhaseResults, ...]
    references: tuple[Reference, ...]

    def references_of(self, metric: str) -> list[Reference]:
        """Return the references for a metric."""
        return [reference for reference in self.references if reference.metric == metric]

    def phase(self, name: str | None) -> PhaseResults | None:
        """Return a phase by name; None if it has no results."""
        return next((phase for phase in self.phases if phase.name == name), None)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A configuration of a rerun beside the trial that it was taken from.

    Attributes:
        hyperparameters: What both share: path -> value.
        source_trial: The best trial of the configuration there.
        source_final: Its configuration's mean final value there.
        trials: The rerun's trials, best first.
        final: Their mean final value, None if one did not finish.
        spread: Its standard deviation over the seeds, None for a single one.
    """

    hyperparameters: dict[str, Any]
    source_trial: str
    source_final: float
    trials: tuple[str, ...]
    final: float | None
    spread: float | None


def read_study(study: str, layout: Layout) -> StudyResults:
    """Read what a study has so far.

    Raises:
        StoreError: None of its phases has been ranked.
    """
    file = layout.study(study).described
    described = yaml12.load_mapping(file) if file.exists() else {"phases": []}
    system = find_system(described.get("system", DEFAULT), str(file))
    phases = tuple(
        _read_phase(study, part, system, layout)
        for part in described["phases"]
        if layout.phase(study, part["name"]).scores.exists()
    )
    if not phases:
        raise StoreError(
            f"{layout.study(study).path}: the study has no results yet; `snakemake --config "
            f"study={study}` makes them"
        )
    return StudyResults(study, system, phases, _references(study, system, layout))


def _read_phase(
    study: str, part: Mapping[str, Any], system: System, layout: Layout
) -> PhaseResults:
    folder = layout.phase(study, part["name"])
    text = {"trial": str, "run_id": str}
    score, scores = read_score(part), read_scores(folder.scores)
    paths = [layout.record(study, part["name"], trial) for trial in scores["trial"]]
    paths = [path for path in paths if path.exists()]
    trained = tuple(trained_runs(paths, layout))
    return PhaseResults(
        name=part["name"],
        kind=part["kind"],
        source=part.get("of"),
        metric=score.metric,
        goal=score.goal,
        early_metric=score.early_metric,
        keep=part["keep"],
        trained_by=describe_training(trained, paths, system, layout),
        scores=scores,
        decisions=pd.read_csv(folder.decisions, dtype=text, keep_default_na=False, na_values=[""])
        if folder.decisions.exists()
        else pd.DataFrame(),
        rounds=part.get("rounds"),
        rungs=read_rungs(folder, part.get("rounds"), len(part.get("rungs") or ()) - 1),
        newest=max((path.stat().st_mtime for path in paths), default=None),
        warning=code_warning(read_record(path) for path in paths),
        schema=system.schema,
        trained=trained,
    )


def compare_rerun(source: PhaseResults, rerun: PhaseResults) -> list[Comparison]:
    """Set each configuration of a rerun beside the one of its source that it repeats.

    Nothing records where a slot's configuration came from, since the list of best ones may be
    written by hand; equal hyperparameters tell. A configuration that the source does not have is
    left out.
    """
    compared = []
    for _, trials in rerun.scores.groupby("rank", sort=True):
        first = trials.iloc[0]
        paths = [path for path in rerun.hyperparameters if path != SEED and pd.notna(first[path])]
        wanted = {path: first[path] for path in paths}
        found = _find(source, wanted)
        if found is None:
            continue
        whole = pd.notna(first["score"])
        compared.append(
            Comparison(
                hyperparameters=wanted,
                source_trial=str(found["trial"]),
                source_final=float(found["final_mean"]),
                trials=tuple(trials["trial"]),
                final=float(first["final_mean"]) if whole else None,
                spread=float(first["final_std"])
                if whole and pd.notna(first["final_std"])
                else None,
            )
        )
    return compared


def _find(source: PhaseResults, wanted: Mapping[str, Any]) -> "pd.Series[Any] | None":
    """Return the best trial of a configuration; seeds are no part of it."""
    swept = [path for path in source.hyperparameters if path != SEED]
    if not wanted:
        return None
    for _, row in source.with_result.iterrows():
        own = {path: row[path] for path in swept if pd.notna(row[path])}
        if own.keys() == wanted.keys() and all(_same(own[p], wanted[p]) for p in own):
            return row
    return None


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Real) and isinstance(other, Real):
        return math.isclose(one, other, rel_tol=1e-9)
    return str(one) == str(other)


def _references(study: str, system: System, layout: Layout) -> tuple[Reference, ...]:
    """Return what the study's data is worth comparing with; nothing if its data sets differ."""
    stamps = layout.study(study).data_stamps()
    found = [tuple(system.references(json.loads(stamp.read_text()))) for stamp in stamps]
    return found[0] if len(set(found)) == 1 else ()


def shown(value: Any, digits: int = 4) -> str:
    """Return a value for people: numbers to `digits` significant digits, nothing for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | str):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.{digits}g}"


def spread_text(mean: float | None, spread: float | None) -> str:
    """Return a mean and its standard deviation for people: `1.736 ± 0.008`, or the mean alone."""
    if mean is None or math.isnan(mean):
        return ""
    if spread is None or math.isnan(spread):
        return f"{mean:.4f}"
    return f"{mean:.4f} ± {spread:.4f}"
