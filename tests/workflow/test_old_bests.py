"""A better configuration falls out of a rerun: its weights stay, it is named, and it comes back."""

import json
import re
import shlex
from typing import Any

import pytest

from tests.conftest import Checkout

# After 10 steps, the low rate is better by far than the high one; after 40 steps, worse by far. The
# wild one is worse than either after 10.
SLOW, COPY, WILD = 0.9, 1e-3, 3.0


def rerun(top: int) -> list[dict[str, Any]]:
    sweep = {"name": "sweep", "kind": "sweep", "sweep": "rates", "set": {"training.max_steps": 10}}
    again = {"kind": "rerun", "of": "sweep", "top": top, "set": {"training.max_steps": 40}}
    return [sweep, {"name": "rerun", **again}]


def write(checkout: Checkout, rates: list[float], top: int) -> None:
    checkout.write_sweep(learning_rate=rates)
    checkout.write_study(phases=rerun(top), score={}, publish={"configs": False, "models": "best"})


def weights(checkout: Checkout) -> set[str]:
    return {path.parent.name for path in checkout.path.glob("results/runs/*/checkpoint_40")}


def best(checkout: Checkout) -> tuple[str, float]:
    """The run of the best rerun, and its loss."""
    records = (checkout.path / "results/tiny/rerun/models").iterdir()
    (trial,) = [link.name for link in records if not link.name.startswith(".")]
    record = checkout.record("tiny", "rerun", trial)
    return record["run_id"], record["metrics"]["val/loss"]


def stamp(checkout: Checkout) -> dict[str, Any]:
    return dict(json.loads((checkout.path / "results/tiny/artifacts/rerun-model.json").read_text()))


def summary(checkout: Checkout) -> str:
    return checkout.run("python", "workflow/scripts/summarize.py", "tiny").stdout


def better_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if "is in the store (" in line]


def test_a_better_best_is_kept_named_published_again_and_dropped(checkout: Checkout) -> None:
    write(checkout, [SLOW, WILD], top=1)
    checkout.snakemake()
    better, value = best(checkout)
    assert stamp(checkout)["version"] == "v0" and "better" not in stamp(checkout)

    write(checkout, [SLOW, COPY], top=1)
    output = checkout.snakemake().stdout
    worse, now = best(checkout)
    assert worse != better and now > value
    assert weights(checkout) == {better, worse}
    named = (f"{value:.4f}", f"{now:.4f}", f"learning_rate {SLOW}", f"runs/{better}/checkpoint_40")
    said = better_lines(output)
    assert len(said) == 2  # by the ranking, and by publishing
    shown = summary(checkout)
    (line,) = better_lines(shown)
    page = (checkout.path / "results/tiny/report.html").read_text()
    for text in (*said, line, page):
        assert all(part in text for part in named)
    made = stamp(checkout)
    assert (made["version"], made["metadata"]["run_id"]) == ("v1", worse)
    assert (made["better"]["run_id"], made["better"]["best_now"]) == (better, now)
    audit = checkout.run("python", "workflow/scripts/audit.py", "tiny").stdout
    for text in (shown, audit):
        (kept,) = [line for line in text.splitlines() if line.startswith("older bests: ")]
        named = ("1 published", "B; ", "resweep forget old-best --study tiny")
        assert all(part in kept for part in named)

    assert "top: 2 in phase rerun" in line
    (command,) = re.findall(r"`(python [^`]+)`", line)
    assert "rerun-model: v0" in checkout.run(*shlex.split(command)).stdout
    assert stamp(checkout)["version"] == "v0"

    forget = ("python", "workflow/scripts/forget.py", "old-best", "--study", "tiny")
    assert "--published" in checkout.run(*forget).stdout and weights(checkout) == {better, worse}
    assert better in checkout.run(*forget, "--published").stdout
    assert weights(checkout) == {worse}
    again = (*forget[:2], "--dry-run", *forget[2:], "--published")
    assert checkout.run(*again).stdout == "nothing to forget\n"


@pytest.mark.long
def test_a_better_best_is_ranked_again_by_a_larger_top(checkout: Checkout) -> None:
    write(checkout, [SLOW, WILD], top=1)
    checkout.snakemake()
    first = best(checkout)
    write(checkout, [SLOW, COPY, COPY + 1e-5], top=2)
    checkout.snakemake()
    (line,) = better_lines(summary(checkout))
    assert "top: 3 in phase rerun" in line
    (command,) = re.findall(r"`(python [^`]+)`", stamp(checkout)["better"]["text"])
    assert "rerun-model: v0" in checkout.run(*shlex.split(command)).stdout
    trainings = checkout.trainings()
    write(checkout, [SLOW, COPY, COPY + 1e-5], top=3)
    checkout.snakemake()
    assert best(checkout) == first and not better_lines(summary(checkout))
    assert stamp(checkout)["version"] == "v0" and "better" not in stamp(checkout)
    assert checkout.trainings() == trainings  # served by the store
