"""What the charts of the report show, as data: made-up studies whose answers are known."""

import json
import os
import re
from pathlib import Path
from typing import Any

import altair as alt
import pytest

from resweep import yaml12
from resweep.json_files import write_json
from resweep.paths import Layout
from resweep.report.charts.contour import contour_chart
from resweep.report.charts.curve_points import Curve, read_curves, thin
from resweep.report.charts.curves import curves_chart
from resweep.report.charts.gradients import gradient_charts
from resweep.report.charts.parallel import parallel_chart
from resweep.report.charts.progress import progress_charts
from resweep.report.charts.regions import regions_charts
from resweep.report.charts.rerun import rerun_charts
from resweep.report.charts.rounds import rounds_charts
from resweep.report.charts.rungs import rungs_charts
from resweep.report.charts.slices import slice_chart
from resweep.report.charts.spec import Drawn
from resweep.report.charts.trial_rows import TrialRows, shown_range
from resweep.report.compare import compare_rerun
from resweep.report.report import render_report
from resweep.report.results import StudyResults, read_study
from tests.support.study import RATE, SWEEP, Made, make_adaptive_study, make_study

DECAY = "training.weight_decay"


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return make_study(tmp_path_factory.mktemp("charts"))


@pytest.fixture(scope="module")
def results(layout: Layout) -> StudyResults:
    return read_study("made", layout)


@pytest.fixture(scope="module")
def adaptive(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return make_adaptive_study(tmp_path_factory.mktemp("adaptive"))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    """Two hyperparameters: the rate matters, the decay does not; the best rate is 1e-3."""
    sweep = [
        Made(
            f"t{n:02}",
            {RATE: 10 ** (-4 + n / 15), DECAY: (7 * n % 30) / 300},
            2 + abs(-1 + n / 15) + n / 1000,
        )
        for n in range(30)
    ]
    return read_study("made", make_study(tmp_path_factory.mktemp("many"), sweep=sweep, rerun=[]))


def specs_of(html: str) -> dict[str, dict[str, Any]]:
    found = re.search(r"const CHARTS = (.*);\n", html)
    assert found is not None
    return json.loads(found[1])


def present(drawn: Drawn | None) -> Drawn:
    assert drawn is not None
    return drawn


def rows_of(results: StudyResults, phase: int = 0) -> TrialRows:
    return TrialRows(results.phases[phase])


def test_charts_are_what_vega_lite_describes(
    layout: Layout, results: StudyResults, adaptive: Layout, many: StudyResults
) -> None:
    found = [(results, layout), (read_study("made", adaptive), adaptive), (many, layout)]
    specs = {
        re.sub(r"\d", "", spec["description"])[:30]: spec
        for study, place in found
        for spec in specs_of(render_report(study, place)).values()
    }
    assert len(specs) > 14  # one of each kind
    for spec in specs.values():
        few = {name: rows[:2] for name, rows in spec["datasets"].items()}
        checked = spec | {"datasets": few, "usermeta": {}}
        assert "layer" in alt.LayerChart.from_dict(checked).to_dict()  # all keys and values


def test_each_chart_says_what_it_shows(many: StudyResults, layout: Layout) -> None:
    html = render_report(many, layout)
    for name, spec in specs_of(html).items():
        below = html.split(f'id="{name}"></div>')[1].split("</section>")[0]
        said = re.sub("<.*?>", "", below)
        assert re.search(r"\d", said), name  # a number of this study
        assert said.endswith("."), said
        assert spec["description"].endswith(said.replace("&#x27;", "'").replace("&amp;", "&"))


def test_curves_begin_with_the_range_where_trials_differ(results: StudyResults) -> None:
    curves = [
        Curve("ddd", [(0, 5.0), (10, 1e9)]),
        Curve("ccc", [(0, 5.0), (10, 2.8), (40, 2.4)]),
        Curve("bbb", [(0, 5.0), (10, 2.5), (40, 2.1)]),
    ]
    about = present(curves_chart(rows_of(results), "val/loss", curves)).spec["usermeta"]
    assert about["first"][0] < 2.1
    assert 2.5 < about["first"][1] < 3  # the best at an early step, not its start
    assert about["whole"][1] == pytest.approx(5.0, abs=0.2)  # not what diverged


def test_curves_with_one_value_each_are_dots(results: StudyResults) -> None:
    curves = [Curve("ccc", [(40, 2.4)]), Curve("bbb", [(40, 2.1)])]
    drawn = present(curves_chart(rows_of(results), "val/loss", curves))
    assert "has one value, 2.1 at step 40" in drawn.says
    longer = [Curve(one.trial, [(0, 5.0), *one.points]) for one in curves]
    lines = present(curves_chart(rows_of(results), "val/loss", longer))
    dots = [
        [layer for layer in one.spec["layer"] if layer["data"] == {"name": "dots"}]
        for one in (drawn, lines)
    ]
    assert [len(found) for found in dots] == [1, 0]


def test_where_more_is_better_the_axis_ends_above_the_best(
    results: StudyResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = results.phases[0]
    monkeypatch.setattr(type(phase), "goal", "maximize")
    curves = [
        Curve("ccc", [(0, 0.0), (10, 0.7), (40, 0.8)]),
        Curve("bbb", [(0, 0.0), (10, 0.75), (40, 0.9)]),
    ]
    about = present(curves_chart(TrialRows(phase), "val/loss", curves)).spec["usermeta"]
    assert 0.5 < about["first"][0] < 0.75 and about["first"][1] > 0.9


def test_a_stopped_run_is_marked_where_it_ended_with_the_reason(
    layout: Layout, results: StudyResults
) -> None:
    curves = read_curves(results.phases[0], layout)["val/loss"]
    drawn = present(curves_chart(rows_of(results), "val/loss", curves))
    (end,) = drawn.spec["usermeta"]["ends"]
    assert (end["t"], end["how"]) == ("ddd", "diverged")
    assert end["why"] == "diverged at step 40: the loss was <nan>"
    assert "1 trial ended early" in drawn.says


def test_of_many_curves_some_are_drawn_and_that_is_said(results: StudyResults) -> None:
    points = [(step, 3 - step / 1000) for step in range(0, 1000, 5)]
    curves = [Curve(f"t{n}", points) for n in range(999)] + [Curve("bbb", points)]
    drawn = present(curves_chart(rows_of(results), "val/loss", curves))
    lines = drawn.spec["usermeta"]["curves"]
    assert len(lines) == 1000  # selected ones can be added
    shown = [line["t"] for line in lines if "drawn" in line]
    assert len(shown) == 240 and shown[-1] == "bbb"
    assert "240 of 1,000 curves are drawn" in drawn.says and "thinned to 100 points" in drawn.says


def test_thin_keeps_ends_and_spikes() -> None:
    points = [(step, 3.0 - step * 1e-4) for step in range(10_000)]
    points[4321] = (4321, 50.0)
    points[6789] = (6789, -7.0)
    kept = thin(points, 100)
    assert len(kept) <= 100
    assert kept[0] == points[0] and kept[-1] == points[-1]
    assert points[4321] in kept and points[6789] in kept
    assert kept == sorted(kept)
    assert thin(points[:100], 100) == points[:100]


def test_learning_rates_are_on_a_log_axis(results: StudyResults) -> None:
    spec = present(slice_chart(rows_of(results), RATE)).spec
    assert {layer["encoding"]["x"]["scale"]["type"] for layer in spec["layer"]} == {"log"}


def test_trials_come_worst_first_with_colours_of_their_own_for_the_first_three(
    results: StudyResults,
) -> None:
    rows = rows_of(results).rows
    assert [row["t"] for row in rows] == ["ddd", "aaa", "ccc", "bbb"]
    assert [row["g"] for row in rows] == ["others", "3", "2", "1"]
    assert [row["final"] for row in rows] == [None, 2.9, 2.4, 2.1]


def test_one_bad_value_does_not_squash_the_others() -> None:
    low, high = shown_range([2.0, 2.1, 2.2, 2.3, 2.2, 2.1, 2.3, 2.2, 2.1, 2.0, 900.0], "minimize")
    assert low < 2.0 and 2.3 < high < 2.5
    assert shown_range([2.0, 2.1, 2.2, 2.3, 2.4], "minimize") is None
    low, high = shown_range([0.9, 0.8, 0.8, 0.85, 0.9, 0.9, 0.8, 0.9, 0.8, 0.9, -50], "maximize")
    assert 0.7 < low < 0.8 and high > 0.9


def test_slices_name_the_values_of_the_best(many: StudyResults) -> None:
    said = present(slice_chart(rows_of(many), RATE)).says
    assert said.startswith("The best 8 trials have learning_rate 0.000")
    assert "all 30 with a value have 0.0001 to 0.00858" in said


def test_parallel_axes_put_the_better_end_on_top(many: StudyResults) -> None:
    axes = present(parallel_chart(rows_of(many))).spec["usermeta"]["axes"]
    assert [axis["label"] for axis in axes] == ["learning_rate", "weight_decay", "final val/loss"]
    assert axes[0]["log"] and not axes[1]["log"]
    said = present(parallel_chart(rows_of(many))).says
    assert said.startswith("Rank 1, trial t15, has learning_rate 0.001, weight_decay 0.05, with a")
    top = next(tick for tick in axes[-1]["ticks"] if tick["y"] == 1)
    assert float(top["text"]) == pytest.approx(2.015, abs=0.01)


def test_bands_are_best_where_the_trials_are(many: StudyResults) -> None:
    drawn = present(contour_chart(rows_of(many), [RATE, DECAY]))
    cells = drawn.spec["datasets"]["cells"]
    best = min(cells, key=lambda cell: cell["v"])
    assert 5e-4 < best["x"] < 2e-3
    assert all(cell["x0"] < cell["x"] < cell["x1"] for cell in cells)


def test_best_so_far_never_gets_worse_over_trials_and_steps(many: StudyResults) -> None:
    over_trials, over_steps = progress_charts(rows_of(many))
    best = over_trials.spec["datasets"]["best"]
    values = [point["final"] for point in best]
    assert values == sorted(values, reverse=True)
    assert best[-1]["n"] == 30 and over_steps.spec["datasets"]["best"][-1]["spent"] == 30 * 40
    assert "came with trial 16 of 30, t15; the 14 trials after it" in over_trials.says
    assert "took 640 of the 1,200 steps of all trials (53%)" in over_steps.says


def test_places_at_rungs_and_at_the_end_are_a_line_a_trial(adaptive: Layout) -> None:
    (sweep,) = read_study("made", adaptive).phases
    ranks, held = rungs_charts(sweep)
    data = ranks.spec["datasets"]
    places: dict[str, list[int]] = {}
    for point in data["lines"]:
        places.setdefault(point["t"], []).append(point["y"])
    assert places == {
        "r01-01": [2, 3],
        "r01-02": [4, 2],
        "r01-03": [5],
        "r02-01": [1, 1],
        "r02-02": [3, 4],
    }
    assert [point["t"] for point in data["stopped"]] == ["r01-03"]
    assert {point["x"] for point in data["lines"]} == {"1 (step 20)", "end"}
    assert "compared 6 trials, promoted 4 and stopped 1" in ranks.says
    dots = {dot["t"]: (dot["x"], dot["y"]) for dot in held.spec["datasets"]["dots"]}
    assert dots == {
        "r01-01": (3.1, 2.6),
        "r01-02": (3.3, 2.4),
        "r02-01": (2.7, 2.1),
        "r02-02": (3.2, 2.9),
    }
    assert "at rung 1 it is 0.40 (4 trials)" in held.says


@pytest.mark.parametrize("count", [2, 4])
def test_the_first_view_has_the_ends_of_few_trials(tmp_path: Path, count: int) -> None:
    sweep = [Made(f"t{n}", {RATE: 1e-3 * n}, 2.0 + n / 2) for n in range(1, count + 1)]
    layout = make_study(tmp_path, sweep=sweep, rerun=[], floor=None)
    (phase,) = read_study("made", layout).phases
    curves = read_curves(phase, layout)["val/loss"]
    about = present(curves_chart(TrialRows(phase), "val/loss", curves)).spec["usermeta"]
    assert about["first"][0] < 2.5 and about["first"][1] > 2.0 + count / 2


def test_a_run_that_was_trained_before_the_study_keeps_its_round(tmp_path: Path) -> None:
    adaptive = make_adaptive_study(tmp_path)
    os.utime(adaptive.record("made", "sweep", "r02-01"), (0, 0))
    order = TrialRows(read_study("made", adaptive).phases[0]).order
    assert order["r02-01"] == 4 and sorted(order.values()) == [1, 2, 3, 4, 5, 6]


def test_rounds_show_values_and_where_the_search_went(adaptive: Layout) -> None:
    rows = TrialRows(read_study("made", adaptive).phases[0])
    values, places = rounds_charts(rows, [RATE])
    best = values.spec["datasets"]["best"]
    assert best == [{"round": 1, "final": 2.4}, {"round": 2, "final": 2.1}]
    assert "came in round 2 of 2; the median of a round went from 2.5 to 2.5" in values.says
    assert "Round 1 tried learning_rate 0.0001 to 0.01, round 2 tried 0.002 to 1." in places.says


def test_a_sweep_without_rungs_and_rounds_has_no_place_for_them(
    layout: Layout, results: StudyResults
) -> None:
    assert rungs_charts(results.phases[0]) == []
    assert rounds_charts(rows_of(results), [RATE]) == []
    assert regions_charts(rows_of(results), "made", layout) == []
    assert gradient_charts(results.phases[0], "made", layout) == []
    html = render_report(results, layout)
    assert "<h3>Rungs" not in html and "<h3>Best value so far, by round" not in html


def test_ranks_of_a_rerun_stand_beside_those_of_its_source(results: StudyResults) -> None:
    held = compare_rerun(results, results.phases[1])
    values, ranks = rerun_charts(held, results.phases[1])
    rows = ranks.spec["datasets"]["ranks"]
    assert [(row["c"], row["side"], row["rank"]) for row in rows] == [
        ("bbb", "sweep", 1), ("bbb", "rerun", 1), ("ccc", "sweep", 2), ("ccc", "rerun", 2),
    ]  # fmt: skip
    assert "inner's curse: 0.6000" in values.says
    assert values.spec["datasets"]["equal"] == [{"x": 2.1, "y": 2.1}, {"x": 2.4, "y": 2.4}]


def test_gradient_norms_of_analyzed_trials_are_drawn(tmp_path: Path) -> None:
    layout = make_study(tmp_path, rerun=[])
    file = layout.phase("made", "sweep").gradients("bbb")
    file.parent.mkdir()
    norms = {"embedding": 0.5, "block 0": 2.0}
    checkpoints = [
        {"step": step, "layers": {name: {"norm": norm * step} for name, norm in norms.items()}}
        for step in (20, 40)
    ]
    file.write_text(json.dumps({"checkpoints": checkpoints}))
    (drawn,) = gradient_charts(read_study("made", layout).phases[0], "made", layout)
    assert len(drawn.spec["datasets"]["norms"]) == 4
    assert "at step 40 the largest norm is that of block 0 (80)" in drawn.says


def test_a_phase_in_which_nothing_finished_is_drawn(tmp_path: Path) -> None:
    layout = make_study(tmp_path, sweep=[SWEEP[3]], rerun=[], floor=None)
    specs = specs_of(render_report(read_study("made", layout), layout))
    assert len(specs) == 2  # its curves


def test_regions_of_a_resample_show_their_edges(tmp_path: Path) -> None:
    made = [Made(f"r01-{n:02}", {RATE: rate}, 2 + n / 10) for n, rate in enumerate([1e-4, 2e-4], 1)]
    layout = make_study(tmp_path, sweep=made, rerun=[])
    file = layout.study("made").described
    described = yaml12.load_mapping(file)
    space = {"name": RATE, "distribution": "log_uniform_values", "low": 1e-4, "high": 1e-2}
    described["phases"][0] |= {
        "kind": "resample", "rounds": 1, "space": [space], "top": 2, "adaptive": False,
        "factors": {},
    }  # fmt: skip
    file.write_text(yaml12.dump(described))
    seen = [
        {"point": {RATE: rate}, "value": value, "status": "finished"}
        for rate, value in ((1e-4, 2.0), (1e-3, 2.5), (5e-3, 3.0))
    ]
    round_file = layout.phase("made", "sweep").round(1)
    write_json(round_file, {"observations": seen, "points": []})
    (drawn,) = regions_charts(rows_of(read_study("made", layout)), "made", layout)
    first, second = drawn.spec["datasets"]["spans"]
    # Half and twice the best; it lies at the edge of what was searched, so the region goes beyond.
    assert (first["low"], first["high"]) == (5e-05, 2e-4)
    assert first["edge"] == "reaches beyond what was searched"
    assert (second["low"], second["high"], second["edge"]) == (5e-4, 2e-3, "inside")
    assert "goes from 5e-05 to 0.0002. 1 of 2 regions reaches beyond" in drawn.says
    html = render_report(read_study("made", layout), layout)
    assert "<h3>Regions of learning_rate" in html
