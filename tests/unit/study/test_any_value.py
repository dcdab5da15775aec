"""Any value in any place: the study shows it, or one line refuses it.

Seeded inputs, drawn from the types and bounds of all fields and from beyond them. A study that
loads has exactly the value that was given; one that does not names its key in plain words, on one
line.
"""

import math
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import annotated_types

from resweep import yaml12
from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.config.nesting import nest
from resweep.errors import ConfigError
from resweep.study.load import load_study
from resweep.study.study import Study
from resweep.sweep.yaml11 import other_reading
from tests.support.tiny import LANGUAGE

INPUTS = 600
LONGEST = 10.0  # seconds of CPU for one
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 0.5, 1.0, -0.0, 1e-300, 1e300, -1e300, 10**30, -(10**30), 1e30,
    2**63, math.nan, math.inf, "", " ", "x", "null", "yes", "1e-4", "1_000", "{x}", "Q: {question}",
    "{", "a\nb", "'\"$(x)`#;", "\u00fc\u2028", "x" * 200_000, "../up", "/", [], [1], ["a", "b"],
    [[1, {"x": 2}]], {}, {"a": 1}, {"a": {"b": [1, 2]}}, {"": 1}, {"a..b": 1}, {1: 2},
]  # fmt: skip
PYTHON = ("Traceback", "dict[", "literal[", "NoneType", "instance of", "pydantic", "Input should")
BASE = {
    "model": {"n_layer": 1, "n_embd": 16, "n_head": 2, "context_length": 16},
    "data": {"source": "python-docs"},
    "training": {"max_steps": 20, "batch_size": 4},
}
SWEPT = "training.weight_decay"
FIELDS = sorted(LANGUAGE.paths - {SWEPT})
OWN = ["mine", "model.mine", "a.b.c", "training.mine"]


def values_of(path: str, draw: random.Random) -> Any:
    """A value for a field: near its bounds, of its type, or anything."""
    section, _, name = path.partition(".")
    field = (
        LANGUAGE.sections[section].model_fields.get(name) if section in LANGUAGE.sections else None
    )
    near: list[Any] = [field.default] if field is not None else []
    for mark in field.metadata if field is not None else ():
        for kind in ("ge", "gt", "le", "lt"):
            bound = getattr(mark, kind, None)
            if isinstance(mark, annotated_types.BaseMetadata) and bound is not None:
                near += [bound, bound + 1, bound - 1, float(bound)]
    return draw.choice(near if near and draw.random() < 0.5 else ODD)


Place = Callable[[str, Any], tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]


def in_set(path: str, value: Any) -> Any:
    return {"set": {path: value}}, {}, {}


def in_phase(path: str, value: Any) -> Any:
    return {}, {"set": {path: value}}, {}


def in_module(path: str, value: Any) -> Any:
    section, _, name = path.partition(".")
    if section not in BASE:
        return in_set(path, value)
    return {"base": {**BASE, section: {**BASE[section], name: value}}}, {}, {}


def as_constant(path: str, value: Any) -> Any:
    return {}, {}, {path: {"value": value}}


def as_choice(path: str, value: Any) -> Any:
    return {}, {}, {path: {"values": [value]}}


PLACES: list[Place] = [in_set, in_phase, in_module, as_constant, as_choice]


def draw_inputs() -> list[tuple[int, Place, str, Any]]:
    draw = random.Random(11)
    inputs = []
    for number in range(INPUTS):
        path = draw.choice(FIELDS if draw.random() < 0.85 else OWN)
        inputs.append((number, draw.choice(PLACES), path, values_of(path, draw)))
    return inputs


def load(folder: Path, place: Place, path: str, value: Any) -> Study:
    study, phase, parameters = place(path, value)
    content = {"name": "mine", "base": BASE, "own": ["mine", "a.b.c"], **study}
    sweep = {
        "method": "grid",
        "parameters": {"weight_decay": {"values": [0.25, 0.5]}, **parameters},
    }
    file = folder / "sweep.yaml"
    content["phases"] = [{"name": "sweep", "kind": "sweep", "sweep": str(file), **phase}]
    file.write_text(yaml12.dump(sweep))
    (folder / "mine.yaml").write_text(yaml12.dump(content))
    return load_study(folder / "mine.yaml", folder)


def shows(study: Study, path: str, value: Any) -> bool:
    """Whether every trial has the value, as its field reads it; a sweep reads YAML 1.1 too."""
    (phase,) = study.phases
    readings = [value, other_reading(value)]
    wanted = next(compose.coerce(path, r, LANGUAGE) for r in readings if allows(path, r))
    expected = nest({path: list(wanted) if isinstance(wanted, tuple) else wanted})
    for name in phase.trials:
        trained = dict(compose.leaves(phase.known_trial(name, phase.stages[0]).config))
        for leaf, given in compose.leaves(expected):
            if canonical_json(trained.get(leaf)) != canonical_json(given):
                return False
    return True


def allows(path: str, value: Any) -> bool:
    try:
        compose.coerce(path, value, LANGUAGE)
    except ValueError:
        return False
    return True


def test_any_value_is_shown_or_refused_in_one_line(tmp_path: Path) -> None:
    loaded = 0
    for number, place, path, value in draw_inputs():
        said = f"{number}: {place.__name__} {path} = {value!r:.60}"
        began = time.process_time()
        try:
            study = load(tmp_path, place, path, value)
        except ConfigError as error:
            for line in str(error).splitlines():
                assert not any(word in line for word in PYTHON), (said, line)
                assert len(line) < 2_000, said
            assert all("\n" not in str(problem) for problem in error.problems), said
        else:
            loaded += 1
            assert shows(study, path, value), said
        assert time.process_time() - began < LONGEST, said
    assert 0.1 < loaded / INPUTS < 0.9
