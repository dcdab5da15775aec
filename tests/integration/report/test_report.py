"""The report is one page that needs no network, draws its charts and shows every trial."""

import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from resweep.errors import StoreError
from resweep.paths import Layout
from resweep.plurals import duration
from resweep.report.compare import compare_rerun
from resweep.report.first_screen import first_screen
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
    start = html.index('<script class="library"')
    return html[:start] + html[html.index("const CHARTS") :]


def test_what_was_trained_is_a_table(html: str) -> None:
    assert rows_of(html, "Training setup") == [
        ["gpt, 1.25M parameters", "bytes (vocabulary 257)", "random", "cpu (made)"]
    ]


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    assert not re.search(r"""src\s*=""", own_part(html).partition("const CHARTS")[0])
    addresses = re.findall(r'href="([^"]*)"', own_part(html))
    assert {address for address in addresses if not address.startswith(("#", "../runs/"))} == {
        "sweep/scores.csv", "sweep/decisions.csv", "rerun/scores.csv", "rerun/decisions.csv",
    }  # fmt: skip
    assert not re.search(r"@import|url\((?!#)|<link|<iframe|<img", own_part(html))
    # These addresses are names: nothing loads them.
    addresses = set(re.findall(r"https?://[^\"' )]*", own_part(html)))
    names = ("https://vega.github.io/schema/", "http://www.w3.org/2000/svg")
    assert all(address.startswith(names) for address in addresses)


def test_the_browser_is_told_to_load_nothing(html: str) -> None:
    assert "Content-Security-Policy\" content=\"default-src 'none'; " in html
    head = html.split("<style>")[0]
    assert "connect-src" not in head and re.findall(r"img-src ([^;\"]*)", head) == ["data:"]


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
    # The trials, the library, and the page's own.
    assert html.count("</script>") == 1 + 2
    assert "\\u003cscript>alert(1)" in html


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


def test_rungs_are_a_table_with_what_it_cannot_say(tmp_path: Path) -> None:
    layout = make_adaptive_study(tmp_path)
    html = render_report(read_study("made", layout), layout)
    assert rows_of(html, "Rungs") == [["1", "20", "6", "4", "1", "3.3 to 3.2", "0.40 (4 trials)"]]
    assert "survivors" in html.split("<h3>Rungs</h3>")[1].split("</section>")[0]


def test_columns_of_scores_are_no_hyperparameters(results: StudyResults) -> None:
    assert results.phases[0].hyperparameters == [RATE, "optimizer_name"]
    labels = [results.phases[0].label(path) for path in results.phases[0].hyperparameters]
    assert labels == ["learning_rate", "optimizer_name (own)"]


def test_a_study_without_results_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="`snakemake --config study=nothing`"):
        read_study("nothing", Layout(tmp_path))


def test_a_study_without_a_ranking_says_how_its_trials_ended(tmp_path: Path) -> None:
    diverged = [replace(made, final=None, status="diverged") for made in SWEEP[:3]]
    layout = make_study(tmp_path, sweep=diverged, rerun=[])
    for file in layout.root.glob("made/*/scores.csv"):
        file.unlink()
    with pytest.raises(StoreError, match="no phase is ranked yet; of its trials, 3 diverged; "):
        read_study("made", layout)


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


def test_what_mattered_is_of_a_search_that_varied_more_than_one_thing(tmp_path: Path) -> None:
    one = [Made(f"o{n:02}", {RATE: 1e-4 * (n + 1)}, 2 + n / 100) for n in range(12)]
    two = [
        Made(f"t{n:02}", {RATE: 1e-4 * (n + 1), "optimizer_name": "ab"[n % 2]}, 2 + n / 100)
        for n in range(9)
    ]
    depth, width = (
        read_study("made", make_study(tmp_path / name, sweep=trials, rerun=[]))
        for name, trials in (("depth", one), ("width", two))
    )
    phases = tuple(
        replace(of.phases[0], name=name) for of, name in ((depth, "depth"), (width, "width"))
    )
    page = first_screen(replace(depth, phases=phases), {}, Layout(tmp_path / "depth/results"))
    card = page.split("What mattered most?")[1].split("What did it cost?")[0]
    assert "the best trials of width" in card and "was varied" not in card
