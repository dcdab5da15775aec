"""The stages of a study as a picture: which phase builds on which, how far each is, its time.

study.yaml, scores.csv, what phases took  ->  boxes, a row for each phase  ->  SVG, one sentence

`resweep dag` draws the jobs of a study, as Snakemake plans them. This is the same picture of the
results alone, so that a page can show it without a plan.
"""

import math
from collections.abc import Mapping
from typing import Any

from resweep.paths import Layout
from resweep.plurals import counted, measured_duration
from resweep.ranking.score_row import spread_text
from resweep.report.dag.boxes import Box, Graph, Place, State
from resweep.report.dag.svg import draw
from resweep.report.page import drawing
from resweep.report.results import StudyResults, sources_of
from resweep.report.spent import Spent
from resweep.study.described import read_described
from resweep.trials.record import Status

TRAIN, RANK = "train", "rank"


def stages_card(results: StudyResults, spent: Mapping[str, Spent], layout: Layout) -> str:
    """Return the card with the picture as HTML.

    Args:
        results: Of the study.
        spent: What each ranked phase took.
        layout: Where the study's files are.
    """
    graph = stages_graph(results, spent, layout)
    dashed = " Dashed lines lead to the next round or rung." if graph.returns else ""
    return drawing("Stages", draw(graph), f"{stages_line(results, spent)}{dashed}")


def stages_graph(results: StudyResults, spent: Mapping[str, Spent], layout: Layout) -> Graph:
    """Return a row for each phase, with its trainings and what its ranking came to."""
    parts = read_described(layout.study(results.name).described)["phases"]
    names = {part["name"] for part in parts}
    boxes: dict[Place, Box] = {}
    needs: list[tuple[Place, Place]] = []
    returns: list[tuple[Place, Place]] = []
    for part in parts:
        name = part["name"]
        train, rank = Place(name, TRAIN), Place(name, RANK)
        needs += [(Place(source, RANK), train) for source in sources_of(part) if source in names]
        needs.append((train, rank))
        returns += [(train, train)] if _about(part)[1:] else []
        boxes[train] = _trainings(train, part, results, spent, layout)
        boxes[rank] = _ranking(rank, results)
    return Graph(
        study=results.name,
        rows={part["name"]: _about(part) for part in parts},
        boxes=boxes,
        needs=tuple(needs),
        returns=tuple(returns),
    )


def stages_line(results: StudyResults, spent: Mapping[str, Spent]) -> str:
    """Return how long the trainings took, and which phase took most of it."""
    trained = sum(_trained(results, phase.name) for phase in results.phases)
    times = {phase.name: _seconds(spent[phase.name]) for phase in results.phases}
    total = math.fsum(times.values())
    text = f"{counted(trained, 'training')} in {counted(len(times), 'phase')}"
    if total:
        text += f" took {measured_duration(total)} by the clock, all processes together"
        longest = max(times, key=lambda name: times[name])
        text += f"; {longest} took {times[longest] / total:.0%} of it" if len(times) > 1 else ""
    waiting = f" Not ranked yet: {', '.join(results.unranked)}." if results.unranked else ""
    return f"{text}.{waiting}"


def _about(part: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is said beside the name of a phase: its kind, its rounds, its rungs."""
    counts = {"round": part.get("rounds") or 1, "rung": len(part.get("rungs") or ()) or 1}
    return (part["kind"], *(counted(n, what) for what, n in counts.items() if n > 1))


def _trainings(
    place: Place,
    part: Mapping[str, Any],
    results: StudyResults,
    spent: Mapping[str, Spent],
    layout: Layout,
) -> Box:
    states: list[State] = []
    note = ""
    if place.row in spent:
        states = [State.DONE] * _trained(results, place.row)
        seconds = _seconds(spent[place.row])
        note = measured_duration(seconds) if seconds else ""
    else:
        total = part.get("trials", 0)
        done = min(total, len(layout.phase(results.name, place.row).final_records()))
        states = [State.DONE] * done + [State.TO_DO] * (total - done)
    return Box(place=place, rules=(), jobs=(), trainings=tuple(states), note=note)


def _ranking(place: Place, results: StudyResults) -> Box:
    phase = results.phase(place.row)
    if phase is None:
        note = State.TO_DO.value
    elif phase.best:
        note = f"best {spread_text(phase.best[0].final_mean, phase.best[0].final_std)}"
    else:
        note = "nothing to rank"
    return Box(place=place, rules=(), jobs=(), note=note)


def _trained(results: StudyResults, name: str) -> int:
    """Return how many trials of a ranked phase were trained, by it or before."""
    phase = results.phase(name)
    rows = phase.scores if phase is not None else ()
    return sum(Status(row.status).was_trained for row in rows)


def _seconds(spent: Spent) -> float:
    return spent.training_seconds + spent.gpu_seconds
