"""From rules and files to boxes: which rules a box stands for, and how far they are."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

from resweep.paths import Layout
from resweep.plurals import counted
from resweep.study.files import rule_name, train_suffix
from resweep.study.study import Phase, Study

NODE = re.compile(r'^\s*(\d+)\[label = "([^"]*)"')
EDGE = re.compile(r"^\s*(\d+) -> (\d+)\s*$")
ALL = "all"  # the rule that asks for everything
DATA, STUDY = "data", "all phases"  # rows that no phase is named like
TRAIN = "train"
RANKING = ("score", "select", "keep")
PUBLISHING = ("publish_configs", "publish_model")
OF_STUDY = {
    "write_study": "report",
    "tabulate": "report",
    "report": "report",
    "publish_scores": "publish",
    "publish_report": "publish",
    "publish_code": "publish",
}


class State(Enum):
    """How far a job, or a training, is."""

    DONE = "done"
    STALE = "stale"  # its files are there; the next call makes them again
    TO_DO = "to do"


@dataclass(frozen=True)
class FileState:
    """A line of the table of files: what a rule makes, and whether the next call makes it."""

    path: Path
    rule: str
    exists: bool
    pending: bool


@dataclass(frozen=True, order=True)
class Place:
    """What a box stands for: `train` in the row `sweep`."""

    row: str
    verb: str


@dataclass(frozen=True, kw_only=True)
class Box:
    """A stage of a phase, or of the study.

    Attributes:
        place: Its row and its verb.
        rules: Names of its rules, sorted.
        jobs: State of each job.
        trainings: State of each training; empty where nothing is trained.
        note: What else is to be said of it, such as the time that it took.
    """

    place: Place
    rules: tuple[str, ...]
    jobs: tuple[State, ...]
    trainings: tuple[State, ...] = ()
    note: str = ""

    @cached_property
    def counts(self) -> dict[State, int]:
        """How many trainings, or jobs, are in each state."""
        return count_states(self.trainings or self.jobs)

    @property
    def size(self) -> str:
        """`8 trainings, 1 job`, or `8 trainings, 2 min 3 s`: what there is of it."""
        amounts = {"training": len(self.trainings), "job": len(self.jobs)}
        parts = [counted(count, what) for what, count in amounts.items() if count]
        return ", ".join([*parts, self.note] if self.note else parts)

    @property
    def progress(self) -> str:
        """`5 done, 3 to do`, or `done`."""
        return progress(self.counts)


@dataclass(frozen=True, kw_only=True)
class Graph:
    """What is drawn.

    Attributes:
        study: Its name.
        rows: Rows from top to bottom, with what is said beside their names.
        boxes: By their places, each after those that it needs.
        needs: Pairs of places: the second needs the first. Without pairs that others imply.
        returns: The same, against the order: the next round, or the next rung.
    """

    study: str
    rows: Mapping[str, Sequence[str]]
    boxes: Mapping[Place, Box]
    needs: tuple[tuple[Place, Place], ...]
    returns: tuple[tuple[Place, Place], ...]

    @property
    def title(self) -> str:
        """`quickstart: 12 trainings (8 done, 4 to do), 21 jobs (7 done, 14 to do)`."""
        boxes = self.boxes.values()
        parts = [
            f"{counted(len(states), what)} ({progress(count_states(states))})"
            for what, states in (
                ("training", [state for box in boxes for state in box.trainings]),
                ("job", [state for box in boxes for state in box.jobs]),
            )
            if states
        ]
        return f"{self.study}: {', '.join(parts)}"


def count_states(states: Iterable[State]) -> dict[State, int]:
    """Count states; all three are there, in their order."""
    given = list(states)
    return {state: given.count(state) for state in State}


def progress(counts: Mapping[State, int]) -> str:
    """Return counts in words: `5 done, 3 to do`; `done` or `to do` where it is all of them."""
    there = {state: count for state, count in counts.items() if count}
    if len(there) == 1:
        return next(iter(there)).value
    return ", ".join(f"{count} {state.value}" for state, count in there.items())


def read_summary(text: str) -> list[FileState]:
    """Read the table of `snakemake --summary`."""
    found = []
    for line in text.splitlines():
        cells = line.split("\t")
        if len(cells) == 6 and cells[0] != "output_file":
            path, _, rule, _, status, plan = cells
            found.append(FileState(Path(path), rule, status != "missing", plan != "no update"))
    return found


def fold(study: Study, layout: Layout, rule_graph: str, table: Iterable[FileState]) -> Graph:
    """Fold rules into boxes.

    Args:
        study: The study that they are of.
        layout: Where its files are.
        rule_graph: Output of `snakemake --rulegraph dot`.
        table: What `read_summary` returned.
    """
    rules, edges = _read_graph(rule_graph)
    depth = _depths(rules, edges)
    places, alone = _places(study, rules)
    made: dict[str, list[FileState]] = defaultdict(list)
    for file in table:
        made[file.rule].append(file)
    records = {phase.name: layout.phase(study.name, phase.name).records for phase in study.phases}
    members: dict[Place, list[str]] = defaultdict(list)
    for rule in sorted(rules, key=lambda rule: (depth[rule], rule)):
        members[places[rule]].append(rule)
    rows = [DATA, *(phase.name for phase in study.phases), STUDY]

    def rank(place: Place) -> tuple[int, int]:
        # In a phase, a box stands where its first round does; the study's own boxes have no rounds.
        depths = [depth[rule] for rule in members[place]]
        return rows.index(place.row), max(depths) if place.row == STUDY else min(depths)

    order = {place: number for number, place in enumerate(sorted(members, key=rank))}
    boxes = {
        place: _box(place, names, made, alone, records.get(place.row))
        for place, names in [(place, members[place]) for place in order]
    }
    folded = dict.fromkeys((places[needed], places[rule]) for needed, rule in edges)
    forward = [pair for pair in folded if order[pair[0]] < order[pair[1]]]
    returns = [pair for pair in folded if order[pair[0]] > order[pair[1]]]
    about = {phase.name: _about(phase) for phase in study.phases}
    shown = {place.row for place in boxes}
    return Graph(
        study=study.name,
        rows={row: about.get(row, ()) for row in rows if row in shown},
        boxes=boxes,
        needs=tuple(_without_implied(forward)),
        returns=tuple(returns),
    )


def _read_graph(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the rules of a graph but `all`, and pairs of which the second needs the first."""
    lines = text.splitlines()
    names = {node[1]: node[2] for node in map(NODE.match, lines) if node}
    pairs = [(names[edge[1]], names[edge[2]]) for edge in map(EDGE.match, lines) if edge]
    return [name for name in names.values() if name != ALL], [p for p in pairs if ALL not in p]


def _depths(rules: Iterable[str], edges: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return the longest way to each rule from one that needs nothing."""
    needs: dict[str, list[str]] = {rule: [] for rule in rules}
    for needed, rule in edges:
        needs[rule].append(needed)
    found: dict[str, int] = {}
    left = list(needs)
    while left:  # without recursion: a search has hundreds of rounds
        rule = left[-1]
        missing = [needed for needed in needs[rule] if needed not in found]
        if missing:
            left += missing
            continue
        found[rule] = 1 + max((found[needed] for needed in needs[rule]), default=-1)
        left.pop()
    return found


def _places(study: Study, rules: Iterable[str]) -> tuple[dict[str, Place], set[str]]:
    """Return the place of each rule, and the rules that make one file a job."""
    places = {rule_name(verb, study): Place(STUDY, of) for verb, of in OF_STUDY.items()}
    alone: set[str] = set()
    for phase in study.phases:
        for verb in RANKING:
            places[rule_name(verb, study, phase)] = Place(phase.name, "rank")
        for verb in PUBLISHING:
            places[rule_name(verb, study, phase)] = Place(STUDY, "publish")
        alone.add(rule_name("select", study, phase))
        for fill in phase.fills(Layout()):
            places[rule_name(fill.verb, study, phase, fill.stage)] = Place(phase.name, fill.verb)
        for stage in phase.stages:
            for pack in phase.packs[stage.name]:
                name = rule_name(TRAIN, study, phase, train_suffix(stage, pack))
                places[name] = Place(phase.name, TRAIN)
                if pack.is_alone:
                    alone.add(name)
    data = rule_name("prepare_data", study)
    for rule in rules:
        if rule not in places:
            is_data = rule.startswith(f"{data}_")
            places[rule] = Place(DATA, "prepare data") if is_data else Place(STUDY, rule)
    return places, alone


def _box(
    place: Place,
    rules: Sequence[str],
    made: Mapping[str, Sequence[FileState]],
    alone: set[str],
    records: Path | None,
) -> Box:
    jobs: list[State] = []
    trainings: list[State] = []
    for rule in rules:
        files = made.get(rule, [])
        if place.verb == TRAIN and records is not None:
            # Trial files are there before the training of later phases, and of no interest.
            files = [file for file in files if records in file.path.parents]
            is_begun = not all(file.exists for file in files)
            trainings += [_state([file], is_begun) for file in files]
        jobs += [_state([file]) for file in files] if rule in alone else [_state(files)]
    return Box(
        place=place, rules=tuple(sorted(rules)), jobs=tuple(jobs), trainings=tuple(trainings)
    )


def _state(files: Sequence[FileState], is_begun: bool = False) -> State:
    """Return the state of what makes some files.

    Args:
        files: The files.
        is_begun: Whether its job lacks other files: what is there is not made again.
    """
    if not all(file.exists for file in files):
        return State.TO_DO
    return State.STALE if not is_begun and any(file.pending for file in files) else State.DONE


def _about(phase: Phase) -> tuple[str, ...]:
    rounds = len({stage.round for stage in phase.stages})
    rungs = len({stage.rung.number for stage in phase.stages})
    found = [counted(rounds, "round")] if rounds > 1 else []
    found += [counted(rungs, "rung")] if rungs > 1 else []
    kind = [phase.kind] if phase.kind != phase.name else []
    return (*kind, *found)


def _without_implied(pairs: Sequence[tuple[Place, Place]]) -> list[tuple[Place, Place]]:
    """Leave out pairs whose second is reached from the first by way of others."""
    after: dict[Place, set[Place]] = defaultdict(set)
    for needed, place in pairs:
        after[needed].add(place)

    def reached(start: Place) -> set[Place]:
        found: set[Place] = set()
        left = [start]
        while left:
            more = after[left.pop()] - found
            found |= more
            left += more
        return found

    beyond = {place: reached(place) for place in list(after)}
    return [
        (needed, place)
        for needed, place in pairs
        if not any(place in beyond.get(other, ()) for other in after[needed] if other != place)
    ]
