"""The JSON schemas of editors accept what is read, and refuse what its reader refuses."""

import contextlib
import fnmatch
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from resweep import yaml12
from resweep.errors import ConfigError
from resweep.study.study_file import read_study_file
from resweep.sweep import load_sweep
from tests.conftest import ROOT, tiny_study

REAL_FILES = ROOT.parent / "shared" / "data" / "sweep_yamls"
FOLDERS: dict[str, str | list[str]] = json.loads((ROOT / ".vscode/settings.json").read_text())[
    "yaml.schemas"
]


def validator(name: str) -> jsonschema.Draft7Validator:
    """Read a schema, which has to be one itself."""
    schema = json.loads((ROOT / name).read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def schema_of(path: str) -> str | None:
    """The schema by which VS Code checks a file."""
    found = [
        name
        for name, globs in FOLDERS.items()
        if any(
            fnmatch.fnmatch(f"/{path}", g) for g in ([globs] if isinstance(globs, str) else globs)
        )
    ]
    assert len(found) <= 1
    return found[0] if found else None


def shipped() -> list[tuple[str, str]]:
    """Every configuration of the project and of its documents: path and text."""
    found = [
        (path.relative_to(ROOT).as_posix(), path.read_text())
        for folder in (ROOT / "config", *(ROOT / "examples").glob("*/config"))
        for path in sorted(folder.rglob("*.yaml"))
    ]
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(), re.M | re.S):
            named = re.match(r"# (config/\S+\.yaml)\n", block)
            if named:
                found.append((named[1], block))
    return found


def test_schemas_are_those_of_the_readers() -> None:
    spec = importlib.util.spec_from_file_location("schemas", ROOT / "docs/schemas.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    written = {path.name: path.read_text() for path in (ROOT / "schemas").glob("*.json")}
    made = {name: script.text(schema) for name, schema in script.schemas().items()}
    assert written == made, "python docs/schemas.py"
    assert set(FOLDERS) == {f"./schemas/{name}" for name in made}


def test_all_that_is_shipped_is_valid() -> None:
    files = shipped()
    assert {schema_of(path) for path, _ in files} >= {
        f"./schemas/{name}.json"
        for name in ("config", "study", "sweep", "model", "data", "training")
    }
    for path, text in files:
        name = schema_of(path)
        assert name is not None, path
        errors = [error.message for error in validator(name).iter_errors(yaml12.parse(text))]
        assert errors == [], path


@pytest.mark.skipif(not REAL_FILES.is_dir(), reason="no shared/data/sweep_yamls")
def test_sweep_files_that_are_read_are_valid() -> None:
    known = validator("schemas/sweep.json")
    for path in sorted(REAL_FILES.glob("*.y*ml")):
        try:
            load_sweep(path)
        except ConfigError:
            continue
        assert [error.message for error in known.iter_errors(yaml12.load(path))] == [], path


BAD_STUDIES: list[dict[str, Any]] = [
    {"keeep": "best"},
    {"keep": "some"},
    {"name": "a b"},
    {"name": 5},
    {"phases": []},
    {"phases": [{"name": "s", "kind": "sweeep", "sweep": "rates"}]},
    {"phases": [{"name": "s", "kind": "sweep", "sweep": "rates", "top": 1}]},
    {"phases": [{"name": "s", "kind": "sweep", "sweep": "rates", "trials": 0}]},
    {"phases": [{"name": "s", "kind": "sweep", "sweep": "rates", "trials": 1.5}]},
    {"phases": [{"kind": "sweep", "sweep": "rates"}]},
    {"resources": {"gpu": 1}},
    {"resources": {"pack": "none"}},
    {"score": {"goal": "min"}},
    {"tracking": {"wandb": True}},
    {"tolerate_failures": -1},
]


@pytest.mark.parametrize("change", BAD_STUDIES, ids=json.dumps)
def test_wrong_studies(change: dict[str, Any], tmp_path: Path) -> None:
    known = validator("schemas/study.json")
    good = tiny_study("tiny")
    assert known.is_valid(good)
    assert not known.is_valid(good | change)
    (tmp_path / "study.yaml").write_text(yaml12.dump(good | change))
    with contextlib.suppress(ConfigError):
        assert read_study_file(tmp_path / "study.yaml").problems


# The rest of a file, with a grid of one parameter unless there are others.
GOOD_SWEEPS = [
    "method: grid",
    "{method: random, run_cap: 4, sampler: sobol}",
    "{strategy: random, num_runs: 4}",
    "{strategy: grid, sweep_name: x}",
    "{method: bayes, metric: {name: val/loss, goal: minimize}, run_cap: 8, sampler: gp}",
    "{method: grid, description: null, something: else}",
    "{method: grid, parameters: {optimizer: {parameters: {lr: {value: 1e-3}}}}}",
    "{method: random, run_cap: 1_000, parameters: {lr: {min: 1, max: 1_000}}}",
    "{method: random, run_cap: 4, parameters: {lr: {distribution: q_beta, a: 2, q: 0.1}}}",
    "{method: grid, early_terminate: {type: hyperband, max_iter: 27, s: 2, eta: 3, strict: true}}",
    "{method: grid, early_terminate: {type: one_cut, min_iter: 2, keep: 3}}",
    "{method: grid, command: [python, train.py, 3]}",
]
BAD_SWEEPS = [
    "name: x",
    "method: grids",
    "{method: grid, sampler: sobol}",
    "{method: bayes, run_cap: 4, sampler: sobol}",
    "{strategy: random}",
    "{strategy: grid, method: grid}",
    "{method: grid, parameters: {}}",
    "{method: grid, parameters: [lr]}",
    "{method: grid, parameters: {lr: 0.1}}",
    "{method: grid, parameters: {lr: {value: 1, values: [1]}}}",
    "{method: grid, parameters: {lr: {values: []}}}",
    "{method: grid, parameters: {lr: {vlaues: [1]}}}",
    "{method: grid, parameters: {'l r': {value: 1}}}",
    "{method: random, run_cap: 4, parameters: {lr: {min: 1}}}",
    "{method: random, run_cap: 4, parameters: {lr: {distribution: uniformly, min: 1, max: 2}}}",
    "{method: random, run_cap: 4, parameters: {lr: {distribution: uniform, min: 1}}}",
    "{method: random, run_cap: 4, parameters: {lr: {distribution: normal, min: 1}}}",
    "{method: random, run_cap: 4, parameters: {lr: {min: a, max: 2}}}",
    "{method: grid, parameters: {o: {parameters: {lr: {value: 1}}, value: 2}}}",
    "{method: random, run_cap: 0}",
    "{method: grid, run_cap: many}",
    "{method: grid, metric: loss}",
    "{method: grid, metric: {name: loss, goal: min}}",
    "{method: grid, metric: {goal: minimize}}",
    "{method: grid, metric: {name: loss, gaol: minimize}}",
    "{method: grid, early_terminate: {type: median}}",
    "{method: grid, early_terminate: {type: hyperband}}",
    "{method: grid, early_terminate: {type: hyperband, max_iter: 27}}",
    "{method: grid, early_terminate: {type: hyperband, min_iter: 0}}",
    "{method: grid, early_terminate: {type: one_cut, min_iter: 2}}",
    "{method: grid, early_terminate: {type: one_cut, min_iter: 2, keep: 1, eta: 2}}",
    "{method: grid, command: python}",
    "{method: grid, metrics: [{name: loss}]}",
]


@pytest.mark.parametrize(
    ("text", "is_right"),
    [*((text, True) for text in GOOD_SWEEPS), *((text, False) for text in BAD_SWEEPS)],
    ids=lambda value: str(value),
)
def test_sweep_files_are_judged_as_by_their_reader(
    text: str, is_right: bool, tmp_path: Path
) -> None:
    content = {"parameters": {"lr": {"values": [1, 2]}}, **yaml12.parse(text)}
    (tmp_path / "sweep.yaml").write_text(yaml12.dump(content))
    assert validator("schemas/sweep.json").is_valid(content) == is_right
    try:
        load_sweep(tmp_path / "sweep.yaml")
        assert is_right
    except ConfigError:
        assert not is_right
