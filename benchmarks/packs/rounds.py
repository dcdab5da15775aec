"""Figures of contenders that were measured in the same rounds, as Markdown."""

import statistics
from collections.abc import Callable, Mapping, Sequence

from benchmarks.packs.process_tree import Usage

Figures = Mapping[str, Sequence[Usage]]  # of each contender, a round each


def in_turn(names: Sequence[str], number: int) -> list[str]:
    """Return the order of contenders in a round: another one begins each time."""
    first = number % len(names)
    return [*names[first:], *names[:first]]


def spread(values: Sequence[float], digits: int) -> str:
    """Return the median of some values, and their range if there are several."""
    low, middle, high = min(values), statistics.median(values), max(values)
    if len(values) == 1:
        return f"{middle:.{digits}f}"
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratios(figures: Figures, name: str, over: str, value: Callable[[Usage], float]) -> list[float]:
    """Return a value of one contender over that of another, round by round."""
    pairs = zip(figures[name], figures[over], strict=True)
    return [value(one) / value(other) for one, other in pairs]


def paired_table(title: str, figures: Figures, over: str) -> str:
    """Return a table of CPU and wall seconds, and their ratios to one of the contenders."""
    lines = [f"| {title} | CPU s | over {over} | wall s | over {over} |", "|---|---|---|---|---|"]
    for name, usages in figures.items():
        cells = [
            spread([usage.cpu for usage in usages], 1),
            spread(ratios(figures, name, over, lambda usage: usage.cpu), 2),
            spread([usage.wall for usage in usages], 1),
            spread(ratios(figures, name, over, lambda usage: usage.wall), 2),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
