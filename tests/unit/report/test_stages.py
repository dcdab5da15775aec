"""The stages of a study in its report: which phase builds on which, how far each is, its time."""

from pathlib import Path

from resweep import yaml12
from resweep.paths import Layout
from resweep.report.dag.boxes import Place, State
from resweep.report.results import StudyResults, read_study
from resweep.report.spent import Spent, spent_on
from resweep.report.stages import stages_card, stages_graph, stages_line
from tests.support.study import RERUN, SWEEP, make_adaptive_study, make_study

TRAIN, RANK = Place("sweep", "train"), Place("sweep", "rank")
AGAIN = Place("rerun", "train")


def spent_by(results: StudyResults, layout: Layout) -> dict[str, Spent]:
    records = {phase.name: [one.record for one in phase.outcomes] for phase in results.phases}
    return spent_on(records, layout)


def test_phases_follow_their_sources_with_their_times_and_bests(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    results = read_study("made", layout)
    graph = stages_graph(results, spent_by(results, layout), layout)
    assert graph.needs == ((TRAIN, RANK), (RANK, AGAIN), (AGAIN, Place("rerun", "rank")))
    assert graph.returns == ()
    trained = [row for row in RERUN if row.status != "empty"]
    assert graph.boxes[AGAIN].trainings == (State.DONE,) * len(trained)  # an empty slot is none
    assert graph.boxes[TRAIN].size == "4 trainings, 14 s"  # 3.5 s each
    assert graph.boxes[Place("rerun", "rank")].size == "best 1.5000 ± 0.0283"


def test_a_phase_without_a_ranking_is_to_do(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    layout.phase("made", "rerun").scores.unlink()
    layout.phase("made", "rerun").record("05").unlink()
    file = layout.study("made").described
    described = yaml12.load_mapping(file)
    described["phases"][1]["trials"] = 5
    file.write_text(yaml12.dump(described))
    results = read_study("made", layout)
    graph = stages_graph(results, spent_by(results, layout), layout)
    assert graph.boxes[AGAIN].progress == "4 done, 1 to do"
    assert graph.boxes[Place("rerun", "rank")].note == "to do"
    assert stages_line(results, spent_by(results, layout)).endswith("Not ranked yet: rerun.")


def test_rounds_and_rungs_lead_back(tmp_path: Path) -> None:
    layout = make_adaptive_study(tmp_path)
    results = read_study("made", layout)
    graph = stages_graph(results, spent_by(results, layout), layout)
    assert graph.rows["sweep"] == ("sweep", "2 rounds", "2 rungs")
    assert graph.returns == ((TRAIN, TRAIN),)
    assert "Dashed lines" in stages_card(results, spent_by(results, layout), layout)


def test_the_phase_that_took_longest_is_named(tmp_path: Path) -> None:
    results = read_study("made", make_study(tmp_path))
    took = {
        "sweep": Spent(training_seconds=30),
        "rerun": Spent(gpu_seconds=60, training_seconds=30),
    }
    assert stages_line(results, took).startswith(
        f"{len(SWEEP) + 4} trainings in 2 phases took 2 min 0 s by the clock"
    )
    assert "rerun took 75% of it" in stages_line(results, took)
    assert "took" not in stages_line(results, {"sweep": Spent(), "rerun": Spent()})
