"""Where things lie below results/, and that `resweep.paths` alone spells it out."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from resweep.paths import Layout, PhaseFolder, phase_and_slot, trial_of

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "src/resweep"
FOLDERS = (
    "artifacts", "by-hand", "claims", "decisions", "final_checkpoint", "lock", "models", "records",
    "rounds", "runs", "sweeps", "trash", "trials", "versions", "weights",
)  # fmt: skip
NAMES = re.compile(
    r"\b(scores|decisions|runs)\.csv|\b(study|sweep)\.yaml|_best_configs\.yaml|report\.html"
    r"|\b(metrics|timing)\.jsonl|\b(record|lease|micro_batch|added_metrics)\.json\b"
    r"|\b(train|follower)\.log\b|\bwandb\.(json|lock)\b|^(claims|final_checkpoint)$"
    rf"|\b({'|'.join(FOLDERS)})/|/({'|'.join(FOLDERS)})\b"
)


@pytest.mark.parametrize("slot", ["5e1f9fba51", "b1/5e1f9fba51", "r02/b1/r02-03"])
@pytest.mark.parametrize("root", ["results", "/records/results"])
def test_a_record_leads_to_its_trial_file(slot: str, root: str) -> None:
    layout = Layout(Path(root))
    record = layout.record("mine", "sweep", slot)
    assert phase_and_slot(record) == (layout.phase("mine", "sweep"), slot)
    assert trial_of(record) == layout.trial("mine", "sweep", slot)


def test_records_that_are_there(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    phase = layout.phase("mine", "sweep")
    slots = ["a", "b1/a", "b2/01", "r01/b1/r01-01"]
    for slot in slots:
        phase.record(slot).parent.mkdir(parents=True, exist_ok=True)
        phase.record(slot).touch()
    assert phase.records_at_rungs() == sorted(map(phase.record, slots[1:]))
    assert layout.all_trial_records() == [phase.record("a")]


def test_the_folder_of_a_phase_is_below_its_study() -> None:
    assert PhaseFolder(Path("results/mine/sweep")) == Layout().study("mine").phase("sweep")


def spelled(file: Path) -> Iterator[str]:
    """Text of a module, but for docstrings, that names files below results/."""
    tree = ast.parse(file.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docs = {ast.get_docstring(n, False) for n in ast.walk(tree) if isinstance(n, documented)}
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            right = node.right
            if isinstance(right, ast.Constant) and right.value in FOLDERS:
                yield f"/ {right.value!r}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for_people = node.value in docs or re.search(r"\s", node.value)
            if NAMES.search(node.value) and not for_people:
                yield repr(node.value)


def test_no_other_module_spells_a_path_below_results() -> None:
    files = [*LIBRARY.rglob("*.py"), *(ROOT / "workflow/scripts").glob("*.py")]
    others = [file for file in files if file != LIBRARY / "paths.py"]
    found = {str(file.relative_to(ROOT)): list(spelled(file)) for file in others}
    assert {name: texts for name, texts in found.items() if texts} == {}
    assert list(spelled(LIBRARY / "paths.py"))


def test_no_rule_spells_a_path_below_results() -> None:
    for file in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        wrong = [line for line in lines if NAMES.search(line)]
        assert wrong == [], file
