"""The studies of config/studies: what each trains, counted by hand, and how README.md lists it."""

import re
from collections import Counter
from dataclasses import dataclass, field

import pytest

from tests.conftest import ROOT, Checkout
from tests.workflow.search_files import audited
from tests.workflow.test_rebuild import jobs

STUDIES = sorted(path.stem for path in (ROOT / "config/studies").glob("*.yaml"))


@dataclass(frozen=True)
class Planned:
    """What a phase trains.

    Attributes:
        trials: Its slots.
        steps: The most that are trained.
        parts: Trials of each round and rung; none: all of them at once.
    """

    trials: int
    steps: int
    parts: dict[str, int] = field(default_factory=dict)


HALVED = {"r01_b1": 8, "r01_b2": 8 // 3 + 1, "r02_b1": 8, "r02_b2": 8 // 3 + 1}
PLANS = {
    "adaptive": {
        "search": Planned(16, 2 * (8 * 100 + 3 * 100), HALVED),
        "rerun": Planned(2, 2 * 200),
    },
    "coarse-to-fine": {
        "coarse": Planned(16, 16 * 200),
        "fine": Planned(16, 16 * 200, {"r01": 8, "r02": 8}),
        "rerun": Planned(2 * 3, 2 * 3 * 800),
    },
    "digits": {
        "depth": Planned(4 * 5, 4 * 5 * 200),
        "sparsity": Planned(2 * 5, 2 * 5 * 200),
    },
    "grid-search": {"sweep": Planned(3 * 2, 3 * 2 * 200)},
    "hyperband": {
        "sweep": Planned(
            27,
            27 * 100 + 10 * 200 + 4 * 100,
            {"b1": 27, "b2": 27 // 3 + 1, "b3": 10 // 3 + 1},
        )
    },
    "pretrain-finetune": {
        "search": Planned(16, 2 * (8 * 100 + 3 * 100), HALVED),
        "focus": Planned(8, 8 * 200, {"r01": 4, "r02": 4}),
        "rerun": Planned(2 * 3, 2 * 3 * 800),
        "finetune": Planned(3, 3 * 100),
    },
    "production": {
        "sweep": Planned(100, 100 * 500),
        "rerun": Planned(5 * 3, 5 * 3 * 1500),
    },
    "quickstart": {
        "sweep": Planned(4 * 2, 4 * 2 * 300),
        "rerun": Planned(2 * 2, 2 * 2 * 600),
    },
    "random-search": {"sweep": Planned(24, 24 * 200)},
    "sudoku-4x4": {
        "sweep": Planned(2 * 2, 2 * 2 * 1500),
        "rerun": Planned(2, 2 * 1500),
    },
    "sudoku-9x9": {
        "sweep": Planned(12, 12 * 10_000 + 5 * 10_000, {"b1": 12, "b2": 12 // 3 + 1}),
        "rerun": Planned(2, 2 * 60_000),
    },
    "warm-start": {
        "sweep": Planned(8, 8 * 200),
        "search": Planned(8, 8 * 200, {"r01": 8}),
    },
}


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The shipped studies, without any results."""
    return Checkout.new(tmp_path_factory.mktemp("shipped") / "checkout")


def trainings_of(audit: str) -> tuple[int, Counter[str]]:
    """Read how many training jobs an audit counts, and the trials of each of their rules.

    The packs of a rule count as one.
    """
    number = re.search(r"^(?:at most )?(\d+) training jobs?:$", audit, re.M)
    assert number is not None
    trials = Counter[str]()
    for rule, count in re.findall(r"^  train_(\w+?)(?:_p\d+)? +(\d+) of \d+ trials?", audit, re.M):
        trials[rule] += int(count)
    return int(number[1]), trials


@pytest.mark.parametrize("name", STUDIES)
def test_a_shipped_study_plans_what_it_says(name: str, untrained: Checkout) -> None:
    plan = untrained.snakemake("--dry-run", "--config", f"study={name}").stdout
    audit = untrained.run("python", "workflow/scripts/audit.py", name, "--trials").stdout
    assert "warning:" not in plan + audit
    counted = {
        phase: (counts["trials"], counts["steps"])
        for phase, counts in audited(untrained, name).items()
    }
    assert counted == {phase: (of.trials, of.steps) for phase, of in PLANS[name].items()}
    number, trainings = trainings_of(audit)
    assert trainings == {
        f"{phase}_{part}".removesuffix("_"): trials
        for phase, of in PLANS[name].items()
        for part, trials in (of.parts or {"": of.trials}).items()
    }
    assert number == sum(n for rule, n in jobs(plan).items() if rule.startswith("train_"))


def test_the_readme_lists_every_study_with_its_cost() -> None:
    section = (ROOT / "README.md").read_text().partition("## Studies to start from\n")[2]
    rows = re.findall(r"^\| `([\w-]+)` \| .+ \| (\d+) \| ([\d,]+) \|$", section, re.M)
    assert sorted(name for name, _, _ in rows) == STUDIES
    for name, trials, steps in rows:
        assert int(trials) == sum(of.trials for of in PLANS[name].values()), name
        assert int(steps.replace(",", "")) == sum(of.steps for of in PLANS[name].values()), name
