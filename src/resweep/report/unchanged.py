"""Which results of a study a build would leave as they are, and what follows from them.

    records that lead to what the store answers  ->  rankings, rungs, rounds that stand
    ->  a job that fills slots decides again here, as its script would  ->  the trials of its slots

Where anything that such a job reads will be trained, ranked or proposed again, its slots are open:
only the build will show what trains in them. Nothing is written here. The plan of a study without
results takes a fraction of a second: what ranks is only loaded where there is something to rank.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.errors import ConfigError, Problem, ResweepError
from resweep.paths import Layout
from resweep.ranking.fine_tuning import choose_starts, read_starts
from resweep.ranking.score_row import best_trials
from resweep.ranking.score_table import read_ranking
from resweep.ranking.scores import check_rankable, rank_trials
from resweep.ranking.trial_result import SEED, read_result
from resweep.report.fill_again import SCRIPTS, STARTS, fill_again
from resweep.search.observe import histories
from resweep.search.rounds import foresee_round
from resweep.store.outcome import OutcomeReader
from resweep.study.files import records, stage_records
from resweep.study.fill import Fill
from resweep.study.study import Phase, Study
from resweep.systems.registry import system_of
from resweep.trials.best_configs import read_best_configs
from resweep.trials.record import read_record
from resweep.trials.trial import Trial, read_trial


class Unchanged:
    """What stands, phase by phase.

    Args:
        study: The study.
        layout: Of the results folder.
    """

    def __init__(self, study: Study, layout: Layout):
        self._study = study
        self._layout = layout
        self._reader = OutcomeReader(layout)
        self._records: set[Path] = set()

    def add_record(self, record: Path) -> None:
        """Note that a build leaves a record as it is."""
        self._records.add(record)

    def trials_of(self, fill: Fill, phase: Phase) -> dict[Path, Trial] | None:
        """Return the trials that a job would write, by their files; None if that is open."""
        try:
            if not self._records.issuperset(fill.records):
                return None
            passed = (name for name in fill.passes if name != STARTS)
            inputs = [path for name in passed for path in fill.inputs.get(name, ())]
            if not all(self._stands(path, phase) for path in inputs):
                return None
            files = fill.outputs.get("trials", ())
            trials = self._decide(fill, phase)
        except (ResweepError, OSError):
            return None
        return None if trials is None else dict(zip(files, trials, strict=True))

    def _decide(self, fill: Fill, phase: Phase) -> list[Trial] | None:
        """Do what a job's script does; of a script that is not ours, believe what it wrote."""
        files = fill.outputs.get("trials", ())
        if fill.script not in SCRIPTS:
            written = list(map(read_trial, files))
            return written if all(_is_of(phase, trial) for trial in written) else None
        if STARTS in fill.inputs:
            self._check_starts(phase, fill.inputs[STARTS])
        filled = fill_again(fill, self._layout, self._reader.read, foresee_round)
        if filled.chosen is not None and fill.outputs["best"][0].read_text() != filled.chosen:
            return None
        return filled.trials

    def _check_starts(self, phase: Phase, files: Sequence[Path]) -> None:
        """Raise ConfigError if a fine-tuning is due to start from another run."""
        choose = phase.fills(self._layout)[0]
        assert choose.plan is not None, "it chooses the runs"
        plan, tables = json.loads(choose.plan), choose.inputs["scores"]
        starts = choose_starts(tables, plan, self._layout, self._reader.read)
        if not all(self._stands(path, phase) for path in tables) or starts != read_starts(files[0]):
            raise ConfigError(Problem(str(files[0]), "", None, "is out of date"))

    def _stands(self, path: Path, phase: Phase) -> bool:
        """Whether a build leaves a file that a job of a phase reads as it is."""
        for other in self._study.phases:
            folder = self._layout.phase(other.study, other.name)
            if path.parent == folder.path:
                return self._is_settled(other) and (
                    self._is_ranking(other, path)
                    if path == folder.scores
                    else self._is_best(other, path, phase.asks.get(other.name))
                )
        return path.exists()

    def _is_settled(self, phase: Phase) -> bool:
        """Whether all results of a phase stand: with rungs, each trial's is that of its last."""
        at_rungs = stage_records(self._layout, phase, phase.stages)
        final = records(self._layout, phase)
        if not self._records.issuperset(at_rungs) or self._records.issuperset(final):
            return self._records.issuperset(final)
        for trial, history in histories(map(self._reader.read, at_rungs)).items():
            last = history[-1].record
            found = read_record(self._layout.record(phase.study, phase.name, trial))
            if (found.run_id, found.step) != (last.run_id, last.step):
                return False
        return True

    def _is_ranking(self, phase: Phase, scores: Path) -> bool:
        return {row.trial for row in read_ranking(scores, len(phase.trials))} == set(phase.trials)

    def _is_best(self, phase: Phase, file: Path, top: int | None) -> bool:
        """Whether a list of best configurations is the one that would be selected now."""
        if top is None:
            return False
        outcomes = {path.stem: self._reader.read(path) for path in records(self._layout, phase)}
        results = [read_result(one, phase.score, self._layout) for one in outcomes.values()]
        check_rankable(results, self._study.tolerate_failures, phase.study)
        best = best_trials(rank_trials(results, phase.score), top)
        wanted = [_flat(outcomes[trial].trial.assignments) for trial in best]
        found = read_best_configs(file, system_of(phase.config).schema, phase.own)
        return canonical_json(wanted) == canonical_json(found)


def _flat(assignments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as it is read from a list of best ones."""
    named = {path: value for path, value in assignments.items() if path != SEED}
    return dict(compose.leaves(yaml12.parse(yaml12.dump(named))))


def _is_of(phase: Phase, trial: Trial) -> bool:
    """Whether a trial changes nothing but its assignments in its phase's configuration."""
    if trial.empty is not None:
        return True
    expected = compose.assign(phase.config, trial.assignments)
    return canonical_json(expected) == canonical_json(trial.config)
