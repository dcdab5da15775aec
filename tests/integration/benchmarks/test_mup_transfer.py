"""The benchmark of muP: its tables, and what it shows."""

import math

import pytest

from benchmarks.mup import (
    BASE,
    Losses,
    Plan,
    Point,
    best_exponent,
    draw,
    mean_loss,
    regret,
    table,
    train_all,
)


def made_up() -> Losses:
    """Parabolas of log2 of the rate; without muP the optimum moves by one a doubling."""
    losses: Losses = {}
    for mup in ("off", "on"):
        for doublings, width in enumerate((64, 128, 256)):
            best = -7 - doublings * (mup == "off")
            for exponent in range(-10, -4):
                for seed in (0, 1):
                    loss = 2 + 0.1 * (exponent - best) ** 2 + 0.01 * seed
                    losses[Point(mup, width, exponent, seed)] = loss
    return losses


def test_rates_carried_to_other_widths():
    losses = made_up()
    assert [best_exponent(losses, "off", width) for width in (64, 128, 256)] == [-7, -8, -9]
    assert [best_exponent(losses, "on", width) for width in (64, 128, 256)] == [-7, -7, -7]
    assert regret(losses, "off", 256) == pytest.approx(0.4)
    assert regret(losses, "on", 256) == 0
    assert "| 256 | 2.105 | **2.005** | 2.105 | 2.405 | 2.905 | 3.605 | 2^-9 | 0.400 |" in table(
        losses, "off"
    )


def test_the_chart_leaves_out_what_diverged(tmp_path):
    losses = made_up()
    losses[Point("off", 256, -5, 0)] = math.inf
    draw(losses, tmp_path / "chart.svg")
    assert "learning rate" in (tmp_path / "chart.svg").read_text()


@pytest.mark.long
def test_learning_rates_transfer_with_mup_and_not_without(tmp_path):
    """The figures of docs/mup.md, without the width between."""
    losses = train_all(Plan(widths=(BASE, 256)), tmp_path)
    carried = best_exponent(losses, "off", BASE)
    assert best_exponent(losses, "on", 256) == carried
    assert best_exponent(losses, "off", 256) < carried
    assert regret(losses, "off", 256) > 0.1
    at_carried = [mean_loss(losses, mup, 256, carried) for mup in ("on", "off")]
    assert at_carried[0] < mean_loss(losses, "on", BASE, carried) < at_carried[1]
