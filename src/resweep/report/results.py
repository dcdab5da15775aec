"""The results of a study, as report and summary show them: rankings, decisions, reruns.

study.yaml, {phase}/scores.csv, decisions.csv, decisions/{rung}.csv  ->  StudyResults
"""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from resweep.config.metric import MetricGoal, sign_of
from resweep.config.nesting import OWN
from resweep.config.schema import Schema
from resweep.errors import DamagedFile, ResweepError, StoreError, describe, one_line
from resweep.json_files import read_json
from resweep.paths import Layout
from resweep.ranking.old_bests import OldBests, find_old_bests
from resweep.ranking.rank_confidence import RankConfidence, Rated, rank_confidence
from resweep.ranking.score_row import (
    ScoreRow,
    best_rows,
    configurations,
    hyperparameters,
    scored,
)
from resweep.ranking.score_table import read_scores
from resweep.ranking.scores import code_warning
from resweep.ranking.selection import short_name
from resweep.ranking.trial_result import SEED
from resweep.replay.rung_summary import (
    RungRows,
    RungSummary,
    correlation_by_rung,
    read_rungs,
    summarize_rungs,
)
from resweep.report.importance import Importance, importances
from resweep.report.trained_by import TrainedBy, describe_training, trained_runs
from resweep.store.outcome import OutcomeReader
from resweep.store.unlinked import Unlinked, find_unlinked
from resweep.study.deciding import deciding_phase
from resweep.study.described import read_described
from resweep.study.metric import PhaseScore, read_score
from resweep.sweep import Parameter
from resweep.systems.registry import find_system
from resweep.systems.system import DEFAULT, System
from resweep.systems.values import Reference, TrainedRun
from resweep.trials.decisions import read_decisions, typed
from resweep.trials.record import read_record
from resweep.trials.trial import Outcome

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PhaseResults:
    """The results of a phase.

    Attributes:
        name, kind: As in the study.
        sources: The phases that it builds on: for a rerun, those whose best were rerun.
        overridden: Paths that a rerun sets for all of its trials.
        space: What it searched; empty if that is unknown.
        takes_copies: Whether it took the best of its sources even if they were nearly equal.
        starts_from_weights: Whether it is a fine-tuning: on other data, its values say nothing
            beside those of its sources.
        score: How its trials are ranked.
        keep: Whose weights are kept: best, all or none.
        trained_by: The training setup; None if nothing was trained.
        scores: scores.csv, best trial first.
        decisions: decisions.csv.
        rounds: Number of rounds of a Bayesian sweep, else None.
        rungs: The decisions at each rung of each round; empty without rungs.
        newest: When its last record was written, in seconds since 1970; None without records.
        warning: What to know before trusting the ranking.
        schema: The fields of its configurations.
        trained: Its trained trials, best first.
        outcomes: Its trials with sound records, best first.
    """

    name: str
    kind: str
    sources: tuple[str, ...]
    overridden: tuple[str, ...]
    space: tuple[Parameter, ...]
    takes_copies: bool
    starts_from_weights: bool
    score: PhaseScore
    keep: str
    trained_by: TrainedBy | None
    scores: tuple[ScoreRow, ...]
    decisions: tuple[Mapping[str, Any], ...]
    rounds: int | None
    rungs: tuple[RungRows, ...]
    newest: float | None
    warning: str | None
    schema: Schema
    trained: tuple[TrainedRun, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def metric(self) -> str:
        """The metric whose final value counts."""
        return self.score.metric

    @property
    def goal(self) -> MetricGoal:
        """Which direction of the metric is better."""
        return self.score.goal

    @cached_property
    def hyperparameters(self) -> list[str]:
        """Paths of the hyperparameters that vary, including the seed if it does; own ones last."""
        return self.schema.known_first(hyperparameters(self.scores))

    def label(self, path: str) -> str:
        """Return the shortest clear name of a hyperparameter; one that nothing reads is `(own)`."""
        marked = self.schema.is_known(path) or path.startswith(f"{OWN}.")
        own = "" if marked else " (own)"
        return f"{self.plain_label(path)}{own}"

    def plain_label(self, path: str) -> str:
        """Return the shortest clear name of a hyperparameter, whether anything reads it or not."""
        return short_name(path, self.schema)

    def settings_text(self, hyperparameters: Mapping[str, Any]) -> str:
        """Format hyperparameters as one line, without those that have no value."""
        named = {self.label(path): shown(value) for path, value in hyperparameters.items()}
        return ", ".join(f"{name} {text}" for name, text in named.items() if text)

    def settings(self, row: ScoreRow) -> dict[str, Any]:
        """Return the configuration of a row: path -> value, without the seed."""
        values = {path: row.hyperparameters.get(path) for path in self.hyperparameters}
        return {k: v for k, v in values.items() if k != SEED and v is not None}

    @cached_property
    def finals(self) -> dict[str, float]:
        """Final values of the trials with a result, best first; not all are scored."""
        rows = [row for row in self.scores if row.has_result]
        return {row.trial: row.final for row in rows if row.final is not None}

    @cached_property
    def importances(self) -> list[Importance]:
        """How much each hyperparameter mattered over all trials; it takes a second."""
        return importances(self)

    @cached_property
    def leaders(self) -> list[ScoreRow]:
        """The best trial of each configuration with a score, best first."""
        return [group[0] for group in configurations(scored(self.scores))]

    @cached_property
    def rank_confidence(self) -> list[RankConfidence] | None:
        """How sure the rank of each of `leaders` is; None without repeated seeds."""
        rated = [
            Rated(value=row.final_mean, spread=row.final_std, seeds=row.seeds or 1)
            for row in self.leaders
            if row.final_mean is not None
        ]
        if len(rated) < len(self.leaders):
            return None
        return rank_confidence(rated, sign_of(self.goal))

    @property
    def rung_summaries(self) -> list[RungSummary]:
        """The rungs over all rounds, in order."""
        return summarize_rungs(self.rungs, correlation_by_rung(self.rungs, self.finals))

    @property
    def best(self) -> list[ScoreRow]:
        """The trials of the best configuration, best first; empty if none has a score."""
        return best_rows(self.scores)


@dataclass(frozen=True)
class StudyResults:
    """The ranked phases of a study.

    Attributes:
        name: Of the study.
        system: What it trained.
        phases: In order.
        references: Values to compare its results with.
        old_bests: Whose weights stay besides those of the best.
        tracking: Where it publishes its artifacts, as in study.yaml.
        unlinked: What the store has of its phases without a record.
        unranked: Names of its phases that have no ranking yet.
    """

    name: str
    system: System
    phases: tuple[PhaseResults, ...]
    references: tuple[Reference, ...]
    old_bests: OldBests
    tracking: Mapping[str, Any]
    unlinked: tuple[Unlinked, ...] = ()
    unranked: tuple[str, ...] = ()

    @property
    def deciding(self) -> PhaseResults | None:
        """The phase whose rank 1 is the study's winner; None if no configuration has a score."""
        known = [phase for phase in self.phases if phase.best]
        return deciding_phase(known) if known else None

    @property
    def published(self) -> PhaseResults:
        """The phase whose best model is published, whether or not it has a score."""
        return deciding_phase(self.phases)

    def references_of(self, metric: str) -> list[Reference]:
        """Return the references for a metric."""
        return [reference for reference in self.references if reference.metric == metric]

    def phase(self, name: str | None) -> PhaseResults | None:
        """Return a phase by name; None if it has no results."""
        return next((phase for phase in self.phases if phase.name == name), None)


def read_study(study: str, layout: Layout) -> StudyResults:
    """Read the results of a study so far.

    Raises:
        StoreError: None of its phases has been ranked.
    """
    file = layout.study(study).described
    described = read_described(file) if file.exists() else {"phases": []}
    system = find_system(described.get("system", DEFAULT), str(file))
    phases = tuple(
        _read_phase(study, part, system, layout)
        for part in described["phases"]
        if layout.phase(study, part["name"]).scores.exists()
    )
    ranked = {phase.name for phase in phases}
    found = (find_unlinked(study, part["name"], layout) for part in described["phases"])
    unlinked = tuple(one for one in found if one is not None)
    if not phases:
        states = _states([part["name"] for part in described["phases"]], study, layout)
        build = f"`snakemake --config study={study}`"
        says = (
            f"no phase is ranked yet; of its trials, {states}; {build} ranks them, or says why not"
            if states
            else f"the study has no results yet; build it with {build}"
        )
        lines = [f"{layout.study(study).path}: {says}", *(one.line for one in unlinked)]
        raise StoreError("\n".join(lines))
    return StudyResults(
        study,
        system,
        phases,
        _references(study, system, layout),
        find_old_bests(study, layout.phase(study, deciding_phase(phases).name).scores, layout),
        described["tracking"],
        unlinked,
        tuple(part["name"] for part in described["phases"] if part["name"] not in ranked),
    )


def _states(phases: Iterable[str], study: str, layout: Layout) -> str:
    """Return how the trials of phases ended: `3 diverged, 1 failed`; "" if none has a record."""
    counts: Counter[str] = Counter()
    for phase in phases:
        for path in layout.trial_records(study, phase):
            try:
                counts[read_record(path).status] += 1
            except DamagedFile:  # named by who ranks it
                counts["without a readable record"] += 1
    return ", ".join(f"{count:,} {state}" for state, count in counts.most_common())


def sources_of(part: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the phases that a phase of study.yaml builds on; none if it takes its configurations
    from a file.
    """
    of = part.get("of") or ()
    names = [of] if isinstance(of, str) else of
    return tuple(name for name in names if not name.endswith((".yaml", ".yml")))


def _read_phase(
    study: str, part: Mapping[str, Any], system: System, layout: Layout
) -> PhaseResults:
    folder = layout.phase(study, part["name"])
    score, scores = read_score(part), tuple(read_scores(folder.scores))
    paths = [layout.record(study, part["name"], row.trial) for row in scores]
    outcomes = list(_sound_outcomes([path for path in paths if path.exists()], layout))
    trained = tuple(trained_runs(outcomes, layout))
    decided = [folder.decisions] if folder.decisions.exists() else []
    return PhaseResults(
        name=part["name"],
        kind=part["kind"],
        sources=sources_of(part),
        overridden=tuple(part.get("overrides") or ()),
        space=tuple(Parameter(**content) for content in part.get("space") or ()),
        takes_copies=part.get("distinct", 0) is None,
        starts_from_weights="forgetting" in part,
        score=score,
        keep=part["keep"],
        trained_by=describe_training(trained, outcomes, system, layout),
        scores=scores,
        decisions=tuple(map(typed, read_decisions(decided))),
        rounds=part.get("rounds"),
        rungs=read_rungs(folder, part.get("rounds"), len(part.get("rungs") or ()) - 1),
        newest=max((outcome.path.stat().st_mtime for outcome in outcomes), default=None),
        warning=code_warning(outcome.record for outcome in outcomes),
        schema=system.schema,
        trained=trained,
        outcomes=tuple(outcomes),
    )


def _sound_outcomes(records: Iterable[Path], layout: Layout) -> Iterator[Outcome]:
    """Yield the trials of records; warns of those that are damaged or of another run."""
    reader = OutcomeReader(layout)
    for path in records:
        try:
            yield reader.read(path)
        except ResweepError as error:
            log.warning("%s", error)


def _references(study: str, system: System, layout: Layout) -> tuple[Reference, ...]:
    """Return the references of the study's data; none if its data sets differ."""
    found = set()
    for stamp in layout.study(study).data_stamps():
        try:
            fix = f"delete it and run `snakemake --config study={study}`"
            found.add(tuple(system.references(read_json(stamp, fix, system.data_shape))))
        except DamagedFile as error:
            log.warning("%s", error)
            return ()
        except OSError as error:
            log.warning("%s", describe(error))
            return ()
    return found.pop() if len(found) == 1 else ()


def shown(value: Any, digits: int = 4) -> str:
    """Format a value in one line: numbers to `digits` significant digits, None as an empty string.

    Control characters, which a terminal would obey, are written out.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | str):
        return one_line(str(value))
    if float(value).is_integer() and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.{digits}g}"
