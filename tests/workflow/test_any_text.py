"""Any text is a value: a training gets just what the study says, through Snakemake and a shell."""

from typing import Any

from resweep import yaml12
from tests.conftest import Checkout, tiny_study

TEXT = """Q: {question} {{x}} {0} {a,b} '"`touch here`$(touch here) $HOME ; touch here # %s \\ é
\tsecond line\u2028"""
LONG = TEXT + "y" * 200_000


def values_of(checkout: Checkout, phase: str) -> list[dict[str, Any]]:
    """The configurations that the trials of a phase trained."""
    names = [path.stem for path in (checkout.path / "results/tiny" / phase / "trials").iterdir()]
    runs = [checkout.record("tiny", phase, name)["run_id"] for name in names]
    return [yaml12.load_mapping(checkout.path / f"results/runs/{run}/config.yaml") for run in runs]


def test_each_value_is_trained_as_it_is_written(checkout: Checkout) -> None:
    rerun = {"name": "rerun", "kind": "rerun", "of": "sweep", "set": {"style": LONG[:-1]}}
    checkout.write_study(
        set=tiny_study("tiny")["set"] | {"prompt": TEXT},
        own=["prompt", "style", "given"],
        description=LONG,
        phases=[{"name": "sweep", "kind": "sweep", "sweep": "rates"}, rerun],
        tracking={"wandb": "disabled", "project": "{x} '$y'", "entity": '-{z} "`'},
        publish={"configs": True, "models": "best"},
    )
    checkout.write_sweep(style=[LONG])
    checkout.snakemake("--config", 'set={given: "it\'s {x} $HOME", other: \'say "no"\'}')
    (swept,), (rerun,) = values_of(checkout, "sweep"), values_of(checkout, "rerun")
    assert (swept["prompt"], swept["style"]) == (TEXT, LONG)
    assert (rerun["prompt"], rerun["style"]) == (TEXT, LONG[:-1])
    for one in (swept, rerun):
        assert (one["given"], one["other"]) == ("it's {x} $HOME", 'say "no"')
    described = yaml12.load_mapping(checkout.path / "results/tiny/study.yaml")
    assert described["tracking"]["project"] == "{x} '$y'"
    assert described["tracking"]["entity"] == '-{z} "`'
    assert not (checkout.path / "here").exists()

    for script in ("audit.py", "summarize.py"):  # read its tables
        checkout.run("python", f"workflow/scripts/{script}", "tiny")
