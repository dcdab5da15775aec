"""The best configurations of a phase, and the trials of a rerun.

    scores.csv -> top{k}_best_configs.yaml -> trial files of the rerun

The best configurations are a plain list of mappings, `- {learning_rate: 0.004, pct_warmup: 0.1}`,
best first; a list written by hand works as well.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, with_config
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
from resweep.ranking.best_of_phases import Chosen, choose_best
from resweep.ranking.score_row import configurations, final_text, scored, scores_are_finals
from resweep.ranking.score_table import read_ranking
from resweep.ranking.ties import TIE_TEXTS, Tie
from resweep.ranking.trial_result import SEED
from resweep.search.distance import crowded_line, is_apart
from resweep.sweep import Parameter
from resweep.systems.registry import system_of
from resweep.systems.system import CHECKPOINT
from resweep.trials.best_configs import read_best_configs
from resweep.trials.trial import Outcome, Trial, read_outcome

RESUME = "run.resume"

log = logging.getLogger(__name__)


def _parameter(content: dict[str, Any]) -> dict[str, Any]:
    """Check the content of a parameter; raises ValueError."""
    _PARAMETER.validate_python(content)
    return content


_PARAMETER = TypeAdapter(Parameter)


@with_config(ConfigDict(extra="forbid"))
class RerunPlan(TypedDict):
    """What the slots of a rerun are filled from, besides the best configurations.

    Attributes:
        overrides: path -> value, applied last.
        own: Names of user-defined hyperparameters.
        distinct: How far apart its configurations have to be; without it, they may be equal.
        space: What its sources searched, as `Parameter.content`; without it, distances are unknown.
        resume: Whether the runs of the best trials are continued.
    """

    study: str
    phase: str
    config: dict[str, Any]
    overrides: dict[str, Any]
    seeds: Annotated[list[int], Field(min_length=1)]
    own: NotRequired[list[str]]
    distinct: NotRequired[Annotated[float, Field(gt=0, lt=1)]]
    space: NotRequired[list[Annotated[dict[str, Any], AfterValidator(_parameter)]]]
    resume: NotRequired[bool]


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
        facts = [f"trial {row.trial}"]
        if not by_final:
            facts.append(f"score {row.score:.4f}")
        facts.append(f"final {final_text(row)}")
        if row.tie in TIE_TEXTS:
            facts.append(TIE_TEXTS[Tie(row.tie)])
        named = _named(read(folder.record(row.trial)).trial)
        lines += [f"# rank {row.rank}: {', '.join(facts)}", yaml12.dump([named]).rstrip()]
    if len(lines) == 1:
        lines.append("[]")
    return "\n".join(lines) + "\n"


def best_of_phases_text(
    tables: Sequence[Path],
    top: int,
    plan: RerunPlan,
    read: Callable[[Path], Outcome] = read_outcome,
) -> str:
    """Return the list of the best configurations of phases, compared by their scores.

    A configuration that several phases have counts once, where it is best. With `distinct` in the
    plan, one that is nearer than that to one that is better is left out.

    Args:
        tables: Their rankings.
        top: Number of configurations.
        plan: Of the rerun.
        read: Reads a trial by its record.
    """
    least = plan.get("distinct")
    apart = "" if least is None else f", at least {least:g} apart"
    lines = [
        f"# The first {_count(top)} of {', '.join(str(path.parent) for path in tables)}{apart}."
    ]
    for chosen in _choose(tables, top, plan, read):
        row = chosen.row
        where = f"{chosen.folder.path.name} trial {row.trial}"
        lines.append(f"# {where}: rank {row.rank} there, final {final_text(row)}")
        lines.append(yaml12.dump([_named(chosen.outcome.trial)]).rstrip())
    if len(lines) == 1:
        lines.append("[]")
    return "\n".join(lines) + "\n"


def _choose(
    tables: Sequence[Path], top: int, plan: RerunPlan, read: Callable[[Path], Outcome]
) -> list[Chosen]:
    """Return these configurations; arguments of `best_of_phases_text`."""
    least, space = plan.get("distinct"), _space(plan.get("space", ()))

    def takes(swept: Mapping[str, Any], taken: Sequence[Mapping[str, Any]]) -> bool:
        return least is None or is_apart(least, space, swept, taken, plan["overrides"])

    return choose_best(tables, top, read, takes)


def runs_to_continue(
    tables: Sequence[Path],
    top: int,
    plan: RerunPlan,
    read: Callable[[Path], Outcome] = read_outcome,
) -> list[Outcome]:
    """Return the trials whose runs a rerun continues; arguments of `best_of_phases_text`."""
    return [chosen.outcome for chosen in _choose(tables, top, plan, read)]


def _space(contents: Iterable[Mapping[str, Any]]) -> list[Parameter]:
    return [Parameter(**content) for content in contents]


def _count(top: int) -> str:
    return "configuration" if top == 1 else f"{top} configurations"


def _named(chosen: Trial) -> dict[str, Any]:
    """Return a trial's configuration under short names, without its seed."""
    schema = system_of(chosen.config).schema
    ordered = schema.known_first(chosen.assignments)
    return {short_name(path, schema): chosen.assignments[path] for path in ordered if path != SEED}


def short_name(path: str, schema: Schema) -> str:
    """Return the last part of a path if it is unambiguous, else the whole path."""
    leaf = path.rpartition(".")[2]
    try:
        return leaf if compose.resolve_name(leaf, {}, schema) == path else path
    except ValueError:
        return path


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
    distinct: float | None = None,
    space: Iterable[Mapping[str, Any]] = (),
    resume: bool = False,
    resumed: Sequence[Outcome] = (),
) -> list[Trial]:
    """Fill the slots of a rerun: each of the best configurations with each seed, from scratch.

    Or each continues the run of its best trial, with the seed of that.

    Warns if they are nearly one configuration and were not chosen to be apart.

    Args:
        best_file: top{k}_best_configs.yaml.
        trials: Names of the slots, configurations outermost.
        study, phase: Where they belong.
        config: The configuration that the best configurations are applied to.
        overrides: path -> value, applied last.
        seeds: For each configuration.
        own: Names of user-defined hyperparameters, exempt from the spelling check.
        distinct: How far apart the best configurations were chosen to be, if they were.
        space: What they were searched in, as `Parameter.content`.
        resume: Whether runs are continued.
        resumed: Of each of the best configurations, the trial whose run is continued.

    Returns:
        One trial per slot; slots beyond the list are empty, with the reason.

    Raises:
        ConfigError: A configuration has invalid values, or does not continue its run.
    """
    schema = system_of(config).schema
    best = read_best_configs(best_file, schema, own)
    planned: list[Trial] = []
    problems: list[Problem] = []
    for position, name in enumerate(trials):
        index, seed = divmod(position, len(seeds))
        if index >= len(best):
            reason = f"{best_file.name} has only {counted(len(best), 'configuration')}"
            reason += "" if distinct is None else f" at least {distinct:g} apart"
            planned.append(Trial(study, phase, name, empty=reason))
            continue
        values = {path: overrides.get(path, value) for path, value in best[index].items()}
        last: dict[str, Any] = {SEED: seeds[seed]}
        full = config
        try:
            for layer in (best[index], overrides, last):
                full = compose.assign(full, layer)
            if resume:
                last = _continued(full, resumed[index])
                full = compose.assign(full, last)
        except PathError as error:
            problems.append(Problem(str(best_file), error.path, None, error.hint))
            continue
        origins = dict.fromkeys(best[index], str(best_file))
        composed = Composed(full, origins)
        checked, wrong = compose.validate(composed, str(best_file), schema)
        problems += compose.check_spelling(composed, str(best_file), schema, own) + wrong
        assignments = {**values, **last}
        planned.append(Trial(study, phase, name, config=checked, assignments=assignments))
    if problems:
        raise ConfigError({str(problem): problem for problem in problems}.values())
    used = best[: len(trials) // len(seeds)]
    crowded = crowded_line(_space(space), used, overrides) if distinct is None else None
    if crowded is not None:
        log.warning("%s/%s: %s", study, phase, crowded)
    return planned


def _continued(config: dict[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Return what is set to continue a run: path -> value.

    With the settings of the run itself that is its seed: the store continues it. With others, as
    more steps, another run takes over its checkpoint.

    Args:
        config: Of the rerun, with its own seed.
        outcome: The trial whose run it is.
    """
    before, record = outcome.trial.config, outcome.record
    seed = {SEED: before["training"]["seed"]}
    if canonical_json(compose.assign(config, seed)) == canonical_json(before):
        return seed
    return {**seed, CHECKPOINT: f"{record.run_id}/{record.step}", RESUME: True}
