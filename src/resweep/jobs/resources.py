"""The resources that a training job asks a scheduler for.

Estimates, each of which a study can override under `resources:`:

    memory   per node, for each of its processes: 800 MB for Python and torch, and the system's
             estimate of a training; plus what a snapshot copies. Half as much again for each time
             that a run was killed at its limit
    time     10 minutes to start, then the system's FLOPs at 2 GFLOP/s per CPU core or 5 TFLOP/s per
             GPU: slower than either, so that the limit is rarely reached; at most a day, since a
             run that reaches its limit saves and continues
    cores    those of the study for each process of a node
    GPUs     those of the study, at least one for each process of a node; none where it says 0

A pack asks for as many workers as it has trainings, at most `resources.workers`: the memory of its
largest trainings together, which share Python and torch; the time of all, divided by its workers;
the GPUs of one. After a kill at its limit it has half of the workers.

A trial that the run store serves only needs a link: no GPU, a few minutes.
"""

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from resweep.config import compose
from resweep.config.training_section import Training
from resweep.data.store import Prepared
from resweep.machine.launch import processes_of_a_node
from resweep.paths import Layout
from resweep.search.stages import Stage
from resweep.store.answer import Infeasible, Served, Unknown, answer
from resweep.store.attempts import Attempts
from resweep.study.packs import size_key
from resweep.study.sbatch_options import SbatchOptions, read_sbatch_options
from resweep.study.schema import Resources
from resweep.study.study import Phase
from resweep.systems.registry import system_of
from resweep.trials.trial import Trial, read_trial

BASE_MB = 800
# What each training of a pack adds to what they share, besides its own estimate: measured, 26 to 34
# on a CPU; on a GPU it has a context of its own.
FORK_MB = {"cpu": 50, "gpu": 400}
GROWTH = 1.5
START_MINUTES = 10
MOST_MINUTES = 24 * 60  # a longer run saves at its limit, and its retry continues
CACHED_SECONDS = 1.0  # for an answer about a trial
FLOPS = {"cpu": 2e9, "gpu": 5e12}


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What one training job asks for; None: the cluster's default.

    Attributes:
        gpus: Per node.
        mem_mb: Per node.
        runtime: Minutes.
        cpus: Per node.
        nodes: How many.
    """

    gpus: int
    mem_mb: int
    runtime: int
    cpus: int = 1
    nodes: int = 1
    gpu_model: str | None = None
    partition: str | None = None
    sbatch: SbatchOptions | None = None

    @property
    def slurm_extra(self) -> str | None:
        """More options for sbatch, for a shell."""
        return None if self.sbatch is None else self.sbatch.shell_text

    @property
    def gres(self) -> str | None:
        """The GPUs as SLURM writes them: `gpu:1`, `gpu:a100:2`, or what the study's options say."""
        if self.sbatch is not None and self.sbatch.gres is not None:
            return self.sbatch.gres
        if not self.gpus:
            return None
        return ":".join(["gpu", *([self.gpu_model] if self.gpu_model else []), str(self.gpus)])

    @property
    def several_nodes(self) -> int | None:
        """How many nodes, if there are several."""
        return self.nodes if self.nodes > 1 else None

    @property
    def mpi(self) -> str | None:
        """How the job reaches its other nodes: the plugin starts it only on the first one."""
        return "srun" if self.nodes > 1 else None

    @property
    def tasks_per_gpu(self) -> int | None:
        """0, not the plugin's default: `tasks` counts one torchrun per node."""
        return 0 if self.nodes > 1 and self.gres else None


LINK = Needs(gpus=0, mem_mb=1000, runtime=10)  # to write a link


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What one training needs.

    Attributes:
        training: Its section.
        process_mb: Memory of each of its processes, besides Python and torch.
        snapshot_mb: And once, while it saves.
        seconds: To train it.
        kills: How often it was killed at its memory limit.
    """

    training: Training
    process_mb: float
    snapshot_mb: float
    seconds: float
    kills: int = 0

    @property
    def own_mb(self) -> float:
        """Memory besides Python and torch, of a training of one process."""
        return self.process_mb + self.snapshot_mb


def ask(trial: Trial, wanted: Resources, keep: str, layout: Layout) -> Estimate | None:
    """Return what a trial needs, given what the store has of its run; None for a link.

    Args:
        trial: The trial.
        wanted: The study's `resources`.
        keep: The phase's keep policy: under `all`, pruned weights have to be trained again.
        layout: Of the results folder.
    """
    if trial.empty is not None:
        return None
    found = answer(trial, layout, weights=keep == "all")
    if isinstance(found, Served | Infeasible):
        return None  # an infeasible trial writes its record and exits
    if isinstance(found, Unknown):
        return estimate(trial.config, found.data, wanted)
    kills = Attempts(found.run).out_of_memory_count()
    return replace(estimate(found.goal.config, found.goal.data, wanted), kills=kills)


def estimate(config: Mapping[str, Any], data: Prepared | None, wanted: Resources) -> Estimate:
    """Return what the training of a configuration needs.

    Args:
        config: Complete, maybe not resolved.
        data: None if not prepared yet.
        wanted: The study's `resources`.
    """
    system = system_of(config)
    cost = system.cost(config, data)
    training = system.training_of(config)
    flops = FLOPS["gpu" if wanted.gpus else "cpu"] * training.processes
    return Estimate(
        training=training,
        process_mb=cost.process_bytes / 2**20,
        snapshot_mb=cost.snapshot_bytes / 2**20,
        seconds=system.steps_of(config, data) * cost.step_flops / flops,
    )


def combine(trainings: Sequence[Estimate], wanted: Resources) -> Needs:
    """Return what one job asks for that does these trainings: one, or those of a pack."""
    count, kills = len(trainings), max(one.kills for one in trainings)
    training = trainings[0].training
    per_node = processes_of_a_node(training)
    workers = max(1, min(count, wanted.workers) >> kills)
    if count == 1:
        mem_mb = per_node * (BASE_MB + trainings[0].process_mb) + trainings[0].snapshot_mb
    else:
        largest = sorted((one.own_mb for one in trainings), reverse=True)[:workers]
        each = FORK_MB["gpu" if wanted.gpus else "cpu"]
        mem_mb = BASE_MB + sum(each + own for own in largest)
    minutes = START_MINUTES + sum(one.seconds for one in trainings) / workers / 60
    waves = -(-count // workers)
    return Needs(
        gpus=max(wanted.gpus, per_node) if wanted.gpus else 0,
        mem_mb=round((wanted.mem_mb * workers if wanted.mem_mb else mem_mb) * GROWTH**kills),
        runtime=wanted.runtime * waves if wanted.runtime else min(round(minutes), MOST_MINUTES),
        cpus=wanted.cpus * per_node * workers,
        nodes=training.nodes,
        gpu_model=wanted.gpu_model,
        partition=wanted.partition,
        sbatch=read_sbatch_options(wanted.slurm_extra or ""),
    )


class JobNeeds:
    """What training jobs ask for, given what the store has.

    A scheduler asks for one resource after the other: an answer is cached for a second.

    Args:
        layout: Of the results folder.
        planning: Whether nothing will be trained: then only the configuration counts.
    """

    def __init__(
        self,
        layout: Layout,
        planning: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._layout = layout
        self._planning = planning
        self._clock = clock
        self._asked: tuple[str, str, str, str, int] | None = None
        self._answer = LINK
        self._when = 0.0
        self._known: dict[Hashable, Estimate] = {}

    def of(self, phase: Phase, stage: Stage, names: Sequence[str], attempt: int) -> Needs:
        """Return what the job of some trials asks for; never raises: that would stop all jobs.

        Args:
            phase, stage: Where they belong.
            names: Of the trials: one, or those of a pack.
            attempt: Number of the attempt: after a failure the store's answer differs.
        """
        asked = (phase.study, phase.name, stage.name, names[0], attempt)
        if asked != self._asked or self._clock() - self._when > CACHED_SECONDS:
            self._answer = self._look(phase, stage, names)
            self._asked, self._when = asked, self._clock()
        return self._answer

    def _look(self, phase: Phase, stage: Stage, names: Sequence[str]) -> Needs:
        if self._planning():
            trainings = self._planned(phase, names)
        else:
            trainings = [one for one in self._ask(phase, stage, names) if one is not None]
        return combine(trainings, phase.resources) if trainings else LINK

    def _planned(self, phase: Phase, names: Sequence[str]) -> list[Estimate]:
        """Return what trials need by their configuration alone."""
        trainings = []
        for name in names:
            assigned = phase.assigned(name)
            key = (phase.study, phase.name, size_key(assigned))
            if key not in self._known:
                try:
                    config = compose.assign(phase.config, assigned)
                    self._known[key] = estimate(config, None, phase.resources)
                except ValueError:  # cannot be trained, as its record will say
                    self._known[key] = estimate(phase.config, None, phase.resources)
            trainings.append(self._known[key])
        return trainings

    def _ask(self, phase: Phase, stage: Stage, names: Sequence[str]) -> Iterator[Estimate | None]:
        """Yield what trials need, given what the store has."""
        wanted, keep = phase.resources, phase.keep
        for name in names:
            try:
                yield ask(self._trial(phase, stage, name), wanted, keep, self._layout)
            except Exception:  # of a damaged file: its job says what is wrong, and stops alone
                yield estimate(phase.config, None, wanted)

    def _trial(self, phase: Phase, stage: Stage, name: str) -> Trial:
        if phase.is_known(stage):
            return phase.known_trial(name, stage)
        file = self._layout.trial(phase.study, phase.name, stage.slot(name))
        if file.exists():
            return read_trial(file)
        return Trial(phase.study, phase.name, name, config=phase.config)


def scheduler_resources(wanted: Resources, *, of_pack: bool = False) -> dict[str, str]:
    """Return the fields of `Needs` by their names in Snakemake's executors.

    GPUs and a partition are included only if a study asks for any: a default would be requested
    even to make a link. What several nodes need is not included for a pack, which has one.
    """
    names = {name: name for name in ("mem_mb", "runtime", "slurm_extra")}
    # Like threads, which Snakemake limits by the cores of the machine where it is called.
    names |= {"cpus_per_task": "cpus"}
    if not of_pack:
        names |= {"mpi": "mpi", "tasks_per_gpu": "tasks_per_gpu"}
        names |= {"nodes": "several_nodes", "tasks": "several_nodes"}
    options = read_sbatch_options(wanted.slurm_extra or "")
    names |= {"gres": "gres"} if wanted.gpus or options.gres else {}
    names |= {"slurm_partition": "partition"} if wanted.partition else {}
    return names
