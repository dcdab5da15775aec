"""What is said of a command line that Snakemake misreads, or that comes after another's end."""

import pytest

from tests.conftest import Checkout

FILE = "results/tiny/sweep/scores.csv"


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("--config", "study=tiny", FILE), f"snakemake {FILE} --cores 1 --config study=tiny"),
        (
            ("-C", "studies=[tiny,other]", "all", "a=1", "--until", "all"),
            "snakemake all a=1 --cores 1 -C 'studies=[tiny,other]' --until all",
        ),
    ],
)
def test_a_file_among_the_settings_is_named(
    words: tuple[str, ...], right: str, checkout: Checkout
) -> None:
    done = checkout.snakemake(*words, check=False)
    assert done.returncode == 1
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("error: --config: "))
    assert right in line and "Traceback" not in done.stdout


def test_files_before_settings_are_built(checkout: Checkout) -> None:
    checkout.snakemake("-n", FILE, "--config", "study=tiny", "set={training.max_steps: 10}")


def test_unlocking_does_not_advise_to_unlock(checkout: Checkout) -> None:
    lock = checkout.path / ".snakemake/locks/0.input.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    assert "warning: " in checkout.snakemake("-n", FILE).stdout
    assert "warning: " not in checkout.snakemake("--unlock").stdout
    assert not lock.exists()


def test_settings_for_jobs_are_no_settings_of_a_user(checkout: Checkout) -> None:
    done = checkout.snakemake("-n", "--config", "encoded=x", check=False)
    assert done.returncode == 1
    assert "encoded = 'x'" in done.stdout and "b64decode" not in done.stdout
