"""Another workflow that uses this one as a module, with files and rules of its own around it."""

import shutil
from pathlib import Path

import pytest

from resweep import yaml12
from tests.conftest import ROOT, Checkout

OUTER = """
configfile: "settings.yaml"

rule all:
    input: "best.txt"

module resweep:
    snakefile: "tools/resweep/Snakefile"
    config: config["resweep"]

use rule * from resweep as resweep_*

rule best:
    input: "results/tiny/sweep/top1_best_configs.yaml"
    output: "best.txt"
    shell: "cp {input} {output}"
"""


@pytest.fixture
def outer(checkout: Checkout) -> Checkout:
    """A project whose tools/resweep is the checkout, and which has the study's files."""
    folder = checkout.path.parent / "outer"
    inner = folder / "tools/resweep"
    inner.parent.mkdir(parents=True)
    checkout.path.rename(inner)
    shutil.move(inner / "config", folder / "config")
    shutil.copytree(inner / "profiles/default", folder / "profiles/default")
    made = Checkout(folder)
    (folder / "Snakefile").write_text(OUTER)
    made.write("settings.yaml", {"resweep": {"study": "tiny"}})
    made.write("config/config.yaml", {"something": "else"})
    made.write(
        "config/data/mine.yaml",
        {"source": "text", "paths": ["texts/mine.txt"], "split": "contiguous"},
    )
    made.write_study(
        base={"model": "gpt-tiny", "data": "mine", "training": "quick"},
        notify={"command": ["false"]},
    )
    (folder / "texts").mkdir()
    (folder / "texts/mine.txt").write_text(" ".join(map(str, range(5000))))
    (folder / "src").symlink_to(Path("tools/resweep/src"))  # the library that the tests run
    return made


def test_a_module_is_built_with_what_is_around_it(outer: Checkout) -> None:
    outer.write("config/config.yaml", {"something": "else"})
    planned = outer.snakemake("--dry-run", "--quiet", "host").stdout
    assert "resweep_train_sweep" in planned and "resweep_train_rerun" not in planned
    assert "notify has no effect in a module" in planned
    outer.snakemake()
    best = (outer.path / "best.txt").read_text()
    assert "learning_rate" in best
    assert "Nothing to be done" in outer.snakemake().stdout
    outer.snakemake("resweep_ranked_rerun")
    assert set(outer.trainings().values()) == {1} and len(outer.trainings()) == 4


def test_wrong_settings_of_a_module(outer: Checkout) -> None:
    for settings, named in (({}, "names no study"), ({"studdy": "tiny"}, "did you mean study?")):
        outer.write("settings.yaml", {"resweep": settings})
        ended = outer.snakemake("--dry-run", check=False)
        assert ended.returncode == 1 and named in ended.stdout
        assert "config of the module" in ended.stdout and "Traceback" not in ended.stdout
    outer.write("settings.yaml", {"resweep": {"study": "tiny"}})
    text = OUTER.replace('config["resweep"]', 'config["resweep"]\n    prefix: "deep"')
    (outer.path / "Snakefile").write_text(text)
    ended = outer.snakemake("--dry-run", check=False)
    assert ended.returncode == 1 and "prefix" in ended.stdout


def test_the_catalog_is_told_what_is_there() -> None:
    usage = yaml12.load_mapping(ROOT / ".snakemake-workflow-catalog.yml")["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert usage["software-stack-deployment"]["conda"] and (ROOT / "envs/resweep.yaml").is_file()
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    assert usage["report"] == (" report(" in rules)
