"""An analysis of gradients as text for a terminal, and as CSV."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from resweep.analysis.gradient_analysis import CheckpointGradients, GradientAnalysis
from resweep.analysis.gradients import Cosines
from resweep.csv_files import columns_text
from resweep.report.results import shown
from resweep.report.text_table import text_table

MOST_COLUMNS = 8  # checkpoints, or layers, side by side
T = TypeVar("T")


def gradients_text(analysis: GradientAnalysis) -> str:
    """Return an analysis as text: tables of norms and cosines, and what vanishes or explodes."""
    return "\n".join(_lines(analysis)) + "\n"


def _lines(analysis: GradientAnalysis) -> Iterator[str]:
    last = analysis.last
    yield f"gradients of {analysis.given}, {last.checkpoint.name}"
    yield from _table(last)
    if len(analysis.checkpoints) > 1:
        yield from ("", "norm over checkpoints")
        yield from _course(analysis)
    if last.between_layers is not None:
        yield from ("", f"cosine between layers, {last.checkpoint.name}")
        yield from _cosines(last.between_layers)
    if len(analysis.checkpoints) > 1:
        yield from ("", f"cosine between checkpoints, {analysis.layer or 'all parameters'}")
        yield from _cosines(analysis.between_checkpoints)
    yield ""
    found = [(one, *fault) for one in analysis.checkpoints for fault in one.faults.items()]
    if not found:
        yield "no layer or parameter vanishes or explodes"
    for one, name, fault in found:
        yield f"{one.checkpoint.name}: {name}: {fault}"


def _table(one: CheckpointGradients) -> Iterator[str]:
    noisy = one.whole.noise is not None
    titles = ["layer", "elements", "norm", "rms", *(["variance", "noise"] if noisy else []), ""]
    rows = []
    for name, part in zip(
        [*short_names([part.name for part in one.layers]), "all"],
        [*one.layers, one.whole],
        strict=True,
    ):
        noise = part.noise
        share = "" if noise is None or noise.share is None else f"{noise.share:.0%}"
        more = [shown(noise.variance) if noise else "", share] if noisy else []
        fault = one.faults.get(part.name, "").partition(":")[0]
        rows.append([name, f"{part.elements:,}", shown(part.norm), shown(part.rms), *more, fault])
    return text_table(titles, rows)


def _course(analysis: GradientAnalysis) -> Iterator[str]:
    """Yield the norms of each layer, or of the one that was asked for, over the checkpoints."""
    some = spread(analysis.checkpoints)
    names = [part.name for part in analysis.last.layers]
    if analysis.layer is not None:
        yield analysis.layer
        names = [analysis.layer]
    rows = []
    for name, short in zip(names, short_names(names), strict=True):
        found = [one.part(name) for one in some]
        rows.append([short, *("" if part is None else shown(part.norm, 3) for part in found), ""])
    yield from text_table(["step", *(one.checkpoint.short for one in some), ""], rows)


def _cosines(cosines: Cosines) -> Iterator[str]:
    names = short_names(cosines.names)
    places = spread(range(len(names)))
    rows = []
    for row in places:
        found = [cosines.values[row][place] for place in places]
        values = ["" if value is None else f"{value:z.2f}" for value in found]
        rows.append([names[row], *values, ""])
    yield from text_table(["", *(names[place] for place in places), ""], rows)


def short_names(names: Sequence[str]) -> list[str]:
    """Return names without what all of them begin with: `transformer.h.0` -> `h.0`."""
    split = [name.split(".") for name in names]
    least = min((len(one) for one in split), default=1)
    shared = 0
    while shared + 1 < least and len({one[shared] for one in split}) == 1:
        if any(one[shared + 1].isdigit() for one in split):
            break  # the number of a block says nothing alone
        shared += 1
    return [".".join(one[shared:]) for one in split]


def spread(items: Sequence[T]) -> list[T]:
    """Return the first, the last and evenly spread ones between, so that they fit side by side."""
    if len(items) <= MOST_COLUMNS:
        return list(items)
    last = len(items) - 1
    return [items[round(i * last / (MOST_COLUMNS - 1))] for i in range(MOST_COLUMNS)]


def gradients_csv(analysis: GradientAnalysis) -> str:
    """Return a table of all parameters and layers of all checkpoints."""
    rows = [
        {
            "step": one.checkpoint.step,
            "kind": kind,
            "name": part.name,
            "elements": part.elements,
            "norm": part.norm,
            "rms": part.rms,
            "variance": part.noise and part.noise.variance,
            "noise": part.noise and part.noise.share,
            "fault": one.faults.get(part.name),
        }
        for one in analysis.checkpoints
        for kind, parts in (("layer", one.layers), ("parameter", one.parameters))
        for part in parts
    ]
    return columns_text({name: [row[name] for row in rows] for name in rows[0]})
