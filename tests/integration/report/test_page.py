"""What a reader does with the report: sort, filter, choose columns, select, page, download."""

import base64
import csv
import io
import json
import random
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageStat

from resweep.report.html_table import MOST_ROWS, Cell, Column, Row, Tools, table
from resweep.report.page import Charts, card, page
from resweep.report.phase_charts import figure_cards
from resweep.report.report import render_report
from resweep.report.results import read_study
from resweep.systems.values import Board, Pictures
from resweep.systems.values import Image as Pixels
from tests.support.browser import Browser, Scheme
from tests.support.study import RATE, SWEEP, Made, make_study

HOSTILE = '"><img src=x onerror=alert(1)></script><script>alert(2)</script>'
FORMULA = "=1+1"
RANKING = "[data-name=made-sweep-ranking]"
MANY = 1234
SVG = "{http://www.w3.org/2000/svg}"
SAVE_DRAWING = ".card:has(> .drawing) .save button"
TOOLS = Tools(name="many", phase="sweep", runs="../runs", source="sweep/scores.csv")
COLUMNS = [
    Column("rank", number=True),
    Column("trial", name="trial"),
    Column("loss", number=True),
    Column("run", name="run"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    hostile = Made("eee", {RATE: 1e-5, "optimizer_name": HOSTILE}, 3.0)
    formula = Made("fff", {RATE: 1e-6, "optimizer_name": FORMULA}, 3.1)
    layout = make_study(tmp_path_factory.mktemp("report"), sweep=[*SWEEP, hostile, formula])
    file = layout.study("made").report
    file.write_text(render_report(read_study("made", layout), layout))
    return file


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with one long table."""
    rows = [
        Row(
            [
                Cell(str(n), float(n), "tie" if n < 3 else ""),
                Cell(f"t{n:04}"),
                Cell(f"{5000 - n}", 5000.0 - n),
                Cell(f"{n:012x}"),
            ],
            trial=f"t{n:04}",
        )
        for n in range(1, MANY + 1)
    ]
    file = tmp_path_factory.mktemp("many") / "page.html"
    file.write_text(page("many", card("Ranking", table(COLUMNS, rows, TOOLS)), Charts()))
    return file


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with drawings of a system, and with a standard error from one curve."""
    board = Board(
        cells=[["1", "2"], ["3", "4"]],
        looks={(0, 1): "given", (1, 0): "right", (1, 1): "wrong"},
        label=HOSTILE,
    )
    images = [Pixels(pixels=[[(1.0, 0.0, 0.2)]], label="digit"), Pixels(pixels=[[(0.0, 0.5, 1.0)]])]
    rows = {"a heading that is too long for one line": [board], "": images}
    pictures = Pictures(title="Solved puzzles", caption="c", rows=rows)
    errors = [
        Row([Cell("aaa"), Cell("0.25", 0.25, "estimate")], trial="aaa"),
        Row([Cell("bbb"), Cell("0.5", 0.5)], trial="bbb"),
    ]
    titles = [Column("trial", name="trial"), Column("standard error", number=True)]
    tools = Tools(name="errors", phase="sweep", runs="../runs", source="sweep/scores.csv")
    charts = Charts()
    body = figure_cards([pictures], charts) + card("Errors", table(titles, errors, tools))
    file = tmp_path_factory.mktemp("drawn") / "page.html"
    file.write_text(page("drawn", body, charts))
    return file


def saved_png(browser: Browser, selector: str, name: str) -> Image.Image:
    return Image.open(io.BytesIO(browser.download(selector, name))).convert("RGB")


def colours(picture: Image.Image) -> set[tuple[int, ...]]:
    found = picture.getcolors(picture.width * picture.height)
    return {colour for _, colour in found or [] if isinstance(colour, tuple)}


def colour_of(browser: Browser, selector: str, name: str) -> tuple[int, ...]:
    """What the style sheet makes of an element."""
    return rgb(browser.run(f"getComputedStyle(document.querySelector('{selector}')).{name}"))


def rgb(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", text)))


def column(browser: Browser, number: int, place: str = RANKING) -> list[str]:
    """Texts of a column of the rows that are in the document."""
    cells = f"{place} tbody td:nth-child({number})"
    script = f"[...document.querySelectorAll({json.dumps(cells)})].map(one => one.textContent)"
    return list(browser.run(script))


def head(number: int, place: str = RANKING) -> str:
    return f"{place} th:nth-child({number})"


def sorting(browser: Browser, number: int) -> str | None:
    selector = json.dumps(head(number))
    return browser.run(f"document.querySelector({selector}).getAttribute('aria-sort')")


def test_a_click_sorts_by_the_value_and_empty_cells_stay_last(
    browser: Browser, report: Path
) -> None:
    browser.open(report)
    assert column(browser, 2) == ["bbb", "ccc", "aaa", "eee", "fff", "ddd"]
    browser.click(f"{head(3)} button")
    assert column(browser, 3) == ["1e-06", "1e-05", "0.0001", "0.001", "0.01", "1"]
    assert sorting(browser, 3) == "ascending" and sorting(browser, 1) is None
    browser.click(f"{head(5)} button")
    browser.click(f"{head(5)} button")
    assert column(browser, 5)[:2] == ["3.1000", "3.0000"] and column(browser, 5)[-1] == ""
    assert sorting(browser, 5) == "descending" and sorting(browser, 3) is None


def test_the_keyboard_sorts_filters_and_selects(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser.run(f"document.querySelector('{head(3)} button').focus()")
    browser.press("Enter")
    assert sorting(browser, 3) == "ascending"
    browser.press("Tab")
    browser.press(" ")
    assert sorting(browser, 4) == "ascending" and sorting(browser, 3) is None
    browser.run(f"document.querySelector('{RANKING} input[type=search]').focus()")
    browser.type("adam finished")
    assert sorted(column(browser, 2)) == ["bbb", "ccc"]
    assert "2 rows" in browser.run(f"document.querySelector('{RANKING} [role=status]').textContent")
    browser.run(f"document.querySelector('{RANKING} tr[data-trial=ccc] .pick').focus()")
    browser.press("Enter")
    pressed = f"document.querySelector('{RANKING} tr[data-trial=ccc] .pick').ariaPressed"
    assert browser.run(pressed) == "true"
    browser.press("Escape")
    assert browser.run(pressed) == "false"


def test_a_click_on_a_row_selects_it_in_every_table(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser.run(
        "window.heard = []; document.addEventListener('resweep:select', "
        "event => heard.push(event.detail))"
    )
    browser.click(f"{RANKING} tr[data-trial=aaa] td:nth-child(5)")
    browser.click(f"{RANKING} tr[data-trial=ccc] td:nth-child(5)")
    assert browser.run("heard.at(-1)") == {"phase": "sweep", "trials": ["aaa", "ccc"]}
    chosen = "[...document.querySelectorAll('tr.selected')].map(one => one.dataset.trial).sort()"
    assert set(browser.run(chosen)) == {"aaa", "ccc"}
    browser.click(f"{RANKING} .tools [aria-pressed]")
    assert column(browser, 2) == ["ccc", "aaa"]
    browser.click(f"{RANKING} tr[data-trial=aaa] td:nth-child(5)")
    assert column(browser, 2) == ["ccc"]
    browser.click(f"{RANKING} tr[data-trial=ccc] td:nth-child(5)")
    assert len(column(browser, 2)) == len(SWEEP) + 2


def test_columns_can_be_hidden_and_a_download_has_those_shown(
    browser: Browser, report: Path
) -> None:
    browser.open(report)
    browser.click(f"{RANKING} .columns summary")
    browser.click(f"{RANKING} .columns label:nth-child(3)")
    hidden = f"getComputedStyle(document.querySelector('{head(3)}')).display"
    assert browser.run(hidden) == "none"
    text = browser.download(f"{RANKING} [title*=CSV]", "made-sweep-ranking.csv").decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert RATE.rpartition(".")[2] not in rows[0]
    assert [row["trial"] for row in rows] == ["bbb", "ccc", "aaa", "eee", "fff", "ddd"]
    assert rows[0]["final val/loss"] == "2.1" and rows[-1]["final val/loss"] == ""
    assert rows[3]["optimizer_name (own)"] == HOSTILE
    assert rows[4]["optimizer_name (own)"] == f"'{FORMULA}"  # a spreadsheet would compute it


def test_hostile_names_are_text(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser.run("window.resweepDrawAll()")
    assert HOSTILE in column(browser, 4)
    assert browser.run("document.querySelectorAll('img, main script:not([type])').length") == 0
    assert browser.complaints == []


def test_a_comparison_is_filtered_downloaded_and_selects(browser: Browser, report: Path) -> None:
    browser.open(report)
    place = "[data-name=made-rerun-comparison]"
    found = json.loads(browser.download(f"{place} [title*=JSON]", "made-rerun-comparison.json"))
    assert [(row["trial"], row["val/loss in rerun"]) for row in found] == [
        ("bbb", 1.5),
        ("ccc", pytest.approx(1.8)),
    ]
    browser.run(f"document.querySelector('{place} input[type=search]').focus()")
    browser.type("ccc")
    assert column(browser, 3, place) == ["ccc"]
    browser.click(f"{place} tbody td:nth-child(2)")
    chosen = "[...document.querySelectorAll('tr.selected')].map(one => one.dataset.trial)"
    assert set(browser.run(chosen)) == {"03"}  # its best trial in the rerun


def test_the_stages_as_svg_are_light_and_dark(browser: Browser, report: Path) -> None:
    browser.open(report)
    svg = ET.fromstring(browser.download(f"{SAVE_DRAWING}:nth-child(1)", "stages.svg"))
    assert {"sweep", "rerun", "train", "rank"} <= {one.text for one in svg.iter(f"{SVG}text")}
    (style,) = svg.iter(f"{SVG}style")
    assert "prefers-color-scheme: dark" in str(style.text)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_stages_as_png_look_like_the_page(
    browser: Browser, report: Path, scheme: Scheme
) -> None:
    browser.open(report, scheme=scheme)
    png = saved_png(browser, f"{SAVE_DRAWING}:nth-child(2)", "stages.png")
    wide, high = browser.run(
        "(b => [b.width, b.height])(document.querySelector('.drawing svg').getBoundingClientRect())"
    )
    assert png.width > 2 * wide and png.height > 2 * high  # at twice the size, with a margin
    for selector in (".dag .page", ".dag .row", ".dag .box", ".dag .done"):
        assert colour_of(browser, selector, "fill") in colours(png)
    assert png.getpixel((0, 0)) == colour_of(browser, ".card", "backgroundColor")
    assert browser.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_boards_and_images_are_saved_together_with_their_labels(
    browser: Browser, drawn: Path, scheme: Scheme
) -> None:
    browser.open(drawn, scheme=scheme)
    svg = ET.fromstring(browser.download(f"{SAVE_DRAWING}:nth-child(1)", "solved-puzzles.svg"))
    assert len(svg.findall(f".//{SVG}svg")) == 3  # a board, two images
    texts = [" ".join(one.itertext()) for one in svg.iter(f"{SVG}text")]
    assert " ".join(texts[4:]) == f"a heading that is too long for one line {HOSTILE} digit"
    assert texts[:4] == ["1", "2", "3", "4"] and len(texts) > 7  # the heading has several lines
    looks = {one.text: one.attrib for one in svg.iter(f"{SVG}text")}
    assert rgb(looks["1"]["fill"]) == colour_of(browser, ".board text.plain", "fill")
    assert looks["3"]["font-weight"] == "600" and "font-weight" not in looks["4"]
    assert not any("var(" in value for one in svg.iter() for value in one.attrib.values())
    png = saved_png(browser, f"{SAVE_DRAWING}:nth-child(2)", "solved-puzzles.png")
    for selector in (".board rect.given", ".board rect.wrong"):
        assert colour_of(browser, selector, "fill") in colours(png)
    assert {(255, 0, 51), (0, 128, 255)} <= colours(png)  # the images
    assert png.getpixel((0, 0)) == colour_of(browser, ".card", "backgroundColor")
    assert browser.complaints == []
    assert browser.requests == [drawn.as_uri()]


def test_the_saved_svg_looks_like_the_saved_png(browser: Browser, drawn: Path) -> None:
    browser.open(drawn)
    browser.download(f"{SAVE_DRAWING}:nth-child(1)", "solved-puzzles.svg")
    png = saved_png(browser, f"{SAVE_DRAWING}:nth-child(2)", "solved-puzzles.png")
    browser.open(browser.downloads / "solved-puzzles.svg", png.width // 2, png.height // 2)
    picture = browser.downloads / "shown.png"
    browser.picture(picture)
    shown = Image.open(picture).convert("RGB")
    apart = ImageChops.difference(shown, png.resize(shown.size, Image.Resampling.BOX))
    assert max(ImageStat.Stat(apart).mean) < 3  # of 255: edges of letters


def test_images_from_elsewhere_stay_blocked(browser: Browser, drawn: Path, tmp_path: Path) -> None:
    file = tmp_path / "image.png"
    Image.new("RGB", (2, 2)).save(file)
    browser.open(drawn)
    load = "new Promise(done => {{ const one = new Image(); one.onload = () => done('loaded'); "
    load += "one.onerror = () => done('blocked'); one.src = {address}; }})"
    content = base64.b64encode(file.read_bytes()).decode()
    inside, outside = f"data:image/png;base64,{content}", file.as_uri()
    assert browser.run(load.format(address=json.dumps(inside))) == "loaded"
    assert browser.run(load.format(address=json.dumps(outside))) == "blocked"
    assert any("Content Security Policy" in line for line in browser.complaints)


def test_an_estimate_is_marked_in_downloads(browser: Browser, drawn: Path) -> None:
    browser.open(drawn)
    found = json.loads(browser.download("[title*=JSON]", "errors.json"))
    assert found == [
        {"trial": "aaa", "standard error": 0.25, "standard error mark": "estimate"},
        {"trial": "bbb", "standard error": 0.5, "standard error mark": ""},
    ]
    browser.run("document.querySelector('[data-name=errors] input[type=search]').focus()")
    browser.type("bbb")  # the columns do not depend on what is shown
    text = browser.download("[title*=CSV]", "errors.csv").decode()
    assert text == "trial,standard error,standard error mark\r\nbbb,0.5,\r\n"


def test_a_figure_is_saved_as_svg_and_png(browser: Browser, report: Path) -> None:
    browser.open(report)
    name = browser.run(
        "document.querySelector('.chart').closest('.card').querySelector('h3').textContent"
    )
    slug = "-".join(name.lower().replace("/", " ").split())
    svg = browser.download(".save button", f"{slug}.svg")
    assert svg.startswith(b"<svg") and b"<path" in svg
    png = browser.download(".save button:nth-child(2)", f"{slug}.png")
    assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 760, 1280, 2200])
def test_nothing_is_wider_than_the_window(
    browser: Browser, report: Path, width: int, scheme: str
) -> None:
    browser.open(report, width, 800, "dark" if scheme == "dark" else "light")
    assert browser.run("document.documentElement.scrollWidth") <= width
    light = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (min(int(part) for part in light[4:-1].split(",")) > 200) == (scheme == "light")


def test_a_long_table_shows_a_page_at_a_time(browser: Browser, many: Path) -> None:
    browser.open(many)
    place = "[data-name=many]"
    assert column(browser, 2, place) == [f"t{n:04}" for n in range(1, 101)]
    browser.click(f"{place} .pages button:last-child")
    assert column(browser, 2, place)[0] == "t0101"
    status = f"document.querySelector('{place} [role=status]').textContent"
    assert browser.run(status) == "101 to 200 of 1,234 rows"
    browser.click(f"{head(3, place)} button")  # by loss: those that are data come first
    assert column(browser, 2, place)[0] == "t1234"
    links = f"[...document.querySelectorAll('{place} tr:first-child a')].map(one => one.href)"
    assert [link.rpartition("/")[2] for link in browser.run(links)[-3:]] == [
        "config.yaml",
        "metrics.jsonl",
        "train.log",
    ]
    browser.run(f"document.querySelector('{place} input[type=search]').focus()")
    browser.type("t1100")
    assert column(browser, 2, place) == ["t1100"]
    found = json.loads(browser.download(f"{place} [title*=JSON]", "many.json"))
    assert found == [
        {"rank": 1100, "rank mark": "", "trial": "t1100", "loss": 3900, "run": f"{1100:012x}"}
    ]


def test_a_long_table_says_what_it_lacks_without_scripts(many: Path) -> None:
    html = many.read_text()
    assert html.count("<tr data-phase") == MOST_ROWS
    note = html.split("<noscript>")[1].split("</noscript>")[0]
    assert f"first {MOST_ROWS} of 1,234 rows" in note and 'href="sweep/scores.csv"' in note


def test_a_print_has_more_than_a_page_of_rows_and_every_chart(
    browser: Browser, report: Path, many: Path
) -> None:
    browser.open(many)
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert len(column(browser, 2, "[data-name=many]")) == 1000
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert len(column(browser, 2, "[data-name=many]")) == 100
    browser.open(report)
    browser.run("dispatchEvent(new Event('beforeprint')); window.resweepDrawAll()")
    undrawn = "[...document.querySelectorAll('.chart')].filter(one => !one.firstElementChild)"
    assert browser.run(f"{undrawn}.length") == 0
    browser.send("Emulation.setEmulatedMedia", media="print")
    shown = "getComputedStyle(document.querySelector('.tools')).display"
    assert browser.run(shown) == "none"
    browser.send("Emulation.setEmulatedMedia", media="")


def test_a_study_that_is_not_done_says_what_is_to_come(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    layout.phase("made", "rerun").scores.unlink()
    html = render_report(read_study("made", layout), layout)
    assert "not ranked yet: rerun" in html.partition("</header>")[0]


def test_links_lead_to_runs_from_wherever_the_page_is(tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    elsewhere = tmp_path / "pages" / "today"
    elsewhere.mkdir(parents=True)
    html = render_report(read_study("made", layout), layout, elsewhere)
    hrefs = re.findall(r'href="([^"#]*/config.yaml)"', html)
    assert hrefs and all((elsewhere / href).is_file() for href in hrefs)


def test_values_that_json_does_not_know_are_refused() -> None:
    rows = [Row([Cell("nan", float("nan"))])] * (MOST_ROWS + 1)
    with pytest.raises(ValueError, match="JSON"):
        table([Column("a")], rows, TOOLS)


def test_the_first_screen_holds_many_settings_and_whole_lines_of_code(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # paths are as short as those of a study
    draw = random.Random(0)
    sweep = [
        Made(
            f"t{n:02}",
            {RATE: 1e-3 * n, **{f"a_long_hyperparameter_{k}": draw.random() for k in range(9)}},
            2.0 + n / 100,
        )
        for n in range(1, 13)
    ]
    layout = make_study(Path(), sweep=sweep, rerun=[])
    file = layout.study("made").report
    file.write_text(render_report(read_study("made", layout), layout))
    browser.open(file)
    cards = "[...document.querySelectorAll('.first-screen > .card')]"
    ends = browser.run(f"{cards}.map(one => one.getBoundingClientRect().bottom)")
    assert len(ends) == 5 and max(ends) <= 800
    lines = "document.querySelectorAll('.load pre')"
    assert "from_pretrained(" in browser.run(f"{lines}[1].textContent")
    assert browser.run(f"[...{lines}].every(one => one.scrollWidth <= one.clientWidth)")
