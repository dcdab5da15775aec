"""A study of all phases in one call: search, resample, rerun, fine-tuning, publishing, report."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.json_files import write_json
from resweep.paths import Layout
from resweep.publish.verify import verify_artifacts
from resweep.report.follows import replay_study
from resweep.report.integrity import find_damage
from resweep.report.spent import find_spent
from resweep.study.load import load_study
from tests.conftest import Checkout
from tests.support.all_phases import AFTER, PHASES, make_files, write_study
from tests.support.files import contents

pytestmark = pytest.mark.xdist_group("all-phases")


def records(checkout: Checkout, phase: str) -> dict[str, dict[str, Any]]:
    """The records of a phase's trials."""
    folder = checkout.path / f"results/tiny/{phase}/records"
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


def runs(checkout: Checkout, phase: str) -> set[str]:
    """The runs of a phase."""
    return {str(record["run_id"]) for record in records(checkout, phase).values()}


def scores(checkout: Checkout, phase: str) -> list[dict[str, str]]:
    """The ranking of a phase."""
    with (checkout.path / f"results/tiny/{phase}/scores.csv").open() as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The study after one call; not to be changed."""
    made = Checkout.new(tmp_path_factory.mktemp("all-phases") / "checkout")
    make_files(made)
    made.snakemake()
    return made


def test_one_call_does_all_of_it(finished: Checkout) -> None:
    results = finished.path / "results/tiny"
    assert {name: len(records(finished, name)) for name in PHASES} == {
        **{"search": 6, "focus": 2},
        **{"rerun": 3, "tune": 2},
    }
    statuses = [record["status"] for record in records(finished, "search").values()]
    assert set(statuses) == {"finished", "stopped"}
    stamps = {path.name for path in (results / "artifacts").glob("*.json")}
    of_study = {f"tiny-{kind}.json" for kind in ("scores", "report", "code")}
    assert stamps == {"rerun-configs.json", "tune-configs.json", "tune-model.json"} | of_study
    assert "tune" in (results / "report.html").read_text()


def test_a_fine_tuning_starts_from_the_best_rerun(finished: Checkout) -> None:
    (start,) = yaml12.load(finished.path / "results/tiny/tune/starts.yaml")
    best = scores(finished, "rerun")[0]
    assert (start["phase"], start["trial"]) == ("rerun", best["trial"])
    (trial, *_) = sorted(finished.path.glob("results/tiny/tune/trials/*.yaml"))
    config = yaml12.load_mapping(trial)["config"]
    assert config["run"]["checkpoint"] == f"{best['run_id']}/{best['step']}"
    assert config["model"]["n_layer"] == int(float(best["model.n_layer"]))


def test_it_measures_what_is_forgotten(finished: Checkout) -> None:
    best = scores(finished, "rerun")[0]
    for record in records(finished, "tune").values():
        run = finished.path / "results/runs" / record["run_id"]
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        losses = {line["step"]: line.get("first_data/loss") for line in lines}
        # Before, the weights are those of the rerun, and so is their loss on its data.
        assert losses[0] == pytest.approx(float(best["final"]), rel=1e-6)
        assert losses[8] == record["metrics"]["first_data/loss"] != losses[0]
    summary = finished.run("python", "workflow/scripts/summarize.py", "tiny").stdout
    assert f"{float(best['final']):.4f} before" in summary


def test_each_choice_follows_from_the_records(
    finished: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = finished.copy(tmp_path / "checkout")
    monkeypatch.chdir(made.path)
    layout = Layout(Path("results"), read_only=True)
    study = load_study(Path("config/studies/tiny.yaml"))
    before = contents(Path("results"))
    replayed = list(replay_study(study, layout))
    assert [(one.phase, one.differs) for one in replayed] == [(name, ()) for name in PHASES]
    assert list(find_damage(study, layout)) == []
    assert list(verify_artifacts(Path("results/tiny"))) == []
    assert contents(Path("results")) == before
    spent = find_spent(study, layout)["search"]
    assert spent.planned == spent.steps + spent.by_rungs.steps == 20 * spent.runs

    points = Path("results/tiny/search/rounds/r02.json")
    content = json.loads(points.read_text())
    del content["checksum"]
    content["points"][0]["training.learning_rate"] *= 2
    write_json(points, content)
    decided = Path("results/tiny/search/decisions/r01_b1.csv")
    decided.write_text(decided.read_text().replace("promote", "stop", 1))
    starts = Path("results/tiny/tune/starts.yaml")
    starts.write_text(starts.read_text().replace("trial: '01'", "trial: '02'"))
    chosen = Path("results/tiny/rerun/chosen_configs.yaml")
    chosen.write_text(chosen.read_text().replace("n_layer: ", "n_layer: 1"))
    found = {one.phase: one.differs for one in replay_study(study, layout)}
    named = {
        "search": (points, decided, Path("results/tiny/search/decisions.csv")),
        "rerun": (chosen,),
        "tune": (starts,),
    }
    for phase, files in named.items():
        for file in files:
            assert any(line.startswith(f"{file}: ") for line in found[phase]), (file, found)
    assert any(line.startswith(f"{decided}: ") for line in find_damage(study, layout))


def test_a_second_call_runs_nothing_also_from_a_copy(finished: Checkout, tmp_path: Path) -> None:
    for made in (finished, finished.copy(tmp_path / "copy")):
        assert "Nothing to be done" in made.snakemake().stdout


@pytest.mark.parametrize(
    ("phase", "changes", "new"),
    [
        ("search", {"trials": 7}, 1),
        ("focus", {"factors": {"learning_rate": [0.8, 1.25]}}, 2),
        ("rerun", {"seeds": [1, 2, 3, 4]}, 1),
        ("tune", {"seeds": [5]}, 2),
    ],
)
def test_a_change_of_a_phase_trains_only_what_depends_on_it(
    finished: Checkout, tmp_path: Path, phase: str, changes: dict[str, Any], new: int
) -> None:
    made = finished.copy(tmp_path / "checkout")
    before, known = made.trainings(), {name: runs(made, name) for name in PHASES}
    write_study(made, **{phase: changes})
    made.snakemake()
    trained = {run for run, count in made.trainings().items() if count != before.get(run)}
    later = list(PHASES)[len(PHASES) - AFTER[phase] :]
    assert trained <= set().union(*(runs(made, name) for name in later))
    assert len(trained & runs(made, phase)) == new
    for name in set(PHASES) - {*later}:
        assert runs(made, name) == known[name]
    assert "Nothing to be done" in made.snakemake().stdout


@pytest.mark.parametrize("phase", PHASES)
def test_the_best_of_every_phase_feeds_every_script(
    finished: Checkout, tmp_path: Path, phase: str
) -> None:
    made = finished.copy(tmp_path / "checkout")
    best = f"results/tiny/{phase}/top1_best_configs.yaml"
    made.snakemake(best)
    rerun = ("workflow/scripts/rerun_best_hyperparams.py", "--best-yaml", best, "--study", "tiny")
    made.run("python", *rerun, "--save-config-dir", "configs", "--create-only")
    (config,) = made.path.glob("configs/rank1_*.yaml")
    listed = yaml12.load(made.path / best)[0]
    assert yaml12.load_mapping(config)["training"]["learning_rate"] == listed["learning_rate"]
    focus = ("workflow/scripts/sweep_resample_focused.py", "--best-yaml", best, "--study", "tiny")
    made.run("python", *focus, "--n-points-per-best", "2", "--create-only")
    made.run("python", *rerun, "--save-config-dir", "seeds", "--seeds", "1", "2", "--create-only")
    assert len(list(made.path.glob("seeds/rank1_*.yaml"))) == 2
    upload = ("workflow/scripts/upload_rerun_configs.py", "--config-dir", "configs")
    made.run("python", *upload, "--best-yaml", best, "--artifact-name", "mine", "--project", "p")
    assert (made.path / "results/artifacts/mine.json").exists()
