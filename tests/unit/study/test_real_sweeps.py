"""Real sweep files of other training scripts, joined to language models."""

from pathlib import Path

import pytest

from resweep import yaml12
from resweep.errors import ConfigError
from resweep.study.load import load_study
from resweep.study.study import Study

REAL_FILES = Path(__file__).parents[3].parent / "shared" / "data" / "sweep_yamls"
pytestmark = pytest.mark.skipif(
    not REAL_FILES.is_dir(), reason="no shared/data/sweep_yamls beside the project"
)

# What is swept of each, and is unclear: by a part of the file's name.
UNCLEAR: dict[str, set[str]] = {
    "fluke": {"lr"},
    "ED-MTT": {"attributes"},
    "cora__sweeps__sweep.yaml": {
        *("config", "hidden_size", "num_blocks", "num_heads", "patch_size"),
        *("inference_steps", "intermediate_l1_coeff", "intermediate_l2_coeff"),
    },
    "sweep_random": {
        *("config", "patch_size"),
        *("inference_steps", "intermediate_l1_coeff", "intermediate_l2_coeff"),
    },
    "ML_Ops": {"lr", "warmup_step_perc"},
    "dalle-mini": set(),
    "stages": {f"arch.stages.{n}.repeat" for n in range(3)}
    | {f"arch.stages.{n}.include_inputs" for n in range(2)},
    "hyperband": {"base", "direction", "increment"},
    "nested": {"optimizer.lr"},
    "sweep-grid": {"base", "direction", "increment"},
}


BASE = {"model": {}, "data": {}, "training": {"max_steps": 200, "eval_steps": 20}}


def join(folder: Path, file: Path, own: set[str]) -> Study:
    content = {
        "name": "mine",
        "base": BASE,
        "own": sorted(own),
        "score": {"metric": "val/loss"},
        "phases": [{"name": "sweep", "kind": "sweep", "sweep": str(file), "trials": 8}],
    }
    (folder / "mine.yaml").write_text(yaml12.dump(content))
    return load_study(folder / "mine.yaml", folder)


@pytest.mark.parametrize("part", UNCLEAR)
def test_what_is_unclear_is_accepted_by_the_own_that_the_error_names(
    part: str, tmp_path: Path
) -> None:
    files = [file for file in REAL_FILES.glob("*.yaml") if part in file.name]
    assert files
    for file in files:
        unclear = UNCLEAR[part]
        if unclear:
            with pytest.raises(ConfigError) as refused:
                join(tmp_path, file, set())
            (problem,) = refused.value.problems
            accepted = problem.hint.partition("own: [")[2].partition("]")[0]
            assert set(accepted.split(", ")) == unclear
        assert len(join(tmp_path, file, unclear).phases[0].trials) in (5, 8)
