"""The model card of a published model, from the record of its run: README.md of a hub folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.config.compose import leaves
from resweep.paths import Layout, PhaseFolder
from resweep.ranking.score_row import ScoreRow, best_rows
from resweep.ranking.score_table import read_ranking
from resweep.store import checkpoints as checkpoint
from resweep.store.run import Run
from resweep.systems.registry import system_of
from resweep.systems.system import System
from resweep.systems.values import TrainedRun
from resweep.trials.record import Record
from resweep.trials.trial import read_trial

CARD = "README.md"
PLACE = "THIS_FOLDER"  # in the line that loads the model


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What a card is about: a trained trial of a study."""

    study: str
    phase: str
    system: System
    run: TrainedRun
    run_id: str
    record: Record
    rows: Sequence[ScoreRow]


def hub_files(scores: Path, origin: Mapping[str, Any], layout: Layout) -> dict[str, Path | bytes]:
    """Return what a hub folder has besides the model: its tokenizer, if it has one, and the card.

    Args:
        scores: scores.csv of the phase.
        origin: Of the model, as `contents.best_model` returns it.
        layout: Of the results folder.

    Raises:
        DamagedFile: A file of the run is not what was written.
    """
    run = Run(layout.run(origin["run_id"]))
    config, step = run.config(), int(origin["step"])
    system = system_of(run.state().get("identity", {}))
    folder = run.path / checkpoint.folder_name(step)
    more = {
        file.name: file
        for pattern in system.more_model_files
        for file in sorted(folder.glob(pattern))
        if file.is_file() and file.name not in system.model_files
    }
    phase = PhaseFolder(scores.absolute().parent.parent / origin["phase"])
    rows = best_rows(read_ranking(scores)) if scores.is_file() else []
    trial = phase.trial(origin["trial"])
    record = next(
        one for path in run.folder.all_records() if (one := run.read_record(path)).step == step
    )
    subject = _Subject(
        study=phase.path.parent.name,
        phase=origin["phase"],
        system=system,
        run=TrainedRun(
            trial=origin["trial"],
            asked=read_trial(trial).config if trial.is_file() else config,
            config=config,
            folder=run.path,
            step=step,
            metrics=record.metrics,
        ),
        run_id=run.run_id,
        record=record,
        rows=rows if any(row.run_id == run.run_id for row in rows) else [],
    )
    names = (*system.model_files, *more)
    return {**more, CARD: _card(subject, names).encode()}


def _card(subject: _Subject, files: Sequence[str]) -> str:
    """Return the text of the card, with its metadata on top."""
    run, record = subject.run, subject.record
    facts = subject.system.describe(run)
    tags = ["resweep", f"study-{subject.study}"]
    metadata = yaml12.dump({**subject.system.card, "tags": tags})
    size = [] if record.parameters is None else [("parameters", f"{record.parameters:,}")]
    sections = {
        "Model": _table(("", ""), [*facts.items(), *size]),
        "Data": _table(("setting", "value"), _values(run.asked.get("data", {}))),
        "Hyperparameters": _table(("setting", "value"), _settings(run.asked)),
        "Results": _results(subject),
        "Training": _table(("", ""), _training(subject)),
        "Loading": _loading(subject.system, files),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items() if text)
    head = (
        f"Trained by resweep: trial `{run.trial}` of phase `{subject.phase}` of the study "
        f"`{subject.study}`, run `{subject.run_id}`."
    )
    return f"---\n{metadata}---\n\n# {subject.study}\n\n{head}\n\n{body}\n"


def _values(section: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in leaves(section) if value not in (None, [], {})]


def _settings(config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return _values({name: value for name, value in config.items() if name != "data"})


def _results(subject: _Subject) -> str:
    """Return the final metrics, and how they vary between the seeds of the configuration."""
    table = _table(("metric", "value"), sorted(subject.record.metrics.items()))
    first = next(iter(subject.rows), None)
    if first is None or first.final_mean is None or not first.seeds:
        return table
    spread = "" if first.final_std is None else f" ± {first.final_std:.4g} (standard deviation)"
    seeds = "seed" if first.seeds == 1 else "seeds"
    mean = f"{first.final_mean:.6g}{spread}"
    return f"{table}\n\nThe ranked metric over {first.seeds} {seeds}: {mean}."


def _training(subject: _Subject) -> list[tuple[str, Any]]:
    record = subject.record
    versions = ", ".join(f"{name} {text}" for name, text in (record.versions or {}).items())
    found = {
        "steps": record.step,
        "of at most": record.max_steps,
        "GPU seconds": None if record.gpu_seconds is None else round(record.gpu_seconds, 1),
        "device": record.device,
        "libraries": versions or None,
        "code": record.code,
    }
    return [(name, value) for name, value in found.items() if value is not None]


def _loading(system: System, files: Sequence[str]) -> str:
    line = system.load_line(Path(PLACE))
    if line is None:
        line = f'from safetensors.torch import load_file; load_file("{PLACE}/{files[0]}")'
    listed = ", ".join(f"`{name}`" for name in files)
    return f"Files: {listed}.\n\n```python\n{line}\n```"


def _table(head: tuple[str, str], rows: Sequence[tuple[str, Any]]) -> str:
    """Return a table of Markdown; empty without rows."""
    if not rows:
        return ""
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
