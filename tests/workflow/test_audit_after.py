"""The audit of a built study: what it spent, its integrity, its replay, why its runs are there."""

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resweep import yaml12
from resweep.paths import Layout
from resweep.report.after import drift_lines, spent_lines, unused_lines
from resweep.report.follows import replay_study
from resweep.report.integrity import find_damage
from resweep.report.meant import find_meant
from resweep.report.spent import find_spent
from resweep.report.why_text import why_lines
from resweep.study.load import load_study
from resweep.study.study import Study
from resweep.trials.record import read_record, write_record
from tests.conftest import Checkout
from tests.support.files import contents

LAYOUT = Layout(Path("results"), read_only=True)
STUDY = Path("config/studies/tiny.yaml")


@pytest.fixture(scope="module")
def copied(built_once: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of the built study; each test leaves it as it was."""
    return built_once.copy(tmp_path_factory.mktemp("after") / "checkout")


@pytest.fixture
def study(copied: Checkout, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    """The built study, in its checkout, whose results are put back after the test."""
    monkeypatch.chdir(copied.path)
    kept = copied.path.parent / "kept"
    if not kept.exists():
        shutil.copytree("results", kept, symlinks=True)
    yield load_study(STUDY)
    shutil.rmtree("results")
    shutil.copytree(kept, "results", symlinks=True)


def damage(study: Study) -> list[str]:
    return list(find_damage(study, LAYOUT))


def differs(study: Study) -> dict[str, list[str]]:
    """What does not follow, by phase."""
    return {one.phase: list(one.differs) for one in replay_study(study, LAYOUT)}


def ranking(phase: str) -> list[dict[str, str]]:
    with Path(f"results/tiny/{phase}/scores.csv").open() as lines:
        return list(csv.DictReader(lines))


def run_of(phase: str, rank: int = 0) -> Path:
    """The run of a trial, by its place in the ranking."""
    return Path("results/runs", ranking(phase)[rank]["run_id"])


def replace_text(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


def flip(path: Path) -> Path:
    """Change one byte, and neither size nor date."""
    status, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()  # a published copy may be the same file
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return path


def test_a_sound_study_is_sound_follows_and_stays_as_it_is(study: Study) -> None:
    before = contents(Path("results"))
    assert damage(study) == []
    assert differs(study) == {"sweep": [], "rerun": []}
    spent = find_spent(study, LAYOUT)
    assert [one.trials for one in spent.values()] == [2, 2]
    assert all(one.planned == one.steps == 20 * one.runs for one in spent.values())
    assert all(one.training_seconds > 0 and one.gpu_seconds == 0 for one in spent.values())
    lines = [*spent_lines(study, LAYOUT), *drift_lines(study, LAYOUT), *unused_lines(LAYOUT)]
    assert not any("changed since" in line for line in lines)
    assert contents(Path("results")) == before


def checkpoint() -> Path:
    return flip(next(run_of("rerun").glob("checkpoint_*")) / "model.safetensors").parent


def curve() -> Path:
    return replace_text(run_of("sweep") / "metrics.jsonl", '"step": 5', '"step": 6')


def record_of_store() -> Path:
    file = next((run_of("sweep") / "records").glob("*.json"))
    replace_text(file, '"step": 20', '"step": 19')
    return Path("results/tiny/sweep/records", f"{ranking('sweep')[0]['trial']}.json")


def state() -> Path:
    return replace_text(run_of("sweep") / "record.json", '"step": 20', '"step": 21')


def config() -> Path:
    return replace_text(run_of("sweep") / "config.yaml", "n_layer: 1", "n_layer: 2")


def data() -> Path:
    (file,) = Path("results/data").glob("*/train.bin")
    return flip(file)


def stamp() -> Path:
    (file,) = Path("results/tiny/data").glob("*.json")
    return replace_text(file, '"digest": "', '"digest": "0')


def described() -> Path:
    return replace_text(
        Path("results/tiny/study.yaml"), "tolerate_failures: 0", "tolerate_failures: 1"
    )


def trial() -> Path:
    file = Path("results/tiny/rerun/trials/01.yaml")
    return replace_text(file, "seed: 1", "seed: 3")


def scores() -> Path:
    rows = ranking("rerun")
    return replace_text(Path("results/tiny/rerun/scores.csv"), rows[0]["run_id"], rows[1]["run_id"])


def pack() -> Path:
    file = next(Path("results/tiny").glob("*/packs/*.json"))
    return replace_text(file, '"phase": "', '"phase": "x')


def renamed_pack() -> Path:
    file = next(Path("results/tiny").glob("*/packs/*.json"))
    return file.rename(file.with_name("0123456789abcdef.json"))


def table() -> Path:
    rows = ranking("sweep")
    return replace_text(Path("results/tiny/runs.csv"), f",{rows[0]['final']},", ",1.5,")


def model() -> Path:
    shutil.rmtree(next(run_of("rerun").glob("checkpoint_*")))
    return Path("results/tiny/rerun/models", ranking("rerun")[0]["trial"])


def no_state() -> Path:
    path = run_of("sweep") / "record.json"
    path.unlink()
    return path


def no_table() -> Path:
    path = Path("results/tiny/runs.csv")
    path.unlink()
    return path


def link() -> Path:
    path = Path("results/tiny/sweep/records", f"{ranking('sweep')[0]['trial']}.json")
    shutil.rmtree(run_of("sweep"))
    return path


@pytest.mark.parametrize(
    "tamper",
    [
        checkpoint, curve, record_of_store, state, config, data, stamp, described, trial, scores,
        pack, renamed_pack, table, model, no_state, no_table, link,
    ],
)  # fmt: skip
def test_each_damaged_file_is_named_with_its_fix(study: Study, tamper: Callable[[], Path]) -> None:
    path = tamper()
    found = damage(study)
    assert any(line.startswith(f"{path}: ") and "; " in line for line in found), found


def edited_scores() -> tuple[str, Path]:
    rows = ranking("sweep")
    file = Path("results/tiny/sweep/scores.csv")
    return "sweep", replace_text(file, f",{rows[0]['score']},", f",{float(rows[0]['score']) + 1},")


def edited_list() -> tuple[str, Path]:
    file = Path("results/tiny/sweep/top1_best_configs.yaml")
    (best,) = yaml12.load(file)
    file.write_text(yaml12.dump([{**best, "learning_rate": 0.5}]))
    return "sweep", file


def edited_slot() -> tuple[str, Path]:
    shutil.copy("results/tiny/rerun/trials/02.yaml", "results/tiny/rerun/trials/01.yaml")
    return "rerun", Path("results/tiny/rerun/trials/01.yaml")


def edited_decisions() -> tuple[str, Path]:
    return "sweep", replace_text(Path("results/tiny/sweep/decisions.csv"), ",prune,", ",none,")


def other_model() -> tuple[str, Path]:
    folder = Path("results/tiny/sweep/models")
    (kept,) = (path for path in folder.iterdir() if not path.name.startswith("."))
    place = folder / ranking("sweep")[1]["trial"]
    kept.rename(place)
    return "sweep", place


def other_value() -> tuple[str, Path]:
    """A record whose value was made better, with a checksum that fits."""
    trial = ranking("sweep")[1]["trial"]
    file = Path("results/tiny/sweep/records", f"{trial}.json").resolve()
    record = read_record(file)
    write_record(file, replace(record, metrics={**record.metrics, "val/loss": 0.5}))
    return "sweep", Path("results/tiny/sweep/scores.csv")


@pytest.mark.parametrize(
    "tamper",
    [edited_scores, edited_list, edited_slot, edited_decisions, other_model, other_value],
)
def test_what_does_not_follow_is_named(
    study: Study, tamper: Callable[[], tuple[str, Path]]
) -> None:
    phase, path = tamper()
    found = differs(study)
    assert any(line.startswith(f"{path}") for line in found[phase]), found


def test_the_commands_end_with_an_exit_code(study: Study, copied: Checkout) -> None:
    audit = ("python", "workflow/scripts/audit.py", "tiny")
    assert copied.run(*audit, "--after", "--replay").returncode == 0
    path = checkpoint()
    ended = copied.run(*audit, "--after", check=False)
    assert (ended.returncode, str(path) in ended.stdout) == (1, True)
    edited_list()
    assert copied.run(*audit, "--replay", check=False).returncode == 1


def test_why_names_trials_claims_and_targets(study: Study, copied: Checkout) -> None:
    row = ranking("rerun")[0]
    record = f"results/tiny/rerun/records/{row['trial']}.json"
    why = ("python", "workflow/scripts/why.py")
    by_id = copied.run(*why, row["run_id"]).stdout
    assert f"tiny/rerun/{row['trial']}: rank 1 of 1" in by_id
    assert f"snakemake {record} --config study=tiny" in by_id
    assert "were the best of study tiny" in by_id
    assert "learning_rate 0.001" in by_id
    for other in (row["run_id"][:8], f"tiny/rerun/{row['trial']}", record):
        assert f"run {row['run_id']}:" in copied.run(*why, other).stdout
    Path(record).unlink()
    waits = copied.run(*why, f"tiny/rerun/{row['trial']}").stdout
    assert f"run {row['run_id']} is in the store" in waits
    assert copied.run(*why, "tiny/rerun/99", check=False).returncode == 1


def test_why_says_where_a_study_is_not_as_it_was_built(study: Study) -> None:
    meant = find_meant(f"tiny/rerun/{ranking('rerun')[0]['trial']}", LAYOUT)
    settings = "phases.0.config.training.max_steps"
    assert not any(settings in line for line in why_lines(meant, LAYOUT, Path("config")))
    text = STUDY.read_text()
    content = yaml12.load_mapping(STUDY)
    content["set"] = {**content.get("set", {}), "training.max_steps": 30}
    STUDY.write_text(yaml12.dump(content))
    changed = [line for line in why_lines(meant, LAYOUT, Path("config")) if settings in line]
    STUDY.write_text(text)
    assert len(changed) == 1 and all(word in changed[0] for word in ("tiny ", "30 ", "20 "))


def test_orphans_and_spare_weights_are_found_and_dropped(study: Study, copied: Checkout) -> None:
    forget = ("python", "workflow/scripts/forget.py")
    kept, lost = run_of("rerun", 0), run_of("rerun", 1)
    for claims in (kept / "claims", lost / "claims"):
        shutil.rmtree(claims)
    for row in ranking("rerun"):
        Path("results/tiny/rerun/models", row["trial"]).unlink()
    assert "2 checkpoints that nothing keeps" in " ".join(unused_lines(LAYOUT))
    copied.run(*forget, "checkpoints")
    assert [list(run.glob("checkpoint_*")) for run in (kept, lost)] == [[], []]
    Path("results/tiny/rerun/records", f"{ranking('rerun')[1]['trial']}.json").unlink()
    assert "no run of" in " ".join(unused_lines(LAYOUT))  # the next build links it
    shutil.rmtree("results/tiny/rerun/packs")
    assert "1 run that no study has" in " ".join(unused_lines(LAYOUT))
    copied.run(*forget, "orphans")
    assert not lost.exists() and kept.exists()


def test_drift_of_settings_code_and_data_is_reported(study: Study) -> None:
    edited = load_study(STUDY, overrides={"training.max_steps": 30})
    (line,) = [one for one in drift_lines(edited, LAYOUT) if "max_steps" in one]
    assert "phases.0.config.training.max_steps = 30" in line and "20 in" in line
    file = Path("results/tiny/sweep/records", f"{ranking('sweep')[0]['trial']}.json").resolve()
    write_record(file, replace(read_record(file), code="0123456789ab"))
    lines = list(drift_lines(study, LAYOUT))
    assert any("2 versions" in line and "0123456789ab (1)" in line for line in lines)
    (about,) = Path("results/data").glob("*/data.json")
    content = json.loads(about.read_text())
    del content["checksum"]
    about.write_text(json.dumps({**content, "digest": "0" * 64}))
    lines = list(drift_lines(study, LAYOUT))
    assert any("not prepared now" in line for line in lines)
