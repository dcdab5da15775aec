"""A study around a list of best configurations."""

from pathlib import Path

import pytest

from resweep import yaml12
from resweep.agents.rerun_study import create_rerun
from resweep.errors import ConfigError
from resweep.paths import Layout
from tests.support.problems import problem_of

BASE = {
    "name": "base",
    "base": {},
    "set": {"max_steps": 50, "pct_warmup": 0.1, "training.seed": 4},
    "phases": [{"name": "sweep", "kind": "sweep", "sweep": "none"}],
    "tracking": {"wandb": "disabled"},
}
BEST = "- {learning_rate: 4e-3, pct_warmup: 0.2}\n- {training.learning_rate: 0.002, n_layer: 2}\n"


def create(folder: Path, best: str = BEST, **given):
    (folder / "config/studies").mkdir(parents=True, exist_ok=True)
    (folder / "config/studies/base.yaml").write_text(yaml12.dump(BASE))
    (folder / "best.yaml").write_text(best)
    return create_rerun(
        folder / "best.yaml",
        folder / "config/studies/base.yaml",
        folder / "config",
        folder / "configs",
        Layout(folder / "results"),
        **{"top": None, "seeds": (), "changes": {}, **given},
    )


def test_each_of_the_list_is_trained_and_its_configuration_saved(tmp_path):
    made = create(tmp_path, seeds=(1, 2), changes={"training.max_steps": 9})
    assert [path.name for path in made.configs] == [
        *("rank1_seed1.yaml", "rank1_seed2.yaml"),
        *("rank2_seed1.yaml", "rank2_seed2.yaml"),
    ]
    first, *_, last = (yaml12.load_mapping(path) for path in made.configs)
    assert first["training"]["learning_rate"] == 4e-3 and first["training"]["pct_warmup"] == 0.2
    assert (last["training"]["seed"], last["training"]["max_steps"]) == (2, 9)
    assert last["model"]["n_layer"] == 2
    assert len(made.study.phases[0].trials) == 4


def test_the_same_call_makes_the_same_study_and_another_list_another(tmp_path):
    one, again = (create(tmp_path).study.name for _ in range(2))
    other = create(tmp_path, best="- {learning_rate: 1e-3}\n").study.name
    assert one == again != other


def test_the_first_of_a_list_can_be_chosen(tmp_path):
    create(tmp_path, seeds=(1, 2))  # of which nothing stays
    made = create(tmp_path, top=1)
    assert [path.name for path in made.configs] == ["rank1_seed4.yaml"]
    assert sorted(tmp_path.glob("configs/rank*")) == list(made.configs)


@pytest.mark.parametrize(
    ("best", "given", "words"),
    [
        ("{learning_rate: 1}\n", {}, "list of mappings"),
        ("[]\n", {}, "lists no configuration"),
        ("- {learning_rate: fast}\n", {}, "learning_rate"),
        ("- {n_head: 3}\n", {}, "n_head = 3"),
        ("- {lr: 0.1}\n", {}, "learning_rate"),
        (BEST, {"top": 3}, "at most 2"),
        (BEST, {"seeds": (1, 1)}, "twice"),
        (BEST, {"changes": {"max_steps": -1}}, "max_steps"),
    ],
)
def test_what_cannot_be_rerun_is_refused_and_nothing_is_written(best, given, words, tmp_path):
    with pytest.raises(ConfigError) as caught:
        create(tmp_path, best=best, **given)
    assert words in str(caught.value)
    assert not [path for path in tmp_path.glob("configs/*") if path.suffix == ".yaml"]


def test_a_list_that_is_missing_is_named(tmp_path):
    (tmp_path / "config/studies").mkdir(parents=True)
    (tmp_path / "config/studies/base.yaml").write_text(yaml12.dump(BASE))
    problem = problem_of(
        create_rerun,
        tmp_path / "nothing.yaml",
        tmp_path / "config/studies/base.yaml",
        tmp_path / "config",
        tmp_path / "configs",
        Layout(tmp_path),
        top=None,
        seeds=(),
        changes={},
    )
    assert "nothing.yaml" in problem.file
