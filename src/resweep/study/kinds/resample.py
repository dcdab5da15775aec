"""A resample: more trials near the best of earlier phases.

rankings and records of these phases  ->  regions around their best  ->  numbered slots, in rounds

It is a sweep whose rounds are proposed by `resweep.search.focus`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from resweep.config import compose
from resweep.config.section import Above0, Positive, Seed
from resweep.config.spelling import nearest
from resweep.errors import ConfigError, Problem
from resweep.search.focus import FACTORS, Focus, scale_of
from resweep.search.rounds import RoundPlan
from resweep.search.stages import Stage, round_names
from resweep.study.kinds.finetune import FinetunePhase
from resweep.study.kinds.sweep_phase import Search, SweepPhase
from resweep.study.phase_file import Loaded, Names, PhaseFile, Surroundings
from resweep.sweep import Parameter
from resweep.sweep.points import MOST_POINTS

Factors = Annotated[tuple[Above0, Above0], BeforeValidator(tuple)]


class ResampleFile(PhaseFile):
    """A resample, as written."""

    kind: Literal["resample"] = Field(description="more trials near the best of earlier phases")
    of: Names = Field((), description="the earlier sweep or resample, or a list of them")
    top: Positive | None = Field(None, description="how many of the best get a region; null: 1")
    trials: Annotated[Positive, Field(le=MOST_POINTS)] | None = Field(
        None, description="number of trials in all regions together; required"
    )
    rounds: Positive | None = Field(
        None, description="batches, each around the best of all before it; null: 1"
    )
    adaptive: bool | None = Field(
        None, description="narrow each region to where good trials are; null: false"
    )
    factors: dict[str, Factors] | None = Field(
        None, description="name: [low, high], the ends of a region as factors of the best value"
    )
    seed: Seed | None = Field(None, description="seed of random draws; null: 0")

    @property
    def builds_on(self) -> str | None:
        """It builds on the first phase that it resamples."""
        return self.of[0] if self.of else None

    def load(self, around: Surroundings) -> Loaded:
        """Load the phase; raises ConfigError with all its errors."""
        problems = self._check_sources(around)
        if self.trials is None:
            problems.append(around.problem("trials", None, "is missing: how many to train"))
        rounds = self.rounds or 1
        if self.trials is not None and rounds > self.trials:
            hint = f"should be at most trials = {self.trials}"
            problems.append(around.problem("rounds", rounds, hint))
        sources = [around.earlier[name] for name in self.of if name in around.earlier]
        space = _join(phase.space for phase in sources if isinstance(phase, SweepPhase))
        factors, found = self._factors(around, space)
        problems += found
        problems += [
            around.problem(f"set.{path}", value, "is resampled; remove one of the two")
            for path, value in around.overrides.items()
            if path in space
        ]
        if problems:
            raise ConfigError(problems)
        if len(sources) < len(self.of) or not around.complete or self.trials is None:
            return Loaded(phase=None, warnings=[])
        size = -(-self.trials // rounds)
        search = Search(
            rounds=round_names(self.trials, size),
            round_size=size,
            parameters=tuple(space[path] for path in sorted(space)),
            sampler="focused",
            seed=self.seed or 0,
            target=None,
            warm_start=self.of,
        )
        phase = ResamplePhase(
            config=around.complete,
            score=sources[0].score,
            search=search,
            space=search.parameters,
            focus=Focus(top=self.top or 1, adaptive=bool(self.adaptive), factors=factors),
            **around.common,
        )
        return Loaded(phase=phase, warnings=[])

    def _check_sources(self, around: Surroundings) -> list[Problem]:
        problems = []
        if not self.of:
            problems.append(around.problem("of", None, "is missing: name an earlier phase"))
        for name in self.of:
            if name in around.broken:
                continue
            phase = around.earlier.get(name)
            if phase is None:
                meant = nearest(name, list(around.earlier))
                known = ", ".join(around.earlier) or "none"
                there = f"did you mean {meant}?" if meant else f"there are: {known}"
                hint = f"should name an earlier phase; {there}"
                problems.append(around.problem("of", name, hint))
            elif not isinstance(phase, SweepPhase) or not phase.space:
                hint = "has no search space: name the sweep that it takes its trials from"
                problems.append(around.problem("of", name, hint))
            elif isinstance(phase, FinetunePhase):
                hint = (
                    "starts from weights that its own job chooses; search in it, with sweep: FILE"
                )
                problems.append(around.problem("of", name, hint))
        return problems

    def _factors(
        self, around: Surroundings, space: Mapping[str, Parameter]
    ) -> tuple[dict[str, tuple[float, float]], list[Problem]]:
        """Return the factors by path, and what is wrong with them."""
        factors: dict[str, tuple[float, float]] = {}
        problems = []
        for name, (low, high) in (self.factors or {}).items():
            key = f"factors.{name}"
            try:
                path = compose.resolve_name(name, around.config, around.system.schema)
            except ValueError as error:
                problems.append(around.problem(key, None, str(error)))
                continue
            if space and path not in space:
                hint = f"is not resampled; there are: {', '.join(space)}"
                problems.append(around.problem(key, None, hint))
            elif space and scale_of(space[path]) not in FACTORS:
                problems.append(around.problem(key, None, "is for numbers, and this has choices"))
            elif not low <= 1 <= high or low == high:
                hint = "should be [low, high] with the best value between: [0.5, 2]"
                problems.append(around.problem(key, [low, high], hint))
            factors[path] = (low, high)
        return factors, problems


def _join(spaces: Any) -> dict[str, Parameter]:
    """Return the parameters of several spaces by path; of one that several have, the first."""
    found: dict[str, Parameter] = {}
    for space in spaces:
        for parameter in space:
            found.setdefault(parameter.name, parameter)
    return found


@dataclass(frozen=True, kw_only=True)
class ResamplePhase(SweepPhase):
    """A resample.

    Attributes:
        focus: How it is focused.
    """

    kind: ClassVar[str] = "resample"

    focus: Focus

    @property
    def settings(self) -> dict[str, Any]:
        """What a resample adds to the phase."""
        assert self.search is not None
        return {
            **super().settings,
            "of": list(self.search.warm_start),
            "top": self.focus.top,
            "adaptive": self.focus.adaptive,
            "factors": {path: list(pair) for path, pair in self.focus.factors.items()},
        }

    def round_plan(self, stage: Stage) -> RoundPlan:
        """Return what the trials of a round are proposed from, besides records."""
        return super().round_plan(stage).focused(self.focus)
