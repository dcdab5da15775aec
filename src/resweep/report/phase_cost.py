"""The cost of a phase, and of a study: counts, what is taken at most, and estimates."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from resweep.config.early_stopping_section import EarlyStopping
from resweep.machine.launch import processes_of_a_node
from resweep.report.amounts import Amounts, add, total
from resweep.report.measured import is_cpu
from resweep.report.possible import trials_alike
from resweep.report.why_trains import Reason
from resweep.study.study import Phase, Study
from resweep.systems.registry import system_of
from resweep.systems.stop_rules import stop_rules


@dataclass(frozen=True, kw_only=True)
class RuleCost:
    """What the jobs of one training rule would train.

    Attributes:
        rule: Its name.
        is_pack: Whether one job serves all of its trials; otherwise each has one.
        size: Number of its trials.
        trains: The trials that would be trained or continued. One that waits for another with the
            same run is not among them.
        open_slots: Its slots that are decided later.
    """

    rule: str
    is_pack: bool
    size: int
    trains: tuple[str, ...]
    open_slots: int

    @property
    def trainings(self) -> int:
        """How many trainings there are, at most."""
        return len(self.trains) + self.open_slots

    @property
    def jobs(self) -> int:
        """How many jobs train, at most."""
        return min(self.trainings, 1) if self.is_pack else self.trainings


@dataclass(kw_only=True)
class PhaseCost:
    """The cost of one phase.

    Attributes:
        phase: The phase.
        device: The device that trained the newest run like it; None if none did.
        trials: Number of trials; one that is promoted from rung to rung counts once.
        stored: Trials in the store that need no training at any rung known so far.
        partial: Runs that were started but not finished; `to_train` includes them.
        to_train: Distinct runs that would be trained or continued.
        infeasible: Trials whose values do not fit each other, or not the data: they get a record
            that says so, and train nothing.
        open_slots: Slots that are decided later: an earlier phase, round or rung that fills them
            will be trained or ranked first. At most so many more runs are trained.
        trainings: How many times a run is trained or continued; open slots are not among them.
        bound: What all of this takes at most: open slots count as the largest training that they
            may get, and none stops early.
        largest_weights: Bytes of the checkpoints of its largest training, once it has ended.
        stops: Of its trials so far, if it has monitors: the step that each reached, and the one
            that it was to reach.
        rules: What each training rule would train.
    """

    phase: Phase
    device: str | None = None
    stored: int = 0
    partial: int = 0
    to_train: int = 0
    infeasible: int = 0
    open_slots: int = 0
    trainings: int = 0
    bound: Amounts = field(default_factory=Amounts)
    largest_weights: int | None = 0
    stops: list[tuple[int, int]] = field(default_factory=list)
    rules: list[RuleCost] = field(default_factory=list)

    def add(self, amounts: Amounts, open_slots: int = 0) -> None:
        """Add a training, or that of each of some open slots."""
        self.trainings += 0 if open_slots else 1
        self.bound = add([self.bound, amounts.times(open_slots) if open_slots else amounts])
        both = (self.largest_weights, amounts.weights)
        self.largest_weights = None if None in both else max(filter(None, both), default=0)

    @property
    def trials(self) -> int:
        """Number of trials."""
        return len(self.phase.trials)

    @property
    def steps(self) -> int | None:
        """Optimizer steps at most; None: unknown."""
        return self.bound.steps

    @property
    def units(self) -> int | None:
        """What these steps train on at most; None: unknown."""
        return self.bound.units

    @property
    def jobs(self) -> int:
        """Training jobs at most."""
        return sum(rule.jobs for rule in self.rules)

    @property
    def packs(self) -> int:
        """Those of them that train several trials."""
        return sum(rule.jobs for rule in self.rules if rule.is_pack)

    @property
    def kept(self) -> int | None:
        """Bytes of `bound.disk` that stay at most once the phase is ranked; None: unknown."""
        weights, metrics = self.bound.weights, self.bound.metrics
        if weights is None or metrics is None or self.largest_weights is None:
            return None
        return metrics + min(weights, self._most_kept * self.largest_weights)

    @property
    def _most_kept(self) -> int:
        """How many trials keep their weights, at most."""
        phase = self.phase
        if phase.keep == "best":
            return min(len(phase.trials), phase.selects * trials_alike(phase))
        return len(phase.trials) if phase.keep == "all" else 0

    @property
    def monitors(self) -> EarlyStopping:
        """What may stop its trials early."""
        return stop_rules(self.phase.config).settings

    @property
    def on_cpu(self) -> bool:
        """Whether it trains on CPUs, as far as is known."""
        return self.phase.resources.gpus == 0 if self.device is None else is_cpu(self.device)

    @property
    def most_hours(self) -> float | None:
        """Hours of GPUs, or cores, that its jobs may take by their time limit; None without one."""
        wanted = self.phase.resources
        if not self.jobs:
            return 0.0
        if wanted.runtime is None:
            return None
        training = system_of(self.phase.config).training_of(self.phase.config)
        per_node = processes_of_a_node(training)
        devices = training.nodes * (max(wanted.gpus, per_node) if wanted.gpus else per_node)
        minutes = 0
        for rule in self.rules:
            if not rule.is_pack:
                minutes += rule.jobs * wanted.runtime * devices
            elif rule.jobs:
                workers = max(1, min(rule.trainings, wanted.workers))
                waves = -(-rule.trainings // workers)
                minutes += waves * wanted.runtime * (devices if wanted.gpus else workers)
        return minutes / 60


@dataclass(frozen=True, kw_only=True)
class StudyCost:
    """The cost of a study.

    Attributes:
        study: The study.
        phases: By name.
        reasons: Why trials would be trained, as far as that was asked for.
        start_seconds: What a job takes before it trains; None if that was not measured.
        measured: Number of runs that estimates rest on, by device.
    """

    study: Study
    phases: Mapping[str, PhaseCost]
    reasons: list[Reason]
    start_seconds: float | None
    measured: Mapping[str, int]

    @property
    def trains(self) -> bool:
        """Whether anything would be trained."""
        return any(cost.jobs for cost in self.phases.values())

    def share(self, name: str) -> float | None:
        """Return the share of its steps that a trial of a phase was trained to, with its monitors.

        From trials of that phase, else of earlier ones with the same monitors; None without
        monitors, or if no trial ended.
        """
        monitors = self.phases[name].monitors
        if not monitors.on:
            return None
        names = [one for one, cost in self.phases.items() if cost.monitors == monitors]
        for of in ([name], names[: names.index(name)]):
            stops = [pair for one in of for pair in self.phases[one].stops]
            if stops:
                return sum(step for step, _ in stops) / sum(until for _, until in stops)
        return None

    def estimated_steps(self, name: str) -> int | None:
        """Return the steps of a phase if its trials stop as they did before."""
        steps, share = self.phases[name].steps, self.share(name)
        return steps if steps is None or share is None else round(steps * share)

    def estimated_hours(self, name: str) -> float | None:
        """Return the hours of GPUs, or cores, that a phase takes; None if nothing was measured."""
        cost = self.phases[name]
        seconds, share = cost.bound.seconds, self.share(name)
        if seconds is None:
            return None
        start = cost.jobs * (self.start_seconds or 0.0)
        return (seconds * (1.0 if share is None else share) + start) / 3600

    @property
    def hours(self) -> float | None:
        """The estimate for all phases."""
        return total(map(self.estimated_hours, self.phases))

    @property
    def most_hours(self) -> float | None:
        """The time limit of all jobs together; None if one has none."""
        return total(cost.most_hours for cost in self.phases.values())

    @property
    def bound(self) -> Amounts:
        """What all phases take at most."""
        return add(cost.bound for cost in self.phases.values())
