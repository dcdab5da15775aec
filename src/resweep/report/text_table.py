"""Tables and long lines for a terminal."""

from collections.abc import Iterator, Sequence

WIDTH = 100
LONGEST_CELL = 24


def text_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], fixed: int = 2
) -> Iterator[str]:
    """Yield a table's lines; long cells are cut, and the last column takes the remaining width.

    If the columns do not fit into a line, some are left out: the last ones but for the first two,
    those of `fixed`, and the last column.
    """
    cells = [[cut(cell, LONGEST_CELL) for cell in row[:-1]] + [row[-1]] for row in (titles, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles) - 1)]
    shown_columns = list(range(len(widths)))
    while sum(widths[c] + 2 for c in shown_columns) > WIDTH - 12 and len(shown_columns) > 3 + fixed:
        shown_columns.pop(-1 - fixed)  # the last hyperparameter
    for row in cells:
        line = "  " + "  ".join(
            row[c].ljust(widths[c]) if titles[c] == "trial" else row[c].rjust(widths[c])
            for c in shown_columns
        )
        yield cut(f"{line}  {row[-1]}", WIDTH).rstrip()


def cut(text: str, width: int) -> str:
    """Cut a text that is too long."""
    return text if len(text) <= width else text[: width - 3] + "..."
