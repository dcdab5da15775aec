"""Snakemake's own report of a study: what is in it, under which names, with which captions."""

import json
import re
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, Checkout

CAPTIONS = ROOT / "rules/captions"
WITHOUT_NETWORK = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


def variable(page: str, name: str) -> Any:
    """Read a variable of the page's data."""
    (start,) = re.finditer(rf'<script id="{name}">\s*var {name} = ', page)
    return json.JSONDecoder().raw_decode(page, start.end())[0]


def test_its_files_have_captions_and_stand_under_their_phases(
    built_once: Checkout, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    built_once.run("snakemake", "--report", str(report), env=WITHOUT_NETWORK)
    page = report.read_text()
    own = [f"results/tiny/{name}" for name in ("report.html", "runs.csv", "study.yaml")]
    phases = {
        phase: [f"results/tiny/{phase}/{name}" for name in ("decisions.csv", "scores.csv", best)]
        for phase, best in (
            ("sweep", "top1_best_configs.yaml"),
            ("rerun", "top1_best_configs.yaml"),
        )
    }
    assert variable(page, "categories") == {"tiny": {**phases, "all phases": own}}
    results = variable(page, "results")
    assert results["results/tiny/sweep/top1_best_configs.yaml"]["labels"] == {"file": "the best 1"}
    found = {result["caption"] for result in results.values()}
    assert len(found) == len(list(CAPTIONS.iterdir()))
    assert "best first" in results["results/tiny/rerun/scores.csv"]["caption"]
    assert "results/tiny/report.html" in results["results/tiny/report.html"]["caption"]


def test_each_caption_is_used() -> None:
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    named = set(re.findall(r'caption="captions/(\w+)\.rst"', rules))
    assert named == {path.stem for path in CAPTIONS.iterdir()}
