"""The first screen of a report answers what a reader opens it for, in a window of 1280 x 800.

Each study is trained for real, at toy size. What is read from the window is compared with
scores.csv and runs.csv, as tables: the report's own code takes no part in it.
"""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NOTHING, Checkout, tiny_study
from tests.support.browser import Browser

pytestmark = pytest.mark.xdist_group("first-screen")

WIDTH, HEIGHT = 1280, 800
RANGE = {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2}
BAYES = {
    "method": "bayes",
    "run_cap": 8,
    "seed": 1,
    "metric": {"name": "val/loss", "goal": "minimize"},
    "parameters": {"learning_rate": RANGE, "pct_warmup": {"values": [0.1, 0.3, 0.5]}},
    "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 2},
}
SWEEP = {"name": "sweep", "kind": "sweep", "sweep": "grid"}
RERUN = {"name": "rerun", "kind": "rerun", "of": "sweep", "top": 2, "seeds": [1, 2]}
OWN = {"tracking": {"wandb": "disabled"}, "publish": NOTHING}


# Settings of a training of a second by each system besides the language models.
TINY_SYSTEMS: dict[str, dict[str, Any]] = {
    "pathstar": {"graph_d": 6, "graph_l": 3, "n_layer": 1, "n_head": 2, "n_embd": 8}
    | {"max_steps": 8, "eval_interval": 4, "log_steps": 2},
    "predictive_coding": {"num_blocks": 1, "hidden_size": 8, "num_heads": 2, "inference.steps": 3}
    | {"batch_size": 8, "max_steps": 8, "eval_steps": 4, "log_steps": 2, "eval_sequences": 40},
    "loop_transformer": {"size": 4, "train_puzzles": 40, "test_puzzles": 10, "hidden_size": 8}
    | {"num_heads": 2, "halt_max_steps": 2, "batch_size": 8, "max_steps": 8, "eval_steps": 4}
    | {"log_steps": 2},
}


@dataclass(frozen=True)
class Asked:
    """A study of this file.

    Attributes:
        phases: Of the study.
        decides: The phase whose winner is the study's.
        more: Other keys of the study; without a system, it trains a tiny language model.
    """

    phases: list[dict[str, Any]]
    decides: str
    more: dict[str, Any] = field(default_factory=dict)


STUDIES = {
    "quickstart": Asked([SWEEP, RERUN], "rerun"),
    "tuned": Asked([SWEEP, {"name": "tune", "kind": "finetune", "of": "sweep", "top": 1}], "tune"),
    "adaptive": Asked(
        [
            {"name": "search", "kind": "sweep", "sweep": "bayes", "round_size": 4},
            # Seeds of its own: a run of another study may have lost its weights by then.
            {"name": "rerun", "kind": "rerun", "of": "search", "top": 1, "seeds": [3, 4]},
        ],
        "rerun",
    ),
    # Nothing reads `note`, so the two train the same numbers.
    "tied": Asked(
        [{"name": "sweep", "kind": "sweep", "sweep": "notes"}], "sweep", {"own": ["note"]}
    ),
    **{
        system: Asked(
            [{**SWEEP, "sweep": "rates"}, RERUN],
            "rerun",
            {"system": system, "base": {}, "set": tiny},
        )
        for system, tiny in TINY_SYSTEMS.items()
    },
}


@dataclass
class Window:
    """A study's report as the browser shows it, beside its tables."""

    name: str
    text: str
    browser: Browser
    checkout: Checkout

    @property
    def folder(self) -> Path:
        return self.checkout.path / "results" / self.name

    def card(self, question: str) -> str:
        """The visible text from a question to the next one, on one line."""
        assert self.text.count(question) == 1, (question, self.text)
        return " ".join(re.split(r"\n[^\n]*\?\n", self.text.split(question)[1])[0].split())

    def scores(self, phase: str | None = None) -> list[dict[str, str]]:
        phase = phase or STUDIES[self.name].decides
        return _rows(self.folder / phase / "scores.csv")


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as content:
        return list(csv.DictReader(content))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = Checkout.new(tmp_path_factory.mktemp("first-screen") / "checkout")
    made.write_sweep("grid", learning_rate=[1e-4, 1e-3, 1e-2], pct_warmup=[0.1, 0.3, 0.5])
    made.write_sweep("rates", learning_rate=[1e-4, 1e-2])
    made.write_sweep("notes", note=["one", "other"])
    made.write("config/sweep/bayes.yaml", BAYES)
    for name, asked in STUDIES.items():
        tiny = {} if "system" in asked.more else {**tiny_study(name), "score": {}}
        study = {**tiny, **OWN, **asked.more, "name": name, "phases": asked.phases}
        made.write(f"config/studies/{name}.yaml", study)
    made.write("config/config.yaml", {"studies": list(STUDIES)})
    made.snakemake()
    return made


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


@pytest.fixture(params=STUDIES, scope="module")
def window(request: pytest.FixtureRequest, checkout: Checkout, browser: Browser) -> Window:
    name = request.param
    browser.open(checkout.path / f"results/{name}/report.html", WIDTH, HEIGHT)
    return Window(name, browser.visible_text(), browser, checkout)


def test_the_best_configuration_is_named_with_its_value(window: Window) -> None:
    first = window.scores()[0]
    card = window.card("Which configuration is best?")
    swept = {k: v for k, v in window.scores(window_search(window))[0].items() if "." in k}
    for path in swept:
        value = first.get(path) or chosen(window)[path]
        if path not in ("training.seed", "run.checkpoint"):
            assert f"{path.rpartition('.')[2]} {float(value):.4g}" in card
    assert shows(card, float(first["final_mean"]))
    assert f"trial {first['trial']}" in card.lower()
    if first["final_std"]:
        spread = card.partition("±")[2]
        assert shows(spread, float(first["final_std"])) and f"{first['seeds']} seeds" in card


def shows(text: str, value: float) -> bool:
    """Whether a text has a number, rounded to four decimals or more."""
    numbers = re.findall(r"\d+\.\d{4,}", text)
    return any(
        abs(float(one) - abs(value)) <= 0.51 * 10 ** -len(one.partition(".")[2]) for one in numbers
    )


def window_search(window: Window) -> str:
    """The first phase: the search that varies the hyperparameters."""
    return str(STUDIES[window.name].phases[0]["name"])


def chosen(window: Window) -> dict[str, str]:
    """The row of the search whose run the winner starts from."""
    run = window.scores()[0]["run.checkpoint"].partition("/")[0]
    return next(row for row in window.scores(window_search(window)) if row["run_id"] == run)


def test_how_sure_that_is_agrees_with_the_ties(window: Window) -> None:
    rows, card = window.scores(), window.card("How sure is that?")
    ties = {row["tie"] for row in rows if row["rank"] != "1" and row["score"]}
    if not ties:
        assert "no rival" in card and "nothing to compare it with" in card
    elif "yes" in ties:
        tied = len({row["rank"] for row in rows if row["tie"] == "yes"})
        assert re.search(rf"\btie with {tied} other", card)
    elif ties == {"no"}:
        assert "clear winner" in card or "ahead, one seed" in card
    else:
        assert "not known" in card
    others = [row for row in rows if row["rank"] == "2" and row["score"]]
    if others:
        gap = abs(float(others[0]["final_mean"]) - float(rows[0]["final_mean"]))
        assert f"trial {others[0]['trial']}" in card
        assert shows(card, gap) if gap else "the same value" in card


def test_what_mattered_is_said_of_each_hyperparameter(window: Window) -> None:
    rows, card = window.scores(window_search(window)), window.card("What mattered most?")
    varied = [
        path
        for path in rows[0]
        if ("." in path or path == "note") and len({row[path] for row in rows}) > 1
    ]
    if len(varied) == 1:
        assert f"Only {varied[0].rpartition('.')[2]} was varied" in card
    elif "random order" not in card:
        shares = {path: re.search(rf"{path.rpartition('.')[2]} (\d+)%", card) for path in varied}
        assert all(shares.values()), card
        total = sum(int(share[1]) for share in shares.values() if share)
        assert 98 <= total <= 102


def test_what_it_cost_is_that_of_the_tables(window: Window) -> None:
    card = window.card("What did it cost?")
    phases = [phase["name"] for phase in STUDIES[window.name].phases]
    rows = [row for phase in phases for row in window.scores(phase)]
    assert f"{len(rows)} trials" in card
    runs = {row["run_id"]: int(row["total_steps"]) for row in _rows(window.folder / "runs.csv")}
    assert f"{sum(runs.values()):,} training steps" in card
    stopped = sum(row["status"] == "stopped" for row in rows)
    if stopped:
        assert f"Stopping {stopped} trainings early saved" in card
    else:
        assert "No training was stopped early" in card
    assert (window.name == "adaptive") == bool(stopped)


def test_the_weights_are_where_it_says_and_load(
    window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = window.card("How do I load it?")
    first = window.scores()[0]
    path = f"results/{window.name}/{STUDIES[window.name].decides}/models/{first['trial']}"
    assert path in card
    assert (window.checkout.path / path / "config.json").is_file()
    shown = window.browser.run(
        "[...document.querySelectorAll('.load pre')].map(one => one.textContent)"
    )
    assert shown[0] == path
    if window.name == "quickstart":
        monkeypatch.chdir(window.checkout.path)
        loaded: dict[str, Any] = {}
        exec(shown[1], loaded)
        size = sum(one.numel() for one in loaded["model"].parameters())
        assert size == int(float(first["parameters"]))


def test_every_chart_is_drawn_without_complaint_or_request(window: Window) -> None:
    window.browser.run("window.resweepDrawAll()")
    undrawn = window.browser.run(
        "[...document.querySelectorAll('.chart')]"
        ".filter(one => !one.querySelector('svg, canvas')).map(one => one.id)"
    )
    assert undrawn == []
    assert window.browser.run("document.querySelectorAll('.chart').length") > 0
    assert window.browser.complaints == []
    assert window.browser.requests == [(window.folder / "report.html").as_uri()]


def test_links_to_the_files_of_runs_lead_to_them(window: Window) -> None:
    hrefs = window.browser.run(
        "[...document.querySelectorAll('.table a')].map(one => one.getAttribute('href'))"
    )
    kept = [href for href in hrefs if href.startswith("../runs/")]
    assert len(kept) >= 3 * len(window.scores())
    assert [href for href in hrefs if not (window.folder / href).is_file()] == []


def test_a_tie_is_a_tie(checkout: Checkout, browser: Browser) -> None:
    browser.open(checkout.path / "results/tied/report.html", WIDTH, HEIGHT)
    assert re.search(r"\btie\b", browser.visible_text())
    marks = browser.run(
        "[...document.querySelectorAll('.table tr .mark')].map(one => one.textContent)"
    )
    assert marks == ["tie", "tie"]


def test_downloads_have_what_scores_have(checkout: Checkout, browser: Browser) -> None:
    browser.open(checkout.path / "results/quickstart/report.html", WIDTH, HEIGHT)
    text = browser.download(
        "[data-name=quickstart-rerun-ranking] [title*=JSON]", "quickstart-rerun-ranking.json"
    )
    rows = _rows(checkout.path / "results/quickstart/rerun/scores.csv")
    found = json.loads(text)
    assert [(row["trial"], row["final val/loss"]) for row in found] == [
        (row["trial"], float(row["final"])) for row in rows
    ]
