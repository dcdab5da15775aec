"""The report is one page that needs no network, draws its charts and shows every trial."""

import json
import math
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import altair as alt
import pytest

from resweep.errors import StoreError
from resweep.paths import Layout
from resweep.plurals import duration
from resweep.report.charts.search import rounds_chart, rungs_chart
from resweep.report.charts.trials import Curve, curves_chart, hyperparameter_chart, thin
from resweep.report.compare import compare_rerun
from resweep.report.report import render_report
from resweep.report.results import (
    StudyResults,
    read_study,
    shown,
)
from resweep.trials.record import read_record, write_record
from tests.support.study import (
    RATE,
    RERUN,
    SEED,
    SWEEP,
    Made,
    make_adaptive_study,
    make_study,
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
OFFLINE = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--virtual-time-budget=8000",
)  # fmt: skip


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return make_study(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def results(layout: Layout) -> StudyResults:
    return read_study("made", layout)


@pytest.fixture(scope="module")
def html(layout: Layout, results: StudyResults) -> str:
    return render_report(results, layout)


def charts_of(html: str) -> dict[str, dict]:
    return json.loads(re.search(r"const CHARTS = (.*);\n", html)[1])


def rows_of(html: str, title: str) -> list[list[str]]:
    """Cells of the first table below a title."""
    body = html.split(f"<h3>{title}</h3>")[1].split("</tbody>")[0]
    rows = re.findall(r"<tr.*?</tr>", body.split("<tbody>")[1], re.DOTALL)
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]


def own_part(html: str) -> str:
    """The page without the library of the charts."""
    start = html.index("<script")
    return html[:start] + html[html.index("const CHARTS") :]


def render(page: Path, folder: Path) -> str:
    """Return the page's elements after a browser ran its scripts."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        if os.environ.get("RESWEEP_REQUIRE_BROWSER") == "1":
            pytest.fail("RESWEEP_REQUIRE_BROWSER=1, and no Chromium is on PATH")
        pytest.skip("no Chromium on PATH")
    command = [browser, *OFFLINE, f"--user-data-dir={folder}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def test_what_was_trained_is_a_table(html: str) -> None:
    assert rows_of(html, "Training setup") == [
        ["gpt, 1.25M parameters", "bytes (vocabulary 257)", "random", "cpu (made)"]
    ]


def test_a_browser_draws_every_chart(html: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(html)
    dom = render(page, tmp_path / "profile")
    specs = charts_of(html)
    # Two kinds of curves a phase; rate and optimizer, of which the rerun has one; sweep and rerun.
    assert len(specs) == 2 + 2 + 2 + 1 + 1
    for name in specs:
        place = dom.split(f'id="{name}"')[1].split("</section>")[0]
        assert "<svg" in place, name
        assert place.count("<path") > 4, name
    lines = dom.split('id="chart-1"')[1].split("</section>")[0]
    assert lines.count('aria-roledescription="line mark"') == 2 * len(SWEEP)


def test_charts_are_what_vega_lite_describes(html: str, tmp_path: Path) -> None:
    layout = make_adaptive_study(tmp_path)
    others = charts_of(render_report(read_study("made", layout), layout))
    for spec in [*charts_of(html).values(), *others.values()]:
        assert "layer" in alt.LayerChart.from_dict(spec).to_dict()  # checks all keys and values


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    assert not re.search(r"""src\s*=""", own_part(html).partition("const CHARTS")[0])
    addresses = re.findall(r'href="([^"]*)"', own_part(html))
    assert {address for address in addresses if not address.startswith(("#", "../runs/"))} == {
        "sweep/scores.csv", "sweep/decisions.csv", "rerun/scores.csv", "rerun/decisions.csv",
    }  # fmt: skip
    assert not re.search(r"@import|url\(|<link|<iframe|<img", own_part(html))
    # The schema's address is a name: Vega does not load it.
    addresses = set(re.findall(r"https?://[^\"' )]*", own_part(html)))
    assert all(address.startswith("https://vega.github.io/schema/") for address in addresses)


def test_the_browser_is_told_to_load_nothing(html: str) -> None:
    assert "Content-Security-Policy\" content=\"default-src 'none'; " in html
    assert "connect-src" not in html.split("<style>")[0]


def test_header_says_how_new_the_results_are(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    for path in layout.root.glob("made/*/records/*.json"):
        os.utime(path, (1_600_000_000, 1_600_000_000))
    os.utime(layout.record("made", "sweep", "ccc"), (1_700_000_000, 1_700_000_000))
    html = render_report(read_study("made", layout), layout)
    assert "last updated 2023-11-14 22:13 UTC" in html


def test_a_run_whose_configuration_is_gone_is_left_out_of_the_description(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    for config in layout.runs.glob("*/config.yaml"):
        config.unlink()
    assert read_study("made", layout).phases[0].trained_by is None


def test_runs_of_different_code_in_one_ranking_are_warned_of(html: str, tmp_path: Path) -> None:
    assert 'class="warning"' not in html
    layout = make_study(tmp_path)
    record = layout.record("made", "rerun", "02").resolve()
    write_record(record, replace(read_record(record), code="ba9876543210"))
    page = render_report(read_study("made", layout), layout)
    sweep, rerun = page.split('id="phase-sweep"')[1].split('id="phase-rerun"')
    assert "0123456789ab, ba9876543210" in rerun
    assert 'class="warning"' not in sweep


def test_equal_results_give_equal_pages(layout: Layout, html: str) -> None:
    assert render_report(read_study("made", layout), layout) == html


def test_text_is_escaped(html: str) -> None:
    assert "&lt;b&gt;&amp;" in html
    assert "the loss was &lt;nan&gt;" in html
    assert "<b>&" not in own_part(html)
    assert "<nan>" not in html


def test_charts_cannot_end_their_script(tmp_path: Path) -> None:
    evil = [
        Made("aaa", {"kind_of": "</script><script>alert(1)</script>"}, 2.0),
        Made("bbb", {"kind_of": "<!--"}, 2.5),
    ]
    layout = make_study(tmp_path, sweep=evil, rerun=[])
    html = render_report(read_study("made", layout), layout)
    assert "alert(1)</script>" not in html
    assert html.count("</script>") == 2
    assert any("alert(1)" in str(spec) for spec in charts_of(html).values())


def test_ranking_shows_all_trials_those_without_result_last(html: str) -> None:
    rows = rows_of(html, "Ranking")
    assert [row[1] for row in rows] == ["bbb", "ccc", "aaa", "ddd"]
    assert rows[0][2] == "0.001"
    assert rows[0][4] == "2.1000"
    assert rows[-1][-2] == "diverged: the loss was &lt;nan&gt;"
    assert rows[-1][4] == ""


def test_reruns_stand_beside_their_sweep_trials(html: str) -> None:
    rows = rows_of(html, "Rerun of sweep")
    assert [row[1:3] for row in rows] == [["sweep", "bbb"], ["sweep", "ccc"]]
    assert rows[0][3:] == ["1", "2.1000", "1", "1.5000 ± 0.0283", "0.02", "-0.6000"]


def test_rerun_is_compared_by_hyperparameters_alone(results: StudyResults) -> None:
    first, second = compare_rerun(results, results.phases[1]).pairs
    assert (first.source_trial, first.trials) == ("bbb", ("02", "01"))
    assert first.value == pytest.approx(1.5)
    assert second.source_value == pytest.approx(2.4)
    assert SEED not in first.hyperparameters


def test_a_configuration_that_the_sweep_does_not_have_is_not_compared(tmp_path: Path) -> None:
    other = [Made("01", {RATE: 0.5, "optimizer_name": "adam", SEED: 1}, 1.0)]
    layout = make_study(tmp_path, rerun=other)
    results = read_study("made", layout)
    assert compare_rerun(results, results.phases[1]).pairs == ()
    assert "<h3>Rerun of sweep" not in render_report(results, layout)


def test_a_rerun_that_failed_has_no_final_value(tmp_path: Path) -> None:
    half = [
        RERUN[0],
        Made("02", RERUN[1].assignments, None, status="diverged", reason="at step 40"),
    ]
    layout = make_study(tmp_path, rerun=half)
    results = read_study("made", layout)
    (pair,) = compare_rerun(results, results.phases[1]).pairs
    assert pair.value is None
    html = render_report(results, layout)
    assert "diverged: at step 40" in html
    assert rows_of(html, "Rerun of sweep")[0][5:] == ["", "diverged", ""]


def test_phase_in_which_nothing_finished_is_shown(tmp_path: Path) -> None:
    layout = make_study(tmp_path, sweep=[SWEEP[3]], rerun=[RERUN[4]], floor=None)
    html = render_report(read_study("made", layout), layout)
    assert rows_of(html, "Ranking")[0][1] == "ddd"
    assert "bigram" not in own_part(html)


def test_learning_rates_are_on_a_log_axis(results: StudyResults) -> None:
    chart = hyperparameter_chart(results.phases[0], RATE)
    assert chart is not None
    assert [layer["encoding"]["x"]["scale"]["type"] for layer in chart["layer"]] == ["log", "log"]
    assert [point["t"] for point in chart["datasets"]["done"]] == ["aaa", "ccc", "bbb"]
    assert [point["t"] for point in chart["datasets"]["lost"]] == ["ddd"]


def test_a_trial_that_blew_up_does_not_squeeze_the_others(results: StudyResults) -> None:
    curves = [Curve("bbb", [(0, 5.0), (40, 2.1)]), Curve("ddd", [(0, 5.0), (10, 1e9)])]
    chart = curves_chart(results.phases[0], curves)
    assert chart is not None
    low, high = chart["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert low < 2.1
    assert 5.0 < high < 6.0


def test_rungs_are_a_table_with_what_it_cannot_say(tmp_path: Path) -> None:
    layout = make_adaptive_study(tmp_path)
    html = render_report(read_study("made", layout), layout)
    assert rows_of(html, "Rungs") == [["1", "20", "6", "4", "1", "3.3 to 3.2", "0.40 (4 trials)"]]
    assert "survivors" in html.split("<h3>Rungs</h3>")[1].split("</section>")[0]
    page = tmp_path / "report.html"
    page.write_text(html)
    dom = render(page, tmp_path / "profile")
    for title in ("Rank at each rung", "Best value so far"):
        assert "<svg" in dom.split(f"<h3>{title}</h3>")[1].split("</section>")[0]


def test_places_at_rungs_and_at_the_end_are_a_line_a_trial(tmp_path: Path) -> None:
    (sweep,) = read_study("made", make_adaptive_study(tmp_path)).phases
    chart = rungs_chart(sweep)
    assert chart is not None
    places: dict[str, list[int]] = {}
    for point in chart["datasets"]["lines"]:
        places.setdefault(point["t"], []).append(point["y"])
    assert places == {
        "r01-01": [2, 3],
        "r01-02": [4, 2],
        "r01-03": [5],
        "r02-01": [1, 1],
        "r02-02": [3, 4],
    }
    assert [point["t"] for point in chart["datasets"]["stopped"]] == ["r01-03"]
    assert {point["x"] for point in chart["datasets"]["lines"]} == {"1 (step 20)", "end"}


def test_best_so_far_never_gets_worse(tmp_path: Path) -> None:
    (sweep,) = read_study("made", make_adaptive_study(tmp_path)).phases
    chart = rounds_chart(sweep)
    assert chart is not None
    assert chart["datasets"]["best"] == [{"round": 1, "y": 2.4}, {"round": 2, "y": 2.1}]
    assert {dot["t"]: dot["round"] for dot in chart["datasets"]["done"]} == {
        "r01-01": 1, "r01-02": 1, "r02-01": 2, "r02-02": 2,
    }  # fmt: skip


def test_a_sweep_without_rungs_and_rounds_has_no_place_for_them(
    results: StudyResults, html: str
) -> None:
    assert rungs_chart(results.phases[0]) is None and rounds_chart(results.phases[0]) is None
    assert "<h3>Rungs" not in html and "<h3>Best value so far" not in html


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


def test_hundreds_of_trials_stay_small(results: StudyResults, tmp_path: Path) -> None:
    sweep = [Made(f"t{n:03}", {RATE: 1e-5 * 1.03**n}, 2 + n / 400, steps=2500) for n in range(300)]
    layout = make_study(tmp_path, sweep=sweep, rerun=[])
    html = render_report(read_study("made", layout), layout)
    assert 1e6 < len(html) < 1e7
    assert len(rows_of(html, "Ranking")) == 300


def test_columns_of_scores_are_no_hyperparameters(results: StudyResults) -> None:
    assert results.phases[0].hyperparameters == [RATE, "optimizer_name"]
    labels = [results.phases[0].label(path) for path in results.phases[0].hyperparameters]
    assert labels == ["learning_rate", "optimizer_name (own)"]


def test_a_study_without_results_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="`snakemake --config study=nothing`"):
        read_study("nothing", Layout(tmp_path))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (7325, "2 h 2 min")],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0033046531, "0.003305"), (200.0, "200"), (math.nan, ""), (True, "True"), (1e-8, "1e-08")],
)
def test_numbers_are_readable(value: object, text: str) -> None:
    assert shown(value) == text


def test_hyperparameters_that_a_trial_does_not_have_are_left_out(results: StudyResults) -> None:
    said = results.phases[0].settings_text({"training.learning_rate": 0.01, "mine": math.nan})
    assert said == "learning_rate 0.01"
