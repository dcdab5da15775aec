"""An edit of a module makes stale what imports it, as a real run shows, and trains nothing."""

import json
import re
from pathlib import Path

import pytest

from resweep.imports import FOUNDATIONS, code_digest
from tests.conftest import ROOT, Checkout, tiny_study
from tests.workflow.test_rebuild import planned, trained_by

pytestmark = pytest.mark.xdist_group("digests")  # they share what they build

# What these make is named by content: other code does not make it again.
NAMED_BY_CONTENT = {"train.py", "train_pack.py", "prepare_data.py"}
TRACE = """
import atexit, builtins, json, os, pathlib, sys

found, load = set(), builtins.__import__

def trace(name, globals=None, locals=None, fromlist=(), level=0):
    module = load(name, globals, locals, fromlist, level)
    if name.partition(".")[0] == "resweep":
        importing = (globals or {}).get("__name__", "")
        inside = [f"{name}.{part}" for part in fromlist or ()]
        for imported in [name, *(part for part in inside if part in sys.modules)]:
            found.add((importing, imported))
    return module

def write():
    script = pathlib.Path(sys.argv[0]).name
    if script.endswith(".py") and found:
        file = pathlib.Path(os.environ["TRACE"], f"{script}-{os.getpid()}.json")
        file.write_text(json.dumps(sorted(found)))

def leave(code, end=os._exit):
    write()
    end(code)

builtins.__import__ = trace
atexit.register(write)
os._exit = leave  # how trainings end
"""
Traced = tuple[Checkout, dict[str, set[str]]]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """A study with jobs of all kinds, built, and which modules each script has imported."""
    checkout = Checkout.new(tmp_path_factory.mktemp("traced") / "checkout")
    sweep = {
        "method": "bayes",
        "run_cap": 2,
        "metric": {"name": "val/loss", "goal": "minimize"},
        "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 2},
        "parameters": {"learning_rate": {"min": 1e-4, "max": 1e-2}},
    }
    checkout.write("config/sweep/rates.yaml", sweep)
    phases = tiny_study("tiny")["phases"]
    phases[1]["seeds"] = [1]
    publish = {"configs": True, "models": "best"}
    settings = {**tiny_study("tiny")["set"], "training.save_gradients": True}
    checkout.write_study(phases=phases, publish=publish, set=settings)
    trace = checkout.path.parent / "trace"
    trace.mkdir()
    (trace / "sitecustomize.py").write_text(TRACE)
    env = {"TRACE": str(trace), "PYTHONPATH": f"{trace}:{checkout.env['PYTHONPATH']}"}
    checkout.run("snakemake", "--cores", "2", env=env)
    checkout.run("snakemake", "--cores", "1", "results/tiny/rerun/gradients/01.png", env=env)
    edges: dict[str, set[tuple[str, str]]] = {}
    for file in trace.glob("*.json"):
        script = file.name.rpartition("-")[0]
        edges.setdefault(script, set()).update(map(tuple, json.loads(file.read_text())))
    return checkout, {script: reached(found) for script, found in edges.items()}


def reached(edges: set[tuple[str, str]]) -> set[str]:
    """Modules that a script has imported, with their packages, but for those of foundations."""
    found: set[str] = set()
    waiting = {"__main__"}
    while waiting:
        importing = waiting.pop()
        for imported in {to for of, to in edges if of == importing}:
            parts = imported.split(".")
            names = {".".join(parts[: length + 1]) for length in range(len(parts))}
            new = {name for name in names if not is_foundation(name)} - found
            found |= new
            waiting |= new
    return found


def is_foundation(module: str) -> bool:
    return module.split(".")[1:2] in [[room] for room in FOUNDATIONS]


def module_name(file: Path, library: Path) -> str:
    parts = file.relative_to(library.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def scripts_of_rules() -> set[str]:
    """Scripts whose digest is a param of their rule; fills name theirs in the library."""
    rules = [file.read_text() for file in (ROOT / "rules").glob("*.smk")]
    return {name for text in rules for name in re.findall(r'code\("(\w+\.py)"\)', text)}


def test_each_rule_has_the_digest_of_the_script_that_it_calls() -> None:
    for file in (ROOT / "rules").glob("*.smk"):
        text = file.read_text()
        called = re.findall(r"python \{SCRIPTS\}/(\w+\.py)", text)
        digests = re.findall(r'code\("(\w+\.py)"\)', text)
        assert sorted(set(called) - NAMED_BY_CONTENT) == sorted(digests), file.name


def test_a_comment_in_any_module_changes_the_digests_of_what_imports_it(
    traced: Traced,
) -> None:
    checkout, imported = traced
    fills = {"suggest.py", "promote.py", "conclude.py", "plan_rerun.py"}
    handlers = {"end_study.py"}  # no rule has it: Snakemake calls it when the build ends
    assert imported.keys() == scripts_of_rules() | fills | handlers | NAMED_BY_CONTENT
    library = checkout.path / "src/resweep"
    scripts = {name: checkout.path / "workflow/scripts" / name for name in imported}
    before = {name: code_digest(path, library) for name, path in scripts.items()}
    seen = set()
    for file in sorted(library.rglob("*.py")):
        name, text = module_name(file, library), file.read_text()
        file.write_text(f"{text}# edited\n")
        changed = {s for s, path in scripts.items() if code_digest(path, library) != before[s]}
        file.write_text(text)
        if is_foundation(name):
            assert changed == set(), name
        else:
            importing = {script for script, modules in imported.items() if name in modules}
            assert importing <= changed, name
            seen |= importing
    assert seen == imported.keys()


def test_such_a_comment_reruns_cheap_jobs_and_trains_nothing(
    traced: Traced, tmp_path: Path
) -> None:
    checkout = traced[0].copy(tmp_path / "checkout")
    assert planned(checkout) == {}
    for name in ("training/loop.py", "store/run.py", "config/compose.py", "agents/worker.py"):
        with (checkout.path / "src/resweep" / name).open("a") as file:
            file.write("# edited\n")
    assert planned(checkout) == {}
    with (checkout.path / "src/resweep/systems/language/system.py").open("a") as file:
        file.write("# edited\n")
    assert planned(checkout).keys() == {"report", "publish_report", "all", "total"}
    with (checkout.path / "src/resweep/errors.py").open("a") as file:
        file.write("# edited\n")
    stale = planned(checkout)
    assert {"suggest_sweep_r01", "promote_sweep_r01_b1", "conclude_sweep_r01"} < stale.keys()
    assert {"score_rerun", "select_sweep", "keep_sweep", "publish_model_rerun"} < stale.keys()
    assert "prepare_data" not in " ".join(stale)
    assert trained_by(checkout) == set()
    assert planned(checkout) == {}
