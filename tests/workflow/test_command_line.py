"""What is said of a command line that Snakemake misreads, or that comes after another's end."""

import pytest

from tests.conftest import Checkout

FILE = "results/tiny/sweep/scores.csv"


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (("--config", "study=tiny", FILE), f"snakemake {FILE} "),
        (("-C", "studies=[tiny,other]", "all", "-n"), "snakemake all "),
    ],
)
def test_a_file_among_the_settings_is_named(
    words: tuple[str, ...], first: str, checkout: Checkout
) -> None:
    done = checkout.snakemake(*words, check=False)
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("error: --config: "))
    assert first in line and "Traceback" not in done.stdout


def test_files_before_settings_are_built(checkout: Checkout) -> None:
    checkout.snakemake("-n", FILE, "--config", "study=tiny", "set={training.max_steps: 10}")


def test_unlocking_does_not_advise_to_unlock(checkout: Checkout) -> None:
    lock = checkout.path / ".snakemake/locks/0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    assert "warning: " in checkout.snakemake("-n", FILE).stdout
    assert "warning: " not in checkout.snakemake("--unlock").stdout
    assert not lock.exists()
