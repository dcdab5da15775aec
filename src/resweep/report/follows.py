"""Whether the selection of a study follows from its records: all is decided again, and compared.

    study             ->  trial files of grids and random sweeps
    records, curves   ->  scores.csv, next rungs, rounds, slots of reruns and fine-tunings
    scores.csv        ->  top{k}_best_configs.yaml, models/, decisions.csv

Each file is compared with what the function of its script makes of the files that it is made from.
So where all of them follow, each choice rests on records. Nothing is written.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from resweep import yaml12
from resweep.canonical import canonical_json
from resweep.config.nesting import leaves
from resweep.csv_files import read_columns
from resweep.errors import ResweepError, describe
from resweep.json_files import read_json
from resweep.paths import Layout
from resweep.ranking.fine_tuning import read_starts
from resweep.ranking.keep import decide_weights
from resweep.ranking.score_row import SCORE_COLUMNS
from resweep.ranking.score_table import read_ranking, read_scores, write_scores
from resweep.ranking.scores import check_rankable, rank_trials
from resweep.ranking.selection import best_configs_text
from resweep.ranking.trial_result import read_result
from resweep.report.fill_again import SCRIPTS, fill_again
from resweep.search.promote import concluded
from resweep.search.rounds import propose_again
from resweep.store import checkpoints as checkpoint
from resweep.store.outcome import OutcomeReader
from resweep.study import files
from resweep.study.fill import Fill
from resweep.study.study import Phase, Study
from resweep.trials.decisions import MADE_AGAIN, read_decisions, typed
from resweep.trials.trial import Trial, read_trial

_BEST_LIST = re.compile(r"top([1-9][0-9]*)_best_configs\.yaml")
SOURCE = "digest"  # in the file of a round: of its settings, and of what it observed
_VALUES = ("run_id", "step", "value", "threshold", "compared")  # of a decision, besides its texts


@dataclass(frozen=True, kw_only=True)
class PhaseReplay:
    """A phase, decided again.

    Attributes:
        phase: Its name.
        compared: How many files were compared.
        differs: One line for each file that does not follow, with what it should have.
    """

    phase: str
    compared: int
    differs: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """One line, or one for each file that does not follow, for people."""
        if not self.differs:
            return [f"{self.phase}: follows ({self.compared} files)"]
        return [f"{self.phase}: {line}" for line in self.differs]


def replay_study(
    study: Study, layout: Layout, progress: Callable[[str], None] = lambda _: None
) -> Iterator[PhaseReplay]:
    """Decide each phase again, in order.

    Args:
        study: As it was built.
        layout: Of the results folder, for reading only.
        progress: Called with what is decided next.
    """
    for phase in study.phases:
        found = _PhaseReplay(phase, study.tolerate_failures, layout, progress)
        found.replay()
        yield PhaseReplay(phase=phase.name, compared=found.compared, differs=tuple(found.differs))


class _PhaseReplay:
    """Compares the files of one phase."""

    def __init__(
        self, phase: Phase, tolerated: int, layout: Layout, progress: Callable[[str], None]
    ):
        self.phase = phase
        self.tolerated = tolerated
        self.layout = layout
        self.progress = progress
        self.folder = layout.phase(phase.study, phase.name)
        self.read = OutcomeReader(layout).read
        self.compared = 0
        self.differs: list[str] = []

    def replay(self) -> None:
        """Compare all files that something was decided in."""
        if not self.folder.scores.exists() and not self.folder.all_records():
            self.differs.append("was not built: it has no records")
            return
        self._note(self._known_trials)
        for fill in self.phase.fills(self.layout):
            self.progress(f"{self.phase.name}: {fill.verb} {fill.stage}".rstrip())
            self._note(functools.partial(self._fill, fill))
        self.progress(f"{self.phase.name}: rank")
        for check in (self._ranking, self._best_lists, self._weights):
            self._note(check)

    def _note(self, check: Callable[[], Iterable[str]]) -> None:
        """Note what a check finds; what cannot be read does not follow."""
        try:
            for line in check():
                self.differs.append(line)
        except ResweepError as error:
            self.differs += str(error).splitlines()
        except OSError as error:
            self.differs.append(describe(error))

    def _known_trials(self) -> Iterator[str]:
        """Compare the trial files that the configuration alone fills."""
        for stage in self.phase.stages:
            if self.phase.is_known(stage):
                paths = [self.folder.trial(slot) for slot in stage.slots]
                trials = [self.phase.known_trial(name, stage) for name in stage.names]
                yield from self._trials(paths, trials)

    def _trials(self, paths: Iterable[Path], trials: Iterable[Trial]) -> Iterator[str]:
        for path, trial in zip(paths, trials, strict=True):
            self.compared += 1
            yield from _difference(path, read_trial(path).content(), trial.content())

    def _fill(self, fill: Fill) -> Iterator[str]:
        """Compare what a job wrote."""
        paths = fill.outputs.get("trials", ())
        if fill.script not in SCRIPTS:
            yield from self._conclusion(fill)
            return
        content: list[dict[str, Any] | None] = []

        def propose(*of: Any) -> list[Trial]:
            trials, made = propose_again(*of)
            content.append(made)
            return trials

        filled = fill_again(fill, self.layout, self.read, propose)
        for made in filter(None, content):
            file = self.folder.round(made["round"])
            self.compared += 1
            known = read_json(file, MADE_AGAIN)
            same = {**made, SOURCE: known.get(SOURCE)}  # the digest of all that is compared here
            yield from _difference(file, known, same)
        if filled.chosen is not None:
            (file,) = fill.outputs["best"]
            self.compared += 1
            yield from _difference(file, yaml12.load(file), yaml12.parse(filled.chosen))
        if filled.starts is not None:
            (file,) = fill.outputs["starts"]
            self.compared += 1
            yield from _difference(file, read_starts(file), filled.starts)
        if filled.decisions is not None:
            (file,) = fill.outputs["decisions"]
            yield from self._decisions(file, read_decisions([file]), filled.decisions)
        yield from self._trials(paths, filled.trials or ())

    def _conclusion(self, fill: Fill) -> Iterator[str]:
        """Compare the results of a round with those of the last rung of each trial."""
        decisions = [typed(row) for row in read_decisions(fill.inputs["decisions"])]
        for last in concluded(map(self.read, fill.records), decisions):
            name = last.trial.trial
            yield from self._trials([self.folder.trial(name)], [last.trial])
            path = self.folder.record(name)
            found, wanted = self.read(path).record, last.record
            self.compared += 1
            for field in ("run_id", "status", "step", "stop_reason", "metrics"):
                if getattr(found, field) != getattr(wanted, field):
                    yield _line(path, field, getattr(found, field), getattr(wanted, field))
                    break

    def _ranking(self) -> Iterator[str]:
        """Rank the trials by their records and curves, and compare the rows."""
        outcomes = map(self.read, files.records(self.layout, self.phase))
        results = [read_result(one, self.phase.score, self.layout) for one in outcomes]
        check_rankable(results, self.tolerated, self.phase.study)
        path = self.folder.scores
        found = read_scores(path)
        there = read_columns(path, MADE_AGAIN).keys()  # older versions wrote fewer
        with TemporaryDirectory() as place:
            write_scores(Path(place, path.name), rank_trials(results, self.phase.score))
            wanted = read_scores(Path(place, path.name))
        self.compared += 1
        if len(found) != len(wanted):
            yield f"{path}: has {len(found)} rows, decided again {len(wanted)}"
            return
        for number, (row, other) in enumerate(zip(found, wanted, strict=True), 1):
            ours = {name: getattr(row, name) for name in SCORE_COLUMNS if name in there}
            theirs = {name: getattr(other, name) for name in ours}
            ours, theirs = ours | row.hyperparameters, theirs | other.hyperparameters
            for name in ("trial", *dict.fromkeys([*ours, *theirs])):
                if ours.get(name) != theirs.get(name):
                    key = f"row {number} (trial {row.trial}), {name}"
                    yield _line(path, key, ours.get(name), theirs.get(name))
                    return

    def _best_lists(self) -> Iterator[str]:
        """Choose the best of the ranking again."""
        names = {path.name for path in self.folder.path.iterdir()}
        found = {int(match[1]) for match in map(_BEST_LIST.fullmatch, names) if match}
        for top in sorted({*found, self.phase.selects}):
            path = self.folder.best_configs(top)
            text = best_configs_text(self.folder.scores, top, self.read, len(self.phase.trials))
            self.compared += 1
            yield from _difference(path, yaml12.load(path), yaml12.parse(text))

    def _weights(self) -> Iterator[str]:
        """Compare the links to weights, and their decisions, with the ranking."""
        rows = read_ranking(self.folder.scores, len(self.phase.trials))
        wanted = decide_weights(rows, self.phase.keep, self.phase.selects)
        path = self.folder.decisions
        at_rungs = files.rung_decisions(self.layout, self.phase, self.phase.stages)
        before = [typed(row) for row in read_decisions(at_rungs)]
        found = read_decisions([path])
        lacking = False
        for row, decided in zip(found[len(before) :], wanted, strict=False):
            lacking = lacking or row["decision"] == "missing"
            allowed = {"keep": ("missing",), "prune": ("spare",) if lacking else ()}
            if row["decision"] in allowed.get(decided["decision"], ()):
                decided["decision"] = row["decision"]
        yield from self._decisions(path, found, [*before, *wanted])
        yield from self._links({row["trial"]: row for row in wanted if row["decision"] == "keep"})

    def _decisions(
        self, path: Path, found: list[dict[str, Any]], wanted: list[dict[str, Any]]
    ) -> Iterator[str]:
        self.compared += 1
        if len(found) != len(wanted):
            yield f"{path}: has {len(found)} rows, decided again {len(wanted)}"
            return
        for number, (row, other) in enumerate(zip(map(typed, found), wanted, strict=True), 1):
            digests = [one.get("rule_digest") or None for one in (row, other)]
            known = _VALUES if None in digests else (*_VALUES, "rule_digest")
            for name in ("trial", "decision", *known):
                if row[name] != other[name]:
                    yield _line(path, f"row {number}, {name}", row[name], other[name])
                    return

    def _links(self, kept: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
        """Compare models/ with the trials whose weights are kept."""
        there = {one.name for one in self.folder.models_kept() if not one.name.startswith(".")}
        self.compared += len(kept)
        for name in sorted({*kept, *there}):
            link = self.folder.models / name
            if name not in kept:
                yield f"{link}: is not among the weights that are kept"
            elif name not in there:
                yield f"{link}: is missing"
            else:
                step = kept[name]["step"]
                weights = self.layout.run(kept[name]["run_id"]) / checkpoint.folder_name(step)
                if not link.exists():
                    yield f"{link}: its weights are gone: {weights}"
                elif link.resolve() != weights.resolve():
                    yield f"{link}: leads to {link.resolve()}, not to {weights}"


def _difference(path: Path, found: Any, wanted: Any) -> Iterator[str]:
    """Yield a line if two contents of a file differ: the first leaf that does."""
    if canonical_json(found) == canonical_json(wanted):
        return
    if not (isinstance(found, list | dict) and isinstance(wanted, list | dict)):
        yield _line(path, "content", found, wanted)
        return
    ours, theirs = (dict(leaves({"": one}, entries=True)) for one in (found, wanted))
    for key in dict.fromkeys([*theirs, *ours]):
        if ours.get(key) != theirs.get(key):
            yield _line(path, key.removeprefix("."), ours.get(key), theirs.get(key))
            return
    yield f"{path}: differs in the types of its values"


def _line(path: Path, key: str, found: Any, wanted: Any) -> str:
    shown, should = (f"{one!r:.80}" if one is not None else "nothing" for one in (found, wanted))
    return f"{path}: {key} is {shown}, decided again {should}"
