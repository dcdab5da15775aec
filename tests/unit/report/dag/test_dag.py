"""Folding rules into boxes, and placing these."""

import itertools
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from resweep.paths import Layout
from resweep.report.dag.boxes import FileState, Graph, Place, State, fold, read_summary
from resweep.report.dag.layout import BOX_HEIGHT, BOX_WIDTH, lay_out
from resweep.report.dag.svg import draw
from resweep.report.dag.text import lines
from resweep.study.load import load_study
from tests.conftest import ROOT

LAYOUT = Layout()
SEARCH = "search"
# The rules of adaptive and what they need, as Snakemake has them: rounds and rungs apart.
NEEDS = {
    "prepare_data_1": [],
    "suggest_search_r01": ["prepare_data_1"],
    "train_search_r01_b1": ["suggest_search_r01"],
    "promote_search_r01_b1": ["train_search_r01_b1"],
    "train_search_r01_b2": ["promote_search_r01_b1"],
    "conclude_search_r01": ["train_search_r01_b1", "promote_search_r01_b1", "train_search_r01_b2"],
    "suggest_search_r02": ["train_search_r01_b1", "train_search_r01_b2", "prepare_data_1"],
    "train_search_r02_b1": ["suggest_search_r02"],
    "promote_search_r02_b1": ["train_search_r02_b1"],
    "train_search_r02_b2": ["promote_search_r02_b1"],
    "conclude_search_r02": ["train_search_r02_b1", "promote_search_r02_b1", "train_search_r02_b2"],
    "score_search": ["conclude_search_r01", "conclude_search_r02"],
    "select_search": ["score_search"],
    "keep_search": ["score_search"],
    "plan_rerun": ["select_search", "prepare_data_1"],
    "train_rerun": ["plan_rerun"],
    "score_rerun": ["train_rerun"],
    "select_rerun": ["score_rerun"],
    "keep_rerun": ["score_rerun"],
    "write_study": [],
    "tabulate": ["train_rerun", "conclude_search_r01", "conclude_search_r02"],
    "report": ["write_study", "tabulate", "keep_rerun", "keep_search"],
    "publish_report": ["report"],
    "publish_model_rerun": ["keep_rerun"],
}
TRAININGS = {
    "train_search_r01_b1": [f"search/records/r01/b1/r01-{n:02}.json" for n in range(1, 9)],
    "train_search_r01_b2": [f"search/records/r01/b2/{n:02}.json" for n in range(1, 4)],
    "train_search_r02_b1": [f"search/records/r02/b1/r02-{n:02}.json" for n in range(1, 9)],
    "train_search_r02_b2": [f"search/records/r02/b2/{n:02}.json" for n in range(1, 4)],
    "train_rerun": [f"rerun/records/{n:02}.json" for n in range(1, 3)],
}


def rule_graph() -> str:
    """What `snakemake --rulegraph dot` prints, with the rule that asks for everything."""
    number = {rule: index for index, rule in enumerate([*NEEDS, "all"])}
    nodes = [f'\t{index}[label = "{rule}", color = "red"];' for rule, index in number.items()]
    needs = NEEDS | {"all": list(NEEDS)}
    edges = [f"\t{number[a]} -> {number[rule]}" for rule, of in needs.items() for a in of]
    return "\n".join(["digraph snakemake_dag {", *nodes, *edges, "}"])


def summary(**states: str) -> str:
    """What `snakemake --summary` prints: all done, but for rules with `missing` or `stale`.

    A rule with a number has so many files, and lacks the rest.
    """
    found = ["output_file\tdate\trule\tlog-file(s)\tstatus\tplan"]
    for rule in NEEDS:
        for number, path in enumerate(TRAININGS.get(rule, [f"{rule}.csv"])):
            state = states.get(rule, "ok")
            if state.isdigit():
                status = "ok" if number < int(state) else "missing"
            else:
                status = {"stale": "params changed"}.get(state, state)
            plan = "no update" if state == "ok" else "update pending"
            found.append(f"results/adaptive/{path}\t-\t{rule}\t-\t{status}\t{plan}")
    return "\n".join(found)


def graph(**states: str) -> Graph:
    study = load_study(ROOT / "config/studies/adaptive.yaml", ROOT / "config")
    return fold(study, LAYOUT, rule_graph(), read_summary(summary(**states)))


def test_rounds_rungs_and_packs_are_one_box() -> None:
    made = graph()
    assert [(place.row, place.verb) for place in made.boxes] == [
        ("data", "prepare data"),
        *((SEARCH, verb) for verb in ("suggest", "train", "promote", "conclude", "rank")),
        *(("rerun", verb) for verb in ("plan", "train", "rank")),
        ("all phases", "report"),
        ("all phases", "publish"),
    ]
    train = made.boxes[Place(SEARCH, "train")]
    assert (len(train.trainings), len(train.jobs), len(train.rules)) == (22, 4, 4)
    assert made.rows[SEARCH] == ("sweep", "2 rounds", "2 rungs")


def test_lines_that_others_imply_are_left_out_and_rounds_lead_back() -> None:
    made = graph()
    assert len(made.needs) == len(made.boxes) - 1  # a chain, without a line from all to the end
    assert set(made.returns) == {
        (Place(SEARCH, "train"), Place(SEARCH, "suggest")),
        (Place(SEARCH, "promote"), Place(SEARCH, "train")),
    }


def test_states_are_those_of_the_next_call() -> None:
    made = graph(train_search_r02_b1="5", score_search="stale", train_rerun="missing")
    train = made.boxes[Place(SEARCH, "train")]
    # What a begun pack has stays; what is stale is trained again.
    assert train.counts == {State.DONE: 19, State.STALE: 0, State.TO_DO: 3}
    assert train.progress == "19 done, 3 to do"
    assert made.boxes[Place(SEARCH, "rank")].progress == "2 done, 1 stale"
    rerun = made.boxes[Place("rerun", "train")]
    assert (rerun.size, rerun.progress) == ("2 trainings, 1 job", "to do")
    assert made.title.startswith("adaptive: 24 trainings (19 done, 5 to do), 24 jobs")


def test_stale_trainings_are_stale() -> None:
    assert graph(train_rerun="stale").boxes[Place("rerun", "train")].progress == "stale"


def test_boxes_do_not_overlap_and_no_line_crosses_one() -> None:
    made = graph()
    drawing = lay_out(made)
    corners = list(drawing.boxes.values())
    for (x, y), (other_x, other_y) in itertools.combinations(corners, 2):
        assert abs(x - other_x) >= BOX_WIDTH or abs(y - other_y) >= BOX_HEIGHT
    assert all(x > 0 and x + BOX_WIDTH < drawing.width for x, _ in corners)
    assert len(drawing.lines) == len(made.needs) + len(made.returns)
    for line in drawing.lines:
        for (x0, y0), (x1, y1) in itertools.pairwise(line.points):
            assert x0 == x1 or y0 == y1
            inside = [
                (x, y)
                for x, y in corners
                if min(x0, x1) < x + BOX_WIDTH and max(x0, x1) > x
                if min(y0, y1) < y + BOX_HEIGHT and max(y0, y1) > y
            ]
            assert inside == []


def test_a_line_past_other_rows_runs_at_their_left() -> None:
    made = graph()
    far = (Place("data", "prepare data"), Place("rerun", "train"))
    drawing = lay_out(replace(made, needs=(*made.needs, far)))
    leftmost = min(x for x, _ in drawing.boxes.values())
    (line,) = (line for line in drawing.lines if min(x for x, _ in line.points) < leftmost)
    side = min(x for x, _ in line.points)
    ys = [y for x, y in line.points if x == side]
    top, height = drawing.rows[SEARCH]
    assert min(ys) < top and max(ys) > top + height


def test_the_picture_has_all_names_as_text_and_loads_nothing() -> None:
    made = graph(train_rerun="missing")
    hostile = replace(made, study='<script>"&', rows={**made.rows, SEARCH: ('<b>&"',)})
    picture = draw(hostile)
    root = ET.fromstring(picture)
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"train", "promote", "22 trainings, 4 jobs", '<b>&"'} <= set(texts)
    assert {"done", "to do"} <= set(texts) and not any("stale" in str(text) for text in texts)
    assert "prefers-color-scheme: dark" in picture
    assert picture.count("http") == 1  # the name of the format


def test_text_has_a_line_for_each_box() -> None:
    first, *rest = lines(graph(train_rerun="missing"))
    assert first == graph(train_rerun="missing").title
    assert len(rest) == len(graph().boxes) + len(graph().rows)
    (train,) = (line.split() for line in rest if "22 trainings" in line)
    assert train[:2] == ["train", "22"] and "again after promote" in " ".join(train)


@pytest.mark.parametrize("broken", ["", "output_file\tdate\n", "Building DAG of jobs...\n"])
def test_what_is_not_a_table_has_no_files(broken: str) -> None:
    assert read_summary(broken) == []


def test_the_table_is_read_by_its_columns() -> None:
    assert read_summary("a/b.csv\t-\tscore_x\t-\tmissing\tupdate pending") == [
        FileState(Path("a/b.csv"), "score_x", False, True)
    ]
