"""Curvature as text for a terminal, and as CSV."""

from collections.abc import Iterator

from resweep.analysis.gradient_text import spread
from resweep.analysis.trajectories import CurvatureAnalysis, Trajectories
from resweep.csv_files import columns_text
from resweep.plurals import counted
from resweep.report.text_table import text_table


def curvature_text(analysis: CurvatureAnalysis) -> str:
    """Return an analysis as text: the curvature by layer, and where it is lowest."""
    return "\n".join(_lines(analysis)) + "\n"


def _lines(analysis: CurvatureAnalysis) -> Iterator[str]:
    yield (
        f"curvature of {analysis.given} in degrees: mean over "
        f"{counted(analysis.sentences, 'sentence')}, {counted(analysis.tokens, 'token')}"
    )
    some = spread(analysis.models)
    rows = []
    for place in range(max(len(one.layers) for one in some)):
        cells = [_cell(one, place) for one in some]
        rows.append([_layer_name(place), *cells, ""])
    yield from text_table(["layer", *(one.name.removeprefix("step ") for one in some), ""], rows)
    for one in analysis.models:
        yield f"{one.name}: {_lowest(one)}"


def _layer_name(place: int) -> str:
    return "embeddings" if place == 0 else f"{place}"


def _cell(one: Trajectories, place: int) -> str:
    mean = one.layers[place].mean if place < len(one.layers) else None
    return "" if mean is None else f"{mean:.1f}"


def _lowest(one: Trajectories) -> str:
    """Return the layer with the lowest curvature after the embeddings, and the difference."""
    changes = [(one.layers[i].change, i) for i in range(1, len(one.layers))]
    known = [(change, place) for change, place in changes if change is not None]
    if not known:
        return "no trajectory has an angle"
    change, place = min(known)
    error = one.layers[place].change_error
    size = f"{abs(change):.2f}" + ("" if error is None else f" ± {error:.2f}")
    side = "below" if change < 0 else "above"
    return f"lowest after layer {place}, {size} {side} the embeddings"


def curvature_csv(analysis: CurvatureAnalysis) -> str:
    """Return a table of all layers of all models."""
    rows = [
        {"model": one.name, "step": one.step, "layer": place, **vars(numbers)}
        for one in analysis.models
        for place, numbers in enumerate(one.layers)
    ]
    return columns_text({name: [row[name] for row in rows] for name in rows[0]})
