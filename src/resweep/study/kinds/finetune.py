"""A fine-tuning: the best runs of earlier phases, trained further on other data.

rankings of these phases  ->  starts.yaml  ->  numbered slots; with a sweep, one for each of its
points; with a Bayesian sweep, rounds of them

The weights, the model and the tokens are those of the run; optimizer, schedule and step start from
the beginning, with what the phase itself says of them. In between, it is a sweep.
"""

import copy
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from resweep.canonical import canonical_json
from resweep.config import compose
from resweep.config.compose import Composed, Layer
from resweep.config.nesting import changed_paths, find, leaves, nest
from resweep.config.section import Positive, Seed
from resweep.data.source import data_id
from resweep.errors import ConfigError, DataError, Problem
from resweep.paths import Layout
from resweep.search.stages import numbers
from resweep.study.files import data_stamps, stage_trials
from resweep.study.fill import Fill
from resweep.study.kinds.sources import (
    SEED,
    check_comparable,
    check_names,
    check_seeds,
    check_top,
    check_weights,
    placed,
)
from resweep.study.kinds.sweep import SweepKeys
from resweep.study.kinds.sweep_phase import SweepPhase
from resweep.study.metric import check_logged_by_all, choose_metric
from resweep.study.phase_file import Loaded, Names, Surroundings
from resweep.study.study import Phase, is_made_here
from resweep.systems.system import CHECKPOINT, SHARED

RESUME = "run.resume"
RESULTS = Layout()


class FinetuneFile(SweepKeys):
    """A fine-tuning, as written."""

    kind: Literal["finetune"] = Field(description="the best runs of earlier phases, on other data")
    of: Names = Field(
        (), description="the earlier phase whose runs are fine-tuned, or a list of phases"
    )
    top: Positive | None = Field(None, description="how many of its best; null: 1")
    seeds: Annotated[list[Seed], Field(min_length=1)] | None = Field(
        None, description="each fine-tuning is done with all seeds; null: training.seed"
    )
    forgetting: bool | None = Field(
        None,
        description="also measure the loss on the first data, if it is other data; null: true",
    )

    @property
    def builds_on(self) -> str | None:
        """It builds on the first phase whose runs it fine-tunes."""
        return self.of[0] if self.of else None

    @property
    def replaces(self) -> Collection[str]:
        """Other data is not a mixture of both."""
        return ("data",)

    def implied(self, study: str) -> dict[str, Any]:
        """Say that weights will be there: of which run, a job decides."""
        if not self.of:
            return {}
        return nest({CHECKPOINT: str(RESULTS.phase(study, self.of[0]).models)})

    def load(self, around: Surroundings) -> Loaded:
        """Load the phase; raises ConfigError with all its errors."""
        problems = check_seeds(self.seeds, around) + check_names(self.of, around)
        sources = [around.earlier[name] for name in self.of if name in around.earlier]
        top, seeds = self.top or 1, self.seeds or []
        problems += _check_sources(sources, around)
        if len(sources) == len(self.of):
            problems += check_top(top, sources, around)
        if CHECKPOINT in around.overrides:
            hint = "is that of the run that is fine-tuned; remove it"
            problems.append(around.problem(f"set.{CHECKPOINT}", None, hint))
        if around.overrides.get(RESUME):
            hint = "a fine-tuning begins at step 0; to continue runs, use a rerun with resume: true"
            problems.append(around.problem(f"set.{RESUME}", True, hint))
        loaded = None
        try:
            loaded = self._load_points(around)
        except ConfigError as error:
            problems += error.problems
        phase = None if loaded is None else loaded.phase
        if isinstance(phase, SweepPhase):
            problems += self._check_points(phase, top, seeds, around)
        if problems:
            raise ConfigError(problems)
        assert loaded is not None, "else there are problems"
        if phase is None or len(sources) < len(self.of):
            return Loaded(phase=None, layer=loaded.layer, warnings=loaded.warnings)
        assert isinstance(phase, SweepPhase), "both ways to load points give one"
        constants = dict(leaves(loaded.layer.content)) if loaded.layer is not None else {}
        given = sorted({*around.given, *constants, *(p.name for p in phase.space)})
        varied = {path for assigned in phase.varied() for path in assigned}
        misfits = check_weights(phase.config, sources[0], {*given} - varied, around)
        if misfits:
            raise ConfigError(misfits)
        fitted, is_known, warnings = _fit(
            phase.config, sources[0], given, self.forgetting is not False, around
        )
        made = FinetunePhase(
            **{one.name: getattr(phase, one.name) for one in fields(SweepPhase)}
            | {"config": fitted},
            written=phase.config,
            sources=self.of,
            top=top,
            seeds=tuple(seeds),
            given=tuple(given),
            forgetting=self.forgetting is not False,
            data_is_known=is_known,
            model_values=tuple(_of_models(sources, given)),
        )
        check_logged_by_all(made.score, made.config, made.varied(), around.study_path)
        changed = {path: find(fitted, path) for path in changed_paths(phase.config, fitted)}
        layer = Layer(around.study_path, nest(changed | constants))
        return Loaded(phase=made, layer=layer, warnings=[*loaded.warnings, *warnings])

    def _load_points(self, around: Surroundings) -> Loaded:
        """Load its sweep, or a single training without one."""
        if self.sweep is not None:
            return self.load_sweep_phase(around)
        problems = [
            around.problem(key, getattr(self, key), "is of a sweep; name one: sweep: FILE")
            for key in ("trials", "seed", "round_size", "warm_start", "early_terminate")
            if getattr(self, key) is not None
        ]
        if problems:
            raise ConfigError(problems)
        score = choose_metric(around.score, None, around.study_path, around.system)
        if not around.complete:
            return Loaded(phase=None, warnings=[])
        phase = SweepPhase(
            config=around.complete, score=score, assignments={"": {}}, **around.common
        )
        return Loaded(phase=phase, warnings=[])

    def _check_points(
        self, phase: SweepPhase, top: int, seeds: list[int], around: Surroundings
    ) -> list[Problem]:
        problems = []
        if phase.search is not None:
            for key, count in (("top", top), ("seeds", len(seeds))):
                if count > 1:
                    hint = "a Bayesian sweep fine-tunes one run with one seed; use method: random"
                    problems.append(around.problem(key, getattr(self, key), hint))
        names = {parameter.name for parameter in phase.space}
        if seeds and SEED in names:
            hint = "are swept too; remove one of the two"
            problems.append(around.problem("seeds", seeds, hint))
        if CHECKPOINT in names:
            hint = f"sweeps {CHECKPOINT}, which is that of the run that is fine-tuned"
            problems.append(around.problem("sweep", self.sweep, hint))
        return problems


def _check_sources(sources: list[Phase], around: Surroundings) -> list[Problem]:
    """Refuse phases that keep no weights, or whose scores cannot be compared."""
    hint = "keeps no weights to fine-tune; set keep: best there"
    lacking = [around.problem("of", one.name, hint) for one in sources if one.keep == "none"]
    return [*lacking, *check_comparable(sources, around)]


def _fit(
    config: dict[str, Any], source: Phase, given: list[str], forgetting: bool, around: Surroundings
) -> tuple[dict[str, Any], bool, list[str]]:
    """Fit a configuration to the runs of a phase, as far as they are known before any job.

    Returns:
        The configuration, whether this is its data whichever runs are chosen, and warnings.

    Raises:
        ConfigError: It fits none of them.
    """
    system = around.system
    fitted = copy.deepcopy(config)
    folder = RESULTS.data(data_id(system, source.config["data"]))
    try:
        warnings = system.fit_to_run(
            fitted, source.config, given=given, data=folder, forgetting=forgetting
        )
    except ConfigError as error:
        raise ConfigError(placed(error.problems, around)) from None
    swept = any(path.startswith("data.") for assigned in source.varied() for path in assigned)
    if swept or is_made_here(system, fitted["data"]):  # nothing else looks before the job
        try:
            system.source_files(config["data"])
        except DataError as error:
            raise ConfigError(around.problem("base", None, str(error))) from None
    fitted, problems = compose.validate(Composed(fitted, {}), around.study_path, system.schema)
    if problems:
        raise ConfigError(problems)
    where = f"{around.study_path}: {around.where}"
    return fitted, not swept, [f"{where}: {line}" for line in warnings]


def _of_models(sources: list[Phase], given: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the different models that runs of phases may have, as far as they are known."""
    seen = set()
    for source in sources:
        for assigned in source.possible():
            values = {
                path: value
                for path, value in assigned.items()
                if path.partition(".")[0] not in SHARED and path not in given
            }
            text = canonical_json(values)
            if text not in seen:
                seen.add(text)
                yield values


@dataclass(frozen=True, kw_only=True)
class FinetunePhase(SweepPhase):
    """A fine-tuning; its `config` is fitted to the weights as far as they are known.

    Attributes:
        written: Its configuration as it was before.
        sources: Names of the phases whose runs are fine-tuned.
        top: How many of them.
        seeds: Of each fine-tuning; none for that of the configuration.
        given: Paths that the phase sets itself.
        forgetting: Whether the loss on the first data is measured.
        data_is_known: Whether its data is the same whichever runs are chosen.
        model_values: What its runs may set of the model: path -> value.
    """

    kind: ClassVar[str] = "finetune"
    publishes_configs: ClassVar[bool] = True

    written: dict[str, Any] = field(repr=False)
    sources: tuple[str, ...]
    top: int
    seeds: tuple[int, ...]
    given: tuple[str, ...]
    forgetting: bool
    data_is_known: bool
    model_values: tuple[Mapping[str, Any], ...] = field(repr=False)

    @property
    def trials(self) -> list[str]:
        """Numbers of the slots, by round for a Bayesian sweep."""
        if self.search is not None:
            return super().trials
        return list(numbers(self.top * len(self.assignments) * max(1, len(self.seeds))))

    @property
    def settings(self) -> dict[str, Any]:
        """What a fine-tuning adds to the phase."""
        return {
            **super().settings,
            "of": self.sources[0] if len(self.sources) == 1 else list(self.sources),
            "top": self.top,
            "seeds": list(self.seeds) or None,
            "forgetting": self.forgetting,
        }

    @property
    def asks(self) -> Mapping[str, int]:
        """The best of its sources, whose weights they have to keep."""
        return dict.fromkeys(self.sources, self.top)

    def best_lists(self, layout: Layout) -> list[Path]:
        """Return the file that says what is fine-tuned."""
        return [layout.phase(self.study, self.name).starts]

    def is_known(self, stage: Any) -> bool:
        """Nothing is: it depends on which runs are the best."""
        return False

    def assigned(self, trial: str) -> dict[str, Any]:
        """Return nothing: a job fills all slots."""
        return {}

    def trial_data(self, trial: str) -> dict[str, Any] | None:
        """Return its data, if it is known."""
        return self.config["data"] if self.data_is_known else None

    def data_settings(self) -> list[dict[str, Any]]:
        """Return its data; none if it depends on which runs are chosen."""
        return [self.config["data"]] if self.data_is_known and not self._sweeps_data else []

    def possible(self) -> Iterator[Mapping[str, Any]]:
        """Yield the models that it may start from, and the points of its sweep."""
        yield from self.model_values
        yield from self.varied()

    def fills(self, layout: Layout) -> list[Fill]:
        """The job that chooses the runs goes before those of a sweep."""
        scores = [layout.phase(self.study, source).scores for source in self.sources]
        folder = layout.phase(self.study, self.name)
        outputs = {"starts": [folder.starts]}
        if self.search is None:
            outputs["trials"] = stage_trials(layout, self, self.stages[:1])
        choose = Fill(
            verb="plan",
            script="plan_finetune.py",
            plan=canonical_json(self.plan()),
            inputs={"scores": scores, "data": data_stamps(layout, self)},
            outputs=outputs,
            passes=("scores", *outputs),
        )
        later = super().fills(layout)
        return [choose, *(self._after_starts(fill, folder.starts) for fill in later)]

    def _after_starts(self, fill: Fill, starts: Path) -> Fill:
        """Have the job of a round wait for the run that is fine-tuned."""
        if fill.verb != "suggest":
            return fill
        inputs = {**fill.inputs, "starts": [starts]}
        return replace(fill, inputs=inputs, passes=(*fill.passes, "starts"))

    def plan(self) -> dict[str, Any]:
        """Return what the slots are filled from, besides the rankings."""
        return {
            "study": self.study,
            "phase": self.name,
            "config": self.written,
            "fitted": self.config,
            "given": list(self.given),
            "forgetting": self.forgetting,
            "top": self.top,
            "points": [] if self.search is not None else list(self.assignments.values()),
            "seeds": list(self.seeds),
            "metric": self.metric,
            "band": self.stages[0].rung.band,
        }
