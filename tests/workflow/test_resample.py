"""A resample in a study: rounds near the best of a sweep, and a rerun of what came out."""

import csv
import json
import re
from typing import Any

import pytest

from resweep import yaml12
from tests.conftest import Checkout

PHASES: list[dict[str, Any]] = [
    {"name": "sweep", "kind": "sweep", "sweep": "rates"},
    {"name": "focus", "kind": "resample", "of": "sweep", "top": 2, "trials": 4, "rounds": 2},
    {"name": "rerun", "kind": "rerun", "of": ["sweep", "focus"], "top": 2, "seeds": [1, 2]},
]
RATES = [1e-5, 1e-3, 3e-3]


@pytest.fixture(scope="module")
def resampled(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The study, built; not to be changed."""
    made = Checkout.new(tmp_path_factory.mktemp("resample") / "checkout")
    made.write_sweep(learning_rate=RATES)
    made.write_study(phases=PHASES[:2])
    made.snakemake()
    return made


def rows(checkout: Checkout, phase: str) -> list[dict[str, str]]:
    """The ranking of a phase."""
    with (checkout.path / f"results/tiny/{phase}/scores.csv").open() as lines:
        return list(csv.DictReader(lines))


def rates(checkout: Checkout, phase: str) -> dict[str, float]:
    """The learning rate of each trial of a phase, the best first."""
    return {row["trial"]: float(row["training.learning_rate"]) for row in rows(checkout, phase)}


def test_its_trials_lie_around_the_best(resampled: Checkout) -> None:
    tried, focused = rates(resampled, "sweep"), rates(resampled, "focus")
    assert sorted(focused) == ["r01-01", "r01-02", "r02-01", "r02-02"]
    centres = list(tried.values())[:2]
    for rate in focused.values():
        assert rate not in RATES
        assert any(centre / 2 <= rate <= 2 * centre for centre in (*centres, *focused.values()))


def test_a_second_call_runs_nothing(resampled: Checkout) -> None:
    assert "Nothing to be done" in resampled.snakemake().stdout


def test_a_change_of_it_and_a_rerun_leave_the_sweep_alone(
    resampled: Checkout, tmp_path: Any
) -> None:
    made = resampled.copy(tmp_path / "checkout")
    before = made.trainings()
    focus = {**PHASES[1], "factors": {"learning_rate": [0.8, 1.25]}, "adaptive": True}
    made.write_study(phases=[PHASES[0], focus, PHASES[2]])
    made.snakemake()
    new = made.trainings().keys() - before.keys()
    assert 0 < len(new) <= 8  # four of the resample, and the two best of all with two seeds
    assert all(made.trainings()[run] == count for run, count in before.items())
    best = next(iter(rates(made, "sweep").values()))
    focused = rates(made, "focus")
    assert 0.8 * best <= focused["r01-01"] <= 1.25 * best
    finals = {
        rate: float(row["final"])
        for phase in ("sweep", "focus")
        for rate, row in zip(rates(made, phase).values(), rows(made, phase), strict=True)
    }
    assert set(rates(made, "rerun").values()) == set(sorted(finals, key=finals.__getitem__)[:2])
    assert "Nothing to be done" in made.snakemake().stdout
    audit = made.run("python", "workflow/scripts/audit.py", "tiny").stdout
    assert re.search(r"^total +11 +11 +0$", audit, re.M), audit


def test_a_rerun_of_distinct_configurations_is_planned_from_the_ranking(
    resampled: Checkout, tmp_path: Any
) -> None:
    made = resampled.copy(tmp_path / "checkout")
    rerun = {**PHASES[2], "of": "sweep", "distinct": 0.6, "seeds": [1]}
    made.write_study(phases=[PHASES[0], rerun])
    jobs = made.snakemake("-n").stdout
    assert re.search(r"^plan_rerun +1$", jobs, re.M)
    trials = [f"results/tiny/rerun/trials/{slot}.yaml" for slot in ("01", "02")]
    made.snakemake(*trials)
    # On the log scale, the two larger rates are 0.19 apart, and both far from the smallest.
    first, *others = rates(made, "sweep").values()
    second = next(rate for rate in others if (rate < 1e-4) != (first < 1e-4))
    planned = [yaml12.load_mapping(made.path / trial)["assignments"] for trial in trials]
    assert [trial["training.learning_rate"] for trial in planned] == [first, second]
    chosen = yaml12.load(made.path / "results/tiny/rerun/chosen_configs.yaml")
    assert [one["learning_rate"] for one in chosen] == [first, second]


def test_a_resample_after_a_rerun_leaves_the_winner_to_the_rerun(
    resampled: Checkout, tmp_path: Any
) -> None:
    made = resampled.copy(tmp_path / "checkout")
    rerun = {**PHASES[2], "of": "sweep", "top": 1, "seeds": [1]}
    publish = {"configs": False, "models": "best", "scores": False, "report": False, "code": False}
    made.write_study(phases=[PHASES[0], rerun, PHASES[1]], publish=publish)
    made.snakemake()
    (winner,) = rows(made, "rerun")
    (stamp,) = made.path.glob("results/tiny/artifacts/*.json")
    assert stamp.name == "rerun-model.json"
    published = json.loads(stamp.read_text())["metadata"]["run_id"]
    assert published == made.record("tiny", "rerun", winner["trial"])["run_id"]
    claims = made.path.glob("results/runs/*/claims/best/tiny.json")
    assert published in {claim.parents[2].name for claim in claims}
    summary = made.run("python", "workflow/scripts/summarize.py", "tiny").stdout
    assert "\nwinner: rank 1 of rerun" in summary
    assert f"\nmodel: results/tiny/rerun/models/{winner['trial']}\n" in summary
