"""Studies of PathStar: what fits together only with the values of a sweep."""

from pathlib import Path
from typing import Any

import pytest

from resweep import yaml12
from resweep.errors import ConfigError
from resweep.study.load import load_study
from resweep.study.study import Study
from resweep.systems.pathstar.sections import Data

SMALL = {"max_steps": 4}


def load(
    folder: Path,
    parameters: dict[str, Any],
    below: dict[str, Any] = SMALL,
    phases: tuple[dict[str, Any], ...] = (),
    **sweep: Any,
) -> Study:
    """A study of one sweep, and of further phases."""
    content = {"method": "grid", "parameters": parameters, **sweep}
    (folder / "sweep.yaml").write_text(yaml12.dump(content))
    first = {"name": "sweep", "kind": "sweep", "sweep": str(folder / "sweep.yaml"), "trials": 4}
    study = {"name": "s", "system": "pathstar", "base": {}, "set": below}
    (folder / "s.yaml").write_text(yaml12.dump({**study, "phases": [first, *phases]}))
    return load_study(folder / "s.yaml", folder)


def refused(*given: Any, **named: Any) -> list[tuple[str, str, Any]]:
    with pytest.raises(ConfigError) as caught:
        load(*given, **named)
    return [(Path(p.file).name, p.key, p.value) for p in caught.value.problems]


TOKEN_7 = {"name": "val/loss/token_7", "goal": "minimize"}


@pytest.mark.parametrize(
    "parameters",
    [
        {"graph_l": {"values": [5, 7]}},
        {"graph_l": {"value": 6}, "seed": {"values": [1, 2]}},
        {"seed": {"values": [1, 2]}},
    ],
)
def test_a_metric_that_a_trial_does_not_log_is_an_error_of_the_file_that_names_it(
    tmp_path: Path, parameters: dict[str, Any]
) -> None:
    expected = [("sweep.yaml", "metric", TOKEN_7["name"])]
    assert refused(tmp_path, parameters, metric=TOKEN_7) == expected


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_so_it_is_where_the_length_is_drawn(tmp_path: Path, method: str) -> None:
    drawn = {"graph_l": {"min": 4, "max": 7}}
    assert refused(tmp_path, drawn, metric=TOKEN_7, method=method)
    drawn = {"graph_l": {"min": 7, "max": 9}}
    assert load(tmp_path, drawn, metric=TOKEN_7, method=method).phases


def test_a_metric_that_all_trials_log_need_not_be_one_of_the_defaults(tmp_path: Path) -> None:
    rungs = {"type": "hyperband", "min_iter": 1, "eta": 2}
    below = {"max_steps": 40, "eval_interval": 5}
    study = load(
        tmp_path,
        {"graph_l": {"values": [9, 7]}, "seed": {"values": [1, 2]}},
        below,
        metric=TOKEN_7,
        early_terminate=rungs,
    )
    assert study.phases[0].metric == TOKEN_7["name"]
    assert study.phases[0].packs


def test_a_rerun_of_shorter_paths_is_refused(tmp_path: Path) -> None:
    again = {"name": "rerun", "kind": "rerun", "of": "sweep", "set": {"graph_l": 5}}
    swept = {"graph_l": {"value": 7}, "seed": {"values": [1, 2]}}
    (problem,) = refused(tmp_path, swept, phases=(again,), metric=TOKEN_7)
    assert problem == ("s.yaml", "metric", TOKEN_7["name"])


def test_a_plateau_of_a_token_beyond_the_path_is_refused(tmp_path: Path) -> None:
    early = {"plateau_metric": "val/accuracy/token_6", "plateau_patience": 2}
    below = {**SMALL, "early_stopping": early}
    seeds = {"seed": {"values": [1, 2]}}
    assert [key for _, key, _ in refused(tmp_path, seeds, below)] == [""]
    assert load(tmp_path, seeds, {**below, "graph_l": 6}).phases
    assert load(tmp_path, {"graph_l": {"values": [6, 7]}}, below).phases


@pytest.mark.parametrize(
    ("parameters", "below"),
    [
        ({"graph_d": {"values": [5, 10]}}, {**SMALL, "graph_vocab_size": 100}),
        ({"epochs": {"value": 3}, "seed": {"values": [1, 2]}}, {}),
        ({"epochs": {"values": [3, 4]}}, {}),
        ({"n_head": {"values": [2, 5]}}, {**SMALL, "n_embd": 10}),
    ],
)
def test_values_below_a_sweep_need_only_fit_together_with_its_own(
    tmp_path: Path, parameters: dict[str, Any], below: dict[str, Any]
) -> None:
    phase = load(tmp_path, parameters, below).phases[0]
    assert len(list(phase.varied())) == 2


def test_an_alias_is_no_field_of_the_section(tmp_path: Path) -> None:
    study = load(tmp_path, {"epochs": {"values": [1, 2]}}, {"training": {"epochs": 3}})
    assert [list(assigned) for assigned in study.phases[0].varied()] == [
        ["training.num_epochs"]
    ] * 2


@pytest.mark.parametrize(
    ("parameters", "below", "key"),
    [
        ({"graph_d": {"values": [100, 200]}}, {**SMALL, "graph_vocab_size": 100}, ""),
        ({"graph_d": {"values": [5, 10]}}, {**SMALL, "graph_d": "x"}, "data.graph_d"),
        ({"seed": {"values": [1, 2]}}, {}, "training"),
    ],
)
def test_what_no_sweep_makes_right_stays_an_error_of_the_study(
    tmp_path: Path, parameters: dict[str, Any], below: dict[str, Any], key: str
) -> None:
    ((where, found, _),) = refused(tmp_path, parameters, below)
    assert (where, found) == ("s.yaml", key)


def test_no_graph_is_prepared_for_values_that_a_search_replaces(tmp_path: Path) -> None:
    graphs = {"graph_d": {"min": 5, "max": 9}, "graph_vocab_size": {"value": 60}}
    again = {"name": "rerun", "kind": "rerun", "of": "sweep", "set": {"max_steps": 8}}
    near = {"name": "near", "kind": "resample", "of": ["sweep"], "trials": 4}
    for swept in (graphs, {**graphs, "graph_d": {"values": [5, 9]}}):
        for method in ("bayes", "random"):
            study = load(tmp_path, swept, phases=(again, near), method=method)
            for settings in study.data_settings():
                assert Data.model_validate(settings).vertices <= 60
