"""A rerun: the best configurations of an earlier phase, trained from scratch with several seeds.

top{k}_best_configs.yaml of the earlier phase  ->  numbered slots, configurations outermost

Instead of a phase, `of` may name a list of best configurations: written by hand, or by an analysis.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.config.nesting import OWN
from resweep.config.own_names import own_path
from resweep.config.section import Positive, Seed
from resweep.errors import ConfigError, Problem
from resweep.paths import Layout
from resweep.search.stages import numbers
from resweep.study.files import data_stamps, trial_files
from resweep.study.fill import Fill
from resweep.study.kinds.sources import (
    SEED,
    check_comparable,
    check_listed,
    check_names,
    check_seeds,
    check_top,
    check_weights,
    join_spaces,
    space_of,
    warn_of_unread,
)
from resweep.study.metric import PhaseScore, check_logged_by_all, choose_metric
from resweep.study.phase_file import Loaded, Names, PhaseFile, Surroundings
from resweep.study.study import Phase
from resweep.sweep import Parameter
from resweep.systems.registry import system_of
from resweep.trials.best_configs import read_best_configs

MAX_STEPS = "training.max_steps"


class RerunFile(PhaseFile):
    """A rerun, as written."""

    kind: Literal["rerun"] = Field(description="the best of an earlier phase, from scratch")
    of: Names = Field(
        (),
        description="the earlier phase to rerun, a list of phases, or a YAML file of best "
        "configurations",
    )
    top: Positive | None = Field(
        None, description="how many of its best; null: 1, or all of the file"
    )
    seeds: Annotated[list[Seed], Field(min_length=1)] | None = Field(
        None, description="each configuration is trained with all seeds; null: training.seed"
    )
    resume: bool | None = Field(
        None,
        description="continue the run of each best trial, with its optimizer and seed, from where "
        "it ended; null: false, train from scratch",
    )
    distinct: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="skip near-copies: the least distance of a configuration from each better one "
        "that is rerun. The distance is the largest difference over the parameters, each as a "
        "fraction of its range (of the logarithm on log scales); different choices differ by 1",
    )

    @property
    def builds_on(self) -> str | None:
        """It builds on the first phase that it reruns."""
        return self.of[0] if self.of and self._file is None else None

    @property
    def _file(self) -> Path | None:
        """The list of best configurations that it takes, or None."""
        if len(self.of) == 1 and self.of[0].endswith((".yaml", ".yml")):
            return Path(self.of[0])
        return None

    def load(self, around: Surroundings) -> Loaded:
        """Load the phase; raises ConfigError with all its errors."""
        problems = check_seeds(self.seeds, around)
        if self._file is not None:
            return self._load_file(self._file, around, problems)
        problems += check_names(self.of, around)
        sources = [around.earlier[name] for name in self.of if name in around.earlier]
        top = self.top or 1
        if len(sources) == len(self.of):
            problems += check_top(top, sources, around)
        for source in sources:
            problems += _check_set(around, source)
            if self.distinct is not None and not space_of(source):
                hint = f"needs a search space, and {source.name} has none: name sweeps"
                problems.append(around.problem("distinct", self.distinct, hint))
        problems += check_comparable(sources, around)
        if self.resume:
            problems += self._check_resume(sources, around)
        if problems:
            raise ConfigError(problems)
        if len(sources) < len(self.of) or not around.complete:
            return Loaded(phase=None, warnings=[])
        seeds = self.seeds or [around.complete["training"]["seed"]]
        phase = RerunPhase(
            config=around.complete,
            score=sources[0].score,
            overrides={
                path: compose.coerce(path, value, around.system.schema)
                for path, value in around.overrides.items()
            },
            sources=self.of,
            possible_values=tuple(one for source in sources for one in source.possible()),
            top=top,
            seeds=tuple(seeds),
            distinct=self.distinct,
            space=join_spaces(sources),
            resume=bool(self.resume),
            **around.common,
        )
        varied = (assigned for source in sources for assigned in source.varied())
        again = ({**assigned, **phase.overrides} for assigned in varied)
        check_logged_by_all(phase.score, phase.config, again, around.study_path)
        return Loaded(phase=phase, warnings=[])

    def _check_resume(self, sources: list[Phase], around: Surroundings) -> list[Problem]:
        """Refuse what a run that is continued cannot have: another seed, other steps of lines."""
        problems = []
        if self.seeds:
            hint = "a run is continued with its own seed; remove seeds, or resume"
            problems.append(around.problem("seeds", self.seeds, hint))
        seed, seeds = around.overrides.get(SEED), {s.config["training"]["seed"] for s in sources}
        if not self.seeds and seed is not None and seeds != {seed}:
            hint = "a run is continued with its own seed; remove it, or resume"
            problems.append(around.problem(f"set.{SEED}", seed, hint))
        for source in sources:
            if source.keep == "none" or (self.distinct is not None and source.keep != "all"):
                kept = "all" if self.distinct is not None else "best"
                hint = f"needs the weights of {source.name}; set keep: {kept} there"
                problems.append(around.problem("resume", True, hint))
            for name in ("log_steps", "eval_steps"):
                theirs, ours = (
                    one["training"][name] if one else None
                    for one in (source.config, around.complete)
                )
                if around.complete and ours != theirs:
                    hint = f"should be {theirs}, as in {source.name}, whose runs are continued"
                    problems.append(around.problem(f"set.training.{name}", ours, hint))
            if around.complete:
                problems += check_weights(around.complete, source, around.given, around)
            horizon = around.complete["training"]["max_steps"] if around.complete else None
            before = source.config["training"]["max_steps"]
            swept = any(MAX_STEPS in assigned for assigned in source.varied())
            if horizon is not None and before is not None and horizon <= before and not swept:
                hint = f"should be more than {before}, where the runs of {source.name} end"
                problems.append(around.problem(f"set.{MAX_STEPS}", horizon, hint))
        return problems

    def _load_file(self, file: Path, around: Surroundings, problems: list[Problem]) -> Loaded:
        """Load a rerun of a list of best configurations."""
        listed: list[dict[str, Any]] = []
        try:
            listed = read_best_configs(file, around.system.schema, around.common["own"])
            if not listed:
                problems.append(Problem(str(file), "", None, "lists no configuration"))
            problems += check_listed(file, listed, around)
        except ConfigError as error:
            problems += error.problems
        top = self.top or len(listed)
        if listed and top > len(listed):
            hint = f"should be at most {len(listed)}, the configurations of {file}"
            problems.append(around.problem("top", top, hint))
        if self.distinct is not None:
            hint = f"needs a search space, and {file} has none; remove it"
            problems.append(around.problem("distinct", self.distinct, hint))
        if self.resume:
            hint = f"continues runs, and {file} lists settings: name a phase"
            problems.append(around.problem("resume", True, hint))
        score: PhaseScore | None = None
        try:
            score = choose_metric(around.score, None, around.study_path, around.system)
        except ConfigError as error:
            problems += error.problems
        if problems:
            raise ConfigError(problems)
        if not around.complete:
            return Loaded(phase=None, warnings=[])
        assert score is not None, "else there are problems"
        phase = RerunPhase(
            config=around.complete,
            score=score,
            overrides={
                path: compose.coerce(path, value, around.system.schema)
                for path, value in around.overrides.items()
            },
            sources=self.of,
            file=file,
            possible_values=tuple(listed),
            top=top,
            seeds=tuple(self.seeds or [around.complete["training"]["seed"]]),
            **around.common,
        )
        return Loaded(phase=phase, warnings=warn_of_unread(file, listed[:top], around))


def _check_set(around: Surroundings, source: Phase) -> list[Problem]:
    """Refuse values that leave no place for what the phase that is rerun has swept."""
    root = source
    while isinstance(root, RerunPhase) and root.file is None:
        root = around.earlier[root.sources[0]]
    swept: dict[str, Any] = {}
    for assigned in root.varied():
        swept |= assigned
    problems = []
    for path, value in around.overrides.items():
        if path.startswith(f"{OWN}."):
            continue
        lost = [
            other
            for other, taken in swept.items()
            if other.startswith(f"{path}.")
            or (path.startswith(f"{other}.") and not isinstance(taken, Mapping))
        ]
        if lost:
            kept = own_path(path)
            meant = f"write {kept}, where {root.name} has it" if kept in swept else "remove it"
            hint = f"leaves no place for {', '.join(lost)}, which {root.name} sweeps; {meant}"
            problems.append(around.problem(f"set.{path}", value, hint))
    return problems


@dataclass(frozen=True, kw_only=True)
class RerunPhase(Phase):
    """A rerun.

    Attributes:
        overrides: path -> value, set on top of the best trial's assignments.
        sources: Names of the phases whose best trials are rerun, or the file.
        file: The list of best configurations that is rerun; None: that of the phases.
        possible_values: What these may assign, as far as it is known.
        top: How many of them.
        seeds: Seeds that each of them is trained with.
        distinct: How far apart they have to be, if they have to.
        space: What its sources searched; empty if one of them has no space.
        resume: Whether it continues the runs of the best trials.
    """

    kind: ClassVar[str] = "rerun"
    publishes_configs: ClassVar[bool] = True

    overrides: Mapping[str, Any]
    sources: tuple[str, ...]
    file: Path | None = None
    possible_values: tuple[Mapping[str, Any], ...] = field(repr=False)
    top: int
    seeds: tuple[int, ...]
    distinct: float | None = None
    space: tuple[Parameter, ...] = ()
    resume: bool = False

    @property
    def trials(self) -> list[str]:
        """Numbers of the slots."""
        return list(numbers(self.top * len(self.seeds)))

    def varied(self) -> Iterable[Mapping[str, Any]]:
        """Yield what the configurations of a file assign; of a phase, nothing is known."""
        return [{}] if self.file is None else self.possible_values

    def possible(self) -> Iterator[Mapping[str, Any]]:
        """Yield what its source may assign, with the overrides on top."""
        yield {}
        for assigned in self.possible_values:
            yield {**assigned, **self.overrides}

    def data_settings(self) -> list[dict[str, Any]]:
        """Return its own, unless these are of no trial: what its source has swept is missing."""
        schema = system_of(self.config).schema
        swept = {path.partition(".")[0] for given in self.possible() for path in given}
        if "data" in swept and compose.infeasible(self.config, schema) is not None:
            return []
        return super().data_settings()

    @property
    def _chooses(self) -> bool:
        """Whether its own job chooses its configurations from the rankings of its sources."""
        several = len(self.sources) > 1
        return self.file is None and (several or self.resume or self.distinct is not None)

    @property
    def asks(self) -> Mapping[str, int]:
        """The best trials of its source, unless its own job chooses among results alone."""
        if self.resume:
            return dict.fromkeys(self.sources, self.top)
        if self.file is not None or self._chooses:
            return {}
        return {self.sources[0]: self.top}

    @property
    def settings(self) -> dict[str, Any]:
        """What a rerun adds to the phase."""
        return {
            "of": self.sources[0] if len(self.sources) == 1 else list(self.sources),
            "top": self.top,
            "seeds": list(self.seeds),
            "distinct": self.distinct,
            "resume": self.resume,
            "overrides": dict(self.overrides),
        }

    def best_lists(self, layout: Layout) -> list[Path]:
        """Return the list that is rerun."""
        if self.file is not None:
            return [self.file]
        if self._chooses:
            return [layout.phase(self.study, self.name).chosen]
        return super().best_lists(layout)

    def fills(self, layout: Layout) -> list[Fill]:
        """One job fills all slots; where a list is not enough, it chooses from rankings first."""
        best, data = self.best_lists(layout), data_stamps(layout, self)
        trials = trial_files(layout, self)
        plan = canonical_json(self.plan())
        if not self._chooses:
            fill = Fill(
                verb="plan",
                script="plan_rerun.py",
                plan=plan,
                inputs={"best": best, "data": data},
                outputs={"trials": trials},
                passes=("best", "trials"),
            )
        else:
            scores = [layout.phase(self.study, source).scores for source in self.sources]
            fill = Fill(
                verb="plan",
                script="plan_rerun.py",
                plan=plan,
                inputs={"scores": scores, "data": data},
                outputs={"best": best, "trials": trials},
                passes=("scores", "best", "trials"),
            )
        return [fill]

    def plan(self) -> dict[str, Any]:
        """Return what the slots are filled from, besides the best configurations."""
        plan: dict[str, Any] = {
            "study": self.study,
            "phase": self.name,
            "config": self.config,
            "overrides": dict(self.overrides),
            "seeds": list(self.seeds),
            "own": list(self.own),
        }
        if self.distinct is not None:
            plan["distinct"] = self.distinct
        if self.space and self.top > 1:  # one configuration has no near-copies
            plan["space"] = [parameter.content for parameter in self.space]
        if self.resume:
            plan["resume"] = True
        return plan
