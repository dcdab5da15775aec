"""Which runs a fine-tuning starts from, and its trials.

    rankings, records of earlier phases  ->  starts.yaml: the best runs, and what fits their weights
    starts.yaml  ->  numbered slots: starts outermost, then points of a sweep, then seeds

A start is one run: of each of the best configurations the seed that came out best. Its weights, its
model and its tokens are taken; everything else is what the fine-tuning says itself.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from resweep import yaml12
from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import PathError, changed_paths, find
from resweep.data import store as data_store
from resweep.data.source import data_id
from resweep.errors import ConfigError, Problem, StoreError
from resweep.files import write_atomically
from resweep.paths import Layout, PhaseFolder
from resweep.plurals import counted
from resweep.ranking.best_of_phases import choose_best
from resweep.ranking.lost_weights import Lost, refuse_lost
from resweep.ranking.score_row import final_text
from resweep.ranking.trial_result import SEED
from resweep.search.rounds import RoundPlan
from resweep.search.rungs import step_of
from resweep.store.identity import resolve
from resweep.systems.registry import metric_of, system_of
from resweep.trials.trial import Outcome, Trial, read_outcome

MADE_AGAIN = "delete it and run snakemake: it is written again"


@with_config(ConfigDict(extra="forbid"))
class FineTuningPlan(TypedDict):
    """What its slots are filled from, besides the rankings.

    Attributes:
        config: What the fine-tuning says itself, complete, before it is fitted to its weights.
        fitted: The same, as far as it was fitted before any job.
        given: Paths that it sets, and that the run it starts from does not.
        forgetting: Whether to measure the loss on the data that the weights were trained on.
        top: How many runs it starts from.
        points: Of its sweep: path -> value; a single empty one without a sweep; none if they are
            proposed round by round.
        seeds: Of each point; none for the seed of the configuration.
        metric, band: Where it stops first: the band-th logged value of the metric.
    """

    study: str
    phase: str
    config: dict[str, Any]
    fitted: dict[str, Any]
    given: list[str]
    forgetting: bool
    top: Annotated[int, Field(gt=0)]
    points: list[dict[str, Any]]
    seeds: list[int]
    metric: str
    band: int | None


@with_config(ConfigDict(extra="forbid"))
class Start(TypedDict):
    """An entry of starts.yaml.

    Attributes:
        study, phase, trial: Whose run it is.
        final: The value that it was ranked by; for people.
        assignments: What it changes in the phase's configuration: path -> value.
    """

    study: str
    phase: str
    trial: str
    final: str
    assignments: dict[str, Any]


_STARTS = TypeAdapter(list[Start])


def find_starts(
    tables: Sequence[Path],
    plan: FineTuningPlan,
    layout: Layout,
    read: Callable[[Path], Outcome] = read_outcome,
) -> list[Start]:
    """Return what a fine-tuning starts from, best first, and prepare the data of each.

    Args:
        tables: Rankings of the phases whose runs are fine-tuned.
        plan: Of the fine-tuning.
        layout: Of the results folder.
        read: Reads a trial by its record.

    Raises:
        ConfigError: It does not fit the weights of a run.
        StoreError: The weights of a run are gone.
        DataError: Its data cannot be prepared.
    """
    starts = choose_starts(tables, plan, layout, read)
    lost = []
    for start in starts:
        try:
            _check(start, plan, layout)
        except StoreError as error:
            folder = layout.phase(start["study"], start["phase"])
            lost.append(Lost(folder, start["trial"], error))
    refuse_lost(lost)
    return starts


def choose_starts(
    tables: Sequence[Path],
    plan: FineTuningPlan,
    layout: Layout,
    read: Callable[[Path], Outcome] = read_outcome,
) -> list[Start]:
    """Return what a fine-tuning starts from, best first; fewer where there are fewer results.

    Nothing is written, and whether weights and data are there is not looked at.
    """
    chosen = choose_best(tables, plan["top"], read)
    configs = [_fitted(one.folder, one.outcome, plan, layout) for one in chosen]
    changed = _changed_by_any(plan["fitted"], configs)
    return [
        Start(
            study=one.folder.path.parent.name,
            phase=one.folder.path.name,
            trial=one.row.trial,
            final=final_text(one.row),
            assignments={path: find(config, path) for path in changed},
        )
        for one, config in zip(chosen, configs, strict=True)
    ]


def _changed_by_any(before: Mapping[str, Any], configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the paths whose values are not the same in all; each configuration has all of them.

    A mapping whose keys only some of them have is one value.
    """
    configs = list(configs)
    found = dict.fromkeys(path for config in configs for path in changed_paths(before, config))
    whole: dict[str, None] = {}
    for path in found:
        while "." in path and any(not _has(config, path) for config in configs):
            path = path.rpartition(".")[0]
        whole[path] = None
    return [path for path in whole if not any(path.startswith(f"{one}.") for one in whole)]


def _has(config: Mapping[str, Any], path: str) -> bool:
    parent, _, key = path.rpartition(".")
    place = find(config, parent)
    return isinstance(place, Mapping) and key in place


def _check(start: Start, plan: FineTuningPlan, layout: Layout) -> None:
    """Prepare the data of a start, and check that its weights are there and know its tokens."""
    config, where = config_of(plan, start), f"{start['phase']} trial {start['trial']}"
    system = system_of(config)
    data = data_store.ensure(system, config["data"], layout)
    try:
        resolved = resolve(config, data, layout)
    except ConfigError as error:
        hints = [Problem(where, one.key, one.value, one.hint) for one in error.problems]
        raise ConfigError(hints) from None
    unlike = system.compare_weights(resolved, data)
    if unlike is not None:
        raise ConfigError(Problem(where, "data", None, unlike))


def config_of(plan: FineTuningPlan, start: Start) -> dict[str, Any]:
    """Return what is trained from a start, complete, without the points of a sweep."""
    return compose.assign(plan["fitted"], start["assignments"])


def _fitted(
    folder: PhaseFolder, outcome: Outcome, plan: FineTuningPlan, layout: Layout
) -> dict[str, Any]:
    """Return the configuration of a fine-tuning of a run."""
    record, trained = outcome.record, outcome.trial.config
    where = f"{folder.path.name} trial {outcome.trial.trial}"
    system = system_of(plan["config"])
    config = copy.deepcopy(plan["config"])
    system.fit_to_run(
        config,
        trained,
        given=plan["given"],
        data=layout.data(data_id(system, trained["data"])),
        forgetting=plan["forgetting"],
    )
    config["run"]["checkpoint"] = f"{record.run_id}/{record.step}"
    config, problems = compose.validate(Composed(config, {}), where, system.schema)
    if problems:
        raise ConfigError(problems)
    return config


def start_round(plan: RoundPlan, starts: Sequence[Start]) -> RoundPlan | list[Trial]:
    """Return the plan of a round that starts from a run; its empty trials where there is none."""
    if not starts:
        return [lacking(plan.study, plan.phase, slot, 0) for slot in plan.slots]
    fixed = starts[0]["assignments"]
    return plan.starting_from(compose.assign(plan.config, fixed), fixed)


def write_starts(path: Path, starts: Sequence[Start]) -> None:
    """Write starts.yaml."""
    lines = ["# What is fine-tuned: runs of earlier phases, best first."]
    write_atomically(path, "\n".join([*lines, yaml12.dump(list(starts))]))


def read_starts(path: Path) -> list[Start]:
    """Read starts.yaml; raises ConfigError if it is not one."""
    try:
        return _STARTS.validate_python(yaml12.load(path))
    except ValidationError:
        hint = f"is not a list of starts; {MADE_AGAIN}"
        raise ConfigError(Problem(str(path), "", None, hint)) from None


def plan_trials(names: Sequence[str], plan: FineTuningPlan, starts: Sequence[Start]) -> list[Trial]:
    """Fill the slots of a fine-tuning whose points are known.

    Args:
        names: Of the slots.
        plan: Of the fine-tuning.
        starts: What it starts from.

    Returns:
        A trial per slot; those of starts that there are not are empty, with the reason.

    Raises:
        ConfigError: A value of the sweep cannot be set in the configuration of a start.
    """
    seeds: list[dict[str, Any]] = [{SEED: seed} for seed in plan["seeds"]] or [{}]
    each = [{**point, **seed} for point in plan["points"] for seed in seeds]
    trials = []
    for position, name in enumerate(names):
        index, within = divmod(position, len(each))
        if index >= len(starts):
            trials.append(lacking(plan["study"], plan["phase"], name, len(starts)))
        else:
            trials.append(_trial(name, plan, starts[index], each[within]))
    return trials


def lacking(study: str, phase: str, name: str, found: int) -> Trial:
    """Return an empty trial, for want of a run to start from."""
    reason = f"only {counted(found, 'configuration')} with a result to fine-tune"
    return Trial(study, phase, name, empty=reason if found else "nothing to fine-tune")


def _trial(name: str, plan: FineTuningPlan, start: Start, point: Mapping[str, Any]) -> Trial:
    try:
        config = compose.assign(config_of(plan, start), point)
    except PathError as error:
        where = f"{plan['study']}/{plan['phase']}"
        raise ConfigError(Problem(where, error.path, None, error.hint)) from None
    stop = step_of(plan["band"], metric_of(config, plan["metric"]), config["training"])
    return Trial(
        plan["study"],
        plan["phase"],
        name,
        config=config,
        assignments={**start["assignments"], **point},
        stop=stop,
    )
