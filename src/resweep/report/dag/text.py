"""The same for a terminal: a line for each box, below those that it needs."""

from collections.abc import Iterator

from resweep.report.dag.boxes import Graph


def lines(graph: Graph) -> Iterator[str]:
    """Yield the graph's lines."""
    yield graph.title
    cells = {}
    for place, box in graph.boxes.items():
        after = [needed for needed, other in graph.needs if other == place]
        names = [x.verb if x.row == place.row else f"{x.verb} ({x.row})" for x in after]
        back = [x.verb for x, other in graph.returns if other == place]
        then = [f"after {', '.join(names)}"] if names else []
        then += [f"again after {', '.join(back)}"] if back else []
        cells[place] = (place.verb, box.size, box.progress, "; ".join(then))
    widths = [max((len(row[column]) for row in cells.values()), default=0) for column in range(3)]
    for name, about in graph.rows.items():
        yield f"{name} ({', '.join(about)})" if about else name
        for place, row in cells.items():
            if place.row == name:
                padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
                yield "  ".join(["", *padded, row[3]]).rstrip()
