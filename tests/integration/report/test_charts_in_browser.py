"""The charts of the report in a real browser: they draw, select, zoom, smooth and name values.

A reader's mouse and keyboard act on the page; what is asserted is what Vega drew.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from resweep.report.charts.curve_points import Curve
from resweep.report.charts.curves import MOST_POINTS_A_LINE, curves_chart
from resweep.report.charts.trial_rows import TrialRows
from resweep.report.page import Charts
from resweep.report.page import page as page_of
from resweep.report.report import render_report
from resweep.report.results import read_study
from tests.support.browser import Browser
from tests.support.study import RATE, Made, make_study

EVIL = '<img src=x onerror="window.hacked=1">'
DECAY = "training.weight_decay"
FINISHED = [
    Made(
        f"t{n:02}",
        {
            RATE: 10 ** (-4 + n / 8),
            DECAY: (7 * n % 16) / 160,
            "optimizer_name": ["adam", EVIL][n % 2],
        },
        2 + abs(-1 + n / 8) + n / 1000,
    )
    for n in range(16)
]
SWEEP = [
    *FINISHED,
    Made("ddd", {RATE: 0.5, DECAY: 0.05, "optimizer_name": "adam"}, None, status="diverged",
         reason=f"the loss was {EVIL}"),
]  # fmt: skip
RERUN = [
    Made(
        f"{2 * at + seed - 2:02}", FINISHED[n].assignments | {"training.seed": seed}, 1.5 + at / 10
    )
    for at, n in ((1, 8), (2, 7))
    for seed in (1, 2)
]
CURVES, SLICE = "val/loss", "Final val/loss by learning_rate"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    layout = make_study(folder, sweep=SWEEP, rerun=RERUN)
    file = folder / "report.html"
    file.write_text(render_report(read_study("made", layout), layout))
    return file


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(running: Browser, page: Path) -> Iterator[Browser]:
    """A browser that shows the page with all charts drawn; nothing may complain."""
    running.open(page)
    running.run("window.resweepDrawAll()")
    yield running
    assert running.complaints == []
    assert running.run("window.hacked ?? null") is None


def chart_of(browser: Browser, title: str) -> str:
    """Id of the first chart with a title."""
    titles = browser.run(
        "[...document.querySelectorAll('.chart')]"
        ".map(c => [c.closest('.card').querySelector('h3').firstChild.data, c.id])"
    )
    return next(name for found, name in titles if found == title)


def view(browser: Browser, title: str, expression: str) -> object:
    """Value of an expression of a chart's view, `v`, once all that is due is drawn."""
    name = json.dumps(chart_of(browser, title))
    return browser.run(
        f"(async () => {{ await window.resweepDrawAll(); const v = window.resweepViews[{name}]; "
        f"return {expression}; }})()"
    )


def place(browser: Browser, title: str, x: str, y: str) -> tuple[float, float]:
    """Coordinates in the window of a place in a chart's plot, given by expressions of `v`."""
    selector = f"#{chart_of(browser, title)}"
    browser.middle(selector)  # scrolls there
    found = view(
        browser,
        title,
        f"(() => {{ const box = document.querySelector('{selector} :is(svg, canvas)')"
        f".getBoundingClientRect(), [left, top] = v.origin(), {{left: l, top: t}} = v.padding(); "
        f"return [box.left + left + l + ({x}), box.top + top + t + ({y})]; }})()",
    )
    assert isinstance(found, list)
    return found[0], found[1]


def click_at(browser: Browser, at: tuple[float, float]) -> None:
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        browser.mouse(kind, *at)


def drag(browser: Browser, start: tuple[float, float], end: tuple[float, float]) -> None:
    browser.mouse("mousePressed", *start)
    for share in (0.3, 0.7, 1.0):
        browser.mouse("mouseMoved", *(a + share * (b - a) for a, b in zip(start, end, strict=True)))
    browser.mouse("mouseReleased", *end)


def selected_rows(browser: Browser) -> list[str]:
    """The trials whose rows are selected, in any table."""
    rows = "[...document.querySelectorAll('tr.selected')].map(tr => tr.dataset.trial)"
    return sorted(set(browser.run(rows)))


def test_charts_are_drawn_when_they_come_into_view_and_all_for_print(
    running: Browser, page: Path
) -> None:
    running.open(page)
    drawn = "Object.keys(window.resweepViews).length"
    at_first, every = running.run(drawn), running.run("Object.keys(CHARTS).length")
    assert 0 < at_first < every
    printed = running.send("Page.printToPDF")["data"]
    assert running.run(drawn) == every
    # Not only afterwards: print it again, now that all are there.
    assert len(running.send("Page.printToPDF")["data"]) == pytest.approx(len(printed), rel=1e-3)
    empty = "[...document.querySelectorAll('.chart')].filter(c => !c.querySelector('svg, canvas'))"
    assert running.run(f"{empty}.length") == 0
    assert running.complaints == []


def test_the_page_is_drawn_in_the_dark_and_on_a_narrow_screen(running: Browser, page: Path) -> None:
    running.open(page, 420, 900, "dark")
    running.run("window.resweepDrawAll()")
    assert running.complaints == []
    assert running.run("document.documentElement.scrollWidth") <= 420
    widths = running.run(
        "[...document.querySelectorAll('.chart :is(svg, canvas)')].map(one => "
        "one.getBoundingClientRect().right - one.closest('.card').getBoundingClientRect().right)"
    )
    assert max(widths) <= 0
    before = running.run("document.querySelectorAll('.chart svg').length")
    running.look(420, 900, "light")  # all charts are drawn again, in other colours
    running.run("Promise.all([...chartsDrawn.values()].map(one => one.drawing)).then(() => {})")
    assert running.run("document.querySelectorAll('.chart svg').length") == before


def test_each_drawing_has_a_label_for_those_who_cannot_see_it(browser: Browser) -> None:
    labels = browser.run(
        "[...document.querySelectorAll('.chart')].map(one => one.getAttribute('aria-label'))"
    )
    assert len(labels) == browser.run("Object.keys(CHARTS).length")
    assert all(labels)
    assert any(label.startswith(f"{SLICE}: The best 4 trials have") for label in labels)


def test_a_click_on_a_mark_selects_in_other_charts_and_in_the_table(browser: Browser) -> None:
    best = "v.data('trials').find(row => row.t === 't08')"
    at = place(browser, SLICE, f"v.scale('x')({best}.h0)", f"v.scale('y')({best}.final)")
    click_at(browser, at)
    browser.until("document.querySelector('tr.selected') !== null")
    assert selected_rows(browser) == ["t08"]
    chosen = view(browser, CURVES, "[...new Set(v.data('chosen').map(row => row.t))]")
    assert chosen == ["t08"]
    assert view(browser, "All hyperparameters together", "v.data('chosen').length") == 4
    assert browser.run("document.querySelector('.selection-bar').innerText").startswith(
        "1 selected in sweep: t08"
    )
    browser.press("Escape")
    browser.until("document.querySelector('tr.selected') === null")
    assert view(browser, CURVES, "v.data('chosen').length") == 0


def test_a_row_of_the_table_selects_in_the_charts(browser: Browser) -> None:
    browser.click("tr[data-phase=sweep][data-trial=t03] td.number")
    assert view(browser, CURVES, "v.data('chosen').every(row => row.t === 't03')")
    assert view(browser, SLICE, "v.signal('picked')") == {"t03": 1}
    browser.click("tr[data-phase=rerun][data-trial='01'] td.number")  # one phase at a time
    assert selected_rows(browser) == ["01"]
    assert view(browser, SLICE, "v.signal('picked')") == {}


def test_a_click_on_a_curve_selects_its_trial(browser: Browser) -> None:
    point = "v.data('lines').filter(row => row.t === 't15').at(-2)"
    at = place(browser, CURVES, f"v.scale('x')({point}.x)", f"v.scale('y')({point}.y)")
    click_at(browser, at)
    browser.until("document.querySelector('tr.selected') !== null")
    assert selected_rows(browser) == ["t15"]


def test_dragging_zooms_and_a_double_click_resets(browser: Browser) -> None:
    domain = "[v.scale('x').domain(), v.scale('y').domain()]"
    (x0, x1), (y0, y1) = before = view(browser, CURVES, domain)
    start = place(browser, CURVES, "0.5 * v.width()", "0.4 * v.height()")
    end = place(browser, CURVES, "0.9 * v.width()", "0.9 * v.height()")
    drag(browser, start, end)
    (near0, near1), (low, high) = view(browser, CURVES, domain)
    assert near0 == pytest.approx(x0 + 0.5 * (x1 - x0), rel=0.02)
    assert near1 == pytest.approx(x0 + 0.9 * (x1 - x0), rel=0.02)
    assert y0 < low < high < y1
    assert browser.run("document.querySelector('.brush')") is None
    browser.send("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1],
                 button="left", clickCount=2)  # fmt: skip
    browser.send("Input.dispatchMouseEvent", type="mouseReleased", x=start[0], y=start[1],
                 button="left", clickCount=2)  # fmt: skip
    assert view(browser, CURVES, domain) == before


def test_smoothing_changes_the_line_and_leaves_the_raw_one(browser: Browser) -> None:
    values = "v.data('lines').filter(row => row.t === 't08').map(row => row.y)"
    raw = view(browser, CURVES, values)
    browser.run("document.querySelector('.chart-tools input[type=range]').focus()")
    for _ in range(60):
        browser.press("ArrowUp")
    assert browser.run("document.querySelector('.chart-tools output').textContent") == "0.6"
    smooth = view(browser, CURVES, values)
    assert smooth[0] == raw[0]
    assert smooth[1] == pytest.approx((0.4 * raw[1] + 0.24 * raw[0]) / 0.64)
    faint = "v.data('raw').filter(row => row.t === 't08').map(row => row.y)"
    assert view(browser, CURVES, faint) == raw


def test_the_smoothing_of_thinned_curves_says_what_it_averages(
    browser: Browser, tmp_path: Path
) -> None:
    title = "document.querySelector('label:has(input[type=range])').title"
    assert browser.run(title) == ""
    layout = make_study(tmp_path, sweep=FINISHED, rerun=[])
    results = read_study("made", layout)
    (phase,), charts = results.phases, Charts()
    long = [Curve("t08", [(step, 5 - step / 500) for step in range(MOST_POINTS_A_LINE + 1)])]
    rows = TrialRows(phase)
    drawn = curves_chart(rows, phase.metric, long)
    assert drawn is not None
    file = tmp_path / "long.html"
    file.write_text(page_of("long", rows.element() + charts.place("a", drawn.spec), charts))
    browser.open(file)
    assert "fewer than were logged" in browser.run(title)


def test_the_keyboard_reaches_controls_and_makes_axes_logarithmic(browser: Browser) -> None:
    browser.run("document.querySelector('.chart-tools input[type=range]').focus()")
    browser.press("Tab")
    label = "document.activeElement.closest('label')?.innerText.trim()"
    assert browser.run(label) == "Log steps"
    browser.press(" ")
    browser.until(f"window.resweepViews['{chart_of(browser, CURVES)}'].scale('x').type === 'log'")
    assert view(browser, CURVES, "v.data('lines').every(row => row.x > 0)")
    browser.press("Tab")
    assert browser.run(label) == "Log values"
    browser.press(" ")
    browser.until(f"window.resweepViews['{chart_of(browser, CURVES)}'].scale('y').type === 'log'")
    browser.press("Tab")
    assert (
        browser.run("document.activeElement.innerText") in ("Reset zoom", "")
        or browser.run(label) == "Whole range"
    )


def test_the_cursor_says_step_and_value_and_why_a_run_ended(browser: Browser) -> None:
    point = "v.data('lines').filter(row => row.t === 't08').at(-2)"
    at = place(browser, CURVES, f"v.scale('x')({point}.x)", f"v.scale('y')({point}.y)")
    browser.mouse("mouseMoved", *at)
    note = "document.querySelector('.cursor-note:not([hidden])')?.textContent ?? ''"
    browser.until(f"({note}) !== ''")
    said = browser.run(note)
    assert said.startswith("step 30: 2.75") and "\nt08, rank 1\n" in said
    assert "learning_rate 0.001" in said
    assert view(browser, CURVES, "v.data('cursor')[0].x") == 30
    ends = view(browser, CURVES, "v.data('ends')")
    assert [end["why"] for end in ends] == [f"diverged at step 40: the loss was {EVIL}"]


def test_a_range_on_parallel_axes_selects_what_it_holds(browser: Browser) -> None:
    chart = "All hyperparameters together"

    def brush(axis: int, low: float, high: float) -> None:
        start, end = (
            place(browser, chart, f"v.scale('x')({axis})", f"v.scale('y')({y})")
            for y in (low, high)
        )
        drag(browser, start, end)

    brush(3, 0.75, 1.05)  # the best quarter of the range of final values
    by_value = set(selected_rows(browser))
    best = {made.name for made in FINISHED if made.final < 2.008 + 0.25 * (2.99 - 2.008)}
    assert by_value == best
    brush(1, -0.05, 0.5)
    both = set(selected_rows(browser))
    assert both and both < by_value
    chosen = view(browser, CURVES, "[...new Set(v.data('chosen').map(row => row.t))]")
    assert set(chosen) == both
    assert view(browser, chart, "v.data('brushes').length") == 2
    click_at(browser, place(browser, chart, "v.scale('x')(1)", "v.scale('y')(0.25)"))
    assert set(selected_rows(browser)) == by_value


def test_hostile_names_are_text(browser: Browser) -> None:
    texts = browser.run(
        "[...document.querySelectorAll('.chart svg text')].map(one => one.textContent)"
    )
    assert any("<img src=x" in text for text in texts)
    assert browser.run("document.querySelectorAll('.chart img, .cursor-note img').length") == 0


def test_a_reference_far_from_the_curves_is_drawn_in_the_whole_range_only(
    running: Browser, tmp_path: Path
) -> None:
    layout = make_study(tmp_path, sweep=FINISHED, rerun=[], floor=-40.0)
    file = tmp_path / "report.html"
    file.write_text(render_report(read_study("made", layout), layout))
    running.open(file)
    running.run("window.resweepDrawAll()")
    drawn = f"document.querySelector('#{chart_of(running, CURVES)}')"
    beside = f"document.querySelector('#{chart_of(running, 'train/loss')}')"
    words = f"({drawn}.textContent.includes('bigram baseline'))"
    assert not running.run(words)
    assert abs(running.run(f"{drawn}.offsetHeight - {beside}.offsetHeight")) < 40
    whole = f"[...{drawn}.parentElement.querySelectorAll('label')].at(-1)"
    assert running.run(f"{whole}.textContent").strip() == "Whole range"
    running.run(f"{whole}.click()")
    running.until(words)
    assert running.complaints == []


def test_curves_with_one_value_each_are_drawn(running: Browser, tmp_path: Path) -> None:
    short = [Made(f"t{n}", {RATE: 10.0**-n}, 2 + n / 10, steps=10) for n in (1, 2)]
    layout = make_study(tmp_path, sweep=short, rerun=[])
    file = tmp_path / "report.html"
    file.write_text(render_report(read_study("made", layout), layout))
    running.open(file)
    running.run("window.resweepDrawAll()")
    dots = view(running, "train/loss", "v.data('dots').map(row => [row.t, row.x])")
    assert sorted(dots) == [["t1", 10], ["t2", 10]]  # type: ignore[call-overload]
    assert running.complaints == []
