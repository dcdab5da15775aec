"""The best configurations of a phase, and the trials of a rerun.

    scores.csv -> top{k}_best_configs.yaml -> trial files of the rerun

The best configurations are a plain list of mappings, `- {learning_rate: 0.004, pct_warmup: 0.1}`,
best first; a list written by hand works as well.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from resweep import yaml12
from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import PathError
from resweep.config.schema import Schema
from resweep.errors import ConfigError, Problem
from resweep.paths import PhaseFolder
from resweep.plurals import counted
from resweep.ranking.score_row import (
    ScoreRow,
    configurations,
    final_text,
    scored,
    scores_are_finals,
)
from resweep.ranking.score_table import read_ranking
from resweep.ranking.ties import TIE_TEXTS, Tie
from resweep.ranking.trial_result import SEED
from resweep.systems.registry import system_of
from resweep.trials.best_configs import read_best_configs
from resweep.trials.trial import Outcome, Trial, read_outcome


def best_configs_text(
    scores_path: Path,
    top: int,
    read: Callable[[Path], Outcome] = read_outcome,
    trials: int | None = None,
) -> str:
    """Return the content of top{k}_best_configs.yaml.

    Seeds are left out: they are not part of a configuration. With fewer than `top` configurations
    that have a score, the list is shorter.

    Args:
        scores_path: The ranking.
        top: Number of configurations.
        read: Reads a trial by its record.
        trials: How many the phase has; None: unknown.
    """
    rows = read_ranking(scores_path, trials)
    folder = PhaseFolder(scores_path.parent)
    by_final = scores_are_finals(rows)
    rule = "final value" if by_final else "score, the highest first"
    lines = [f"# The first {_count(top)} of {folder.path} by {rule}."]
    for row in [group[0] for group in configurations(scored(rows))[:top]]:
        named = _configuration(folder, row, read)[1]
        facts = [f"trial {row.trial}"]
        if not by_final:
            facts.append(f"score {row.score:.4f}")
        facts.append(f"final {final_text(row)}")
        if row.tie in TIE_TEXTS:
            facts.append(TIE_TEXTS[Tie(row.tie)])
        lines += [f"# rank {row.rank}: {', '.join(facts)}", yaml12.dump([named]).rstrip()]
    if len(lines) == 1:
        lines.append("[]")
    return "\n".join(lines) + "\n"


def best_of_phases_text(
    tables: Sequence[Path], top: int, read: Callable[[Path], Outcome] = read_outcome
) -> str:
    """Return the list of the best configurations of several phases, compared by their scores.

    A configuration that several phases have counts once, where it is best.

    Args:
        tables: Their rankings.
        top: Number of configurations.
        read: Reads a trial by its record.
    """
    found = []
    for position, table in enumerate(tables):
        for group in configurations(scored(read_ranking(table))):
            found.append((-(group[0].score or 0.0), position, group[0]))
    lines = [f"# The first {_count(top)} of {', '.join(str(path.parent) for path in tables)}."]
    seen: set[str] = set()
    for _, position, row in sorted(found, key=lambda one: one[:2]):
        folder = PhaseFolder(tables[position].parent)
        swept, named = _configuration(folder, row, read)
        if len(seen) < top and canonical_json(swept) not in seen:
            seen.add(canonical_json(swept))
            where = f"{folder.path.name} trial {row.trial}"
            lines.append(f"# {where}: rank {row.rank} there, final {final_text(row)}")
            lines.append(yaml12.dump([named]).rstrip())
    if len(lines) == 1:
        lines.append("[]")
    return "\n".join(lines) + "\n"


def _count(top: int) -> str:
    return "configuration" if top == 1 else f"{top} configurations"


def _configuration(
    folder: PhaseFolder, row: ScoreRow, read: Callable[[Path], Outcome]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a trial's configuration without its seed: by path, and under short names."""
    chosen = read(folder.record(row.trial)).trial
    schema = system_of(chosen.config).schema
    ordered = schema.known_first(chosen.assignments)
    swept = {path: chosen.assignments[path] for path in ordered if path != SEED}
    return swept, {short_name(path, schema): value for path, value in swept.items()}


def short_name(path: str, schema: Schema) -> str:
    """Return the last part of a path if it is unambiguous, else the whole path."""
    leaf = path.rpartition(".")[2]
    try:
        return leaf if compose.resolve_name(leaf, {}, schema) == path else path
    except ValueError:
        return path


@with_config(ConfigDict(extra="forbid"))
class RerunPlan(TypedDict):
    """What the slots of a rerun are filled from, besides the best configurations."""

    study: str
    phase: str
    config: dict[str, Any]
    overrides: dict[str, Any]
    seeds: Annotated[list[int], Field(min_length=1)]
    own: NotRequired[list[str]]


def plan_rerun(
    best_file: Path,
    trials: list[str],
    *,
    study: str,
    phase: str,
    config: dict[str, Any],
    overrides: Mapping[str, Any],
    seeds: list[int],
    own: Collection[str] = (),
) -> list[Trial]:
    """Fill the slots of a rerun: each of the best configurations with each seed, from scratch.

    Args:
        best_file: top{k}_best_configs.yaml.
        trials: Names of the slots, configurations outermost.
        study, phase: Where they belong.
        config: The configuration that the best configurations are applied to.
        overrides: path -> value, applied last.
        seeds: For each configuration.
        own: Names of user-defined hyperparameters, exempt from the spelling check.

    Returns:
        One trial per slot; slots beyond the list are empty, with the reason.

    Raises:
        ConfigError: A configuration has invalid values.
    """
    schema = system_of(config).schema
    best = read_best_configs(best_file, schema, own)
    planned: list[Trial] = []
    problems: list[Problem] = []
    for position, name in enumerate(trials):
        index, seed = divmod(position, len(seeds))
        if index >= len(best):
            reason = f"{best_file.name} has only {counted(len(best), 'configuration')}"
            planned.append(Trial(study, phase, name, empty=reason))
            continue
        values = {path: overrides.get(path, value) for path, value in best[index].items()}
        assignments = {**values, SEED: seeds[seed]}
        full = config
        try:
            for layer in (best[index], overrides, {SEED: seeds[seed]}):
                full = compose.assign(full, layer)
        except PathError as error:
            problems.append(Problem(str(best_file), error.path, None, error.hint))
            continue
        origins = dict.fromkeys(best[index], str(best_file))
        composed = Composed(full, origins)
        checked, wrong = compose.validate(composed, str(best_file), schema)
        problems += compose.check_spelling(composed, str(best_file), schema, own) + wrong
        planned.append(Trial(study, phase, name, config=checked, assignments=assignments))
    if problems:
        raise ConfigError({str(problem): problem for problem in problems}.values())
    return planned
