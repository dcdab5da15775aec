"""Targets that no rule makes: which one is meant."""

import difflib
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from resweep.paths import Layout
from resweep.study import files
from resweep.study.stage_targets import stage_targets
from resweep.study.study import Study
from resweep.study.targets import targets

BEST = re.compile(r"top[1-9][0-9]*_best_configs\.yaml")


def unknown_target(
    target: str, names: Collection[str], layout: Layout, studies: Collection[Study]
) -> str | None:
    """Return what is wrong with a target, and the closest one; None if nothing is known.

    Args:
        target: A name of a rule or a path, as given.
        names: Of all rules.
        layout: Where results are.
        studies: Of the call.
    """
    path = Path(target)
    if target in names or path.is_absolute() or (path.exists() and not path.is_dir()):
        return None
    if path.is_relative_to(layout.root):
        return _unknown_file(path.relative_to(layout.root), layout, studies)
    if "/" in target:
        return None
    close = difflib.get_close_matches(target, names, n=1)
    hint = f"did you mean {close[0]}?" if close else "`resweep targets` lists them"
    if Path("config/studies", f"{target}.yaml").exists():
        hint = f"to build the study of this name: --config study={target}"
    return f"there is no target {target}; {hint}"


def _unknown_file(path: Path, layout: Layout, studies: Collection[Study]) -> str | None:
    """Return what is wrong with a path below the results: its first part that no file has."""
    known = {study.name: study for study in studies}
    study, *rest = path.parts or ("",)
    if study not in known:
        return _no_file(
            layout.root,
            study,
            known,
            f"; this call builds {', '.join(known)}: others by --config study=NAME",
        )
    folder = layout.study(study).path
    paths = [file.relative_to(folder).parts for file in _all_files(layout, known[study])]
    for part in rest:
        there = dict.fromkeys(parts[0] for parts in paths if parts)
        paths = [parts[1:] for parts in paths if parts[:1] == (part,)]
        if not paths and not BEST.fullmatch(part):
            return _no_file(folder, part, there)
        folder /= part
    inside = next(filter(None, paths), ())
    if inside:
        return f"{folder} is a folder; name a file in it: {folder.joinpath(*inside)}"
    return None


def _no_file(folder: Path, name: str, there: Iterable[str], hint: str = "") -> str:
    close = difflib.get_close_matches(name, there, n=1)
    hint = f"; did you mean {folder / close[0]}?" if close else hint
    return f"there is no target {folder / name}{hint}"


def _all_files(layout: Layout, study: Study) -> Iterator[Path]:
    """Yield every file of a study that a rule makes; of lists of the best, one a phase."""
    yield from targets(layout, study)
    yield from (
        file for target in stage_targets(layout, [study]).values() for file in target.files()
    )
    for phase in study.phases:
        folder = layout.phase(study.name, phase.name)
        for slot in files.all_slots(phase):
            yield from (folder.record(slot), folder.trial(slot))
        for trial in phase.trials:
            yield from (folder.gradients(trial), folder.gradient_figures(trial))
        for fill in phase.fills(layout):
            yield from (path for paths in fill.outputs.values() for path in paths)
