"""The resources that a training asks a scheduler for.

Estimates, each of which a study can override under `resources:`:

    memory   per node, for each of its processes: 800 MB for Python and torch, and the system's
             estimate of a training; plus what a snapshot copies. Half as much again for each time
             that the run was killed at its limit
    time     10 minutes to start, then the system's FLOPs at 2 GFLOP/s per CPU core or 5 TFLOP/s per
             GPU: slower than either, so that the limit is rarely reached; at most a day, since a
             run that reaches its limit saves and continues
    cores    those of the study for each process of a node
    GPUs     those of the study, at least one for each process of a node; none where it says 0

A trial that the run store serves only needs a link: no GPU, a few minutes.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from resweep.config.training_section import Training
from resweep.data.store import Prepared
from resweep.machine.launch import processes_of_a_node
from resweep.paths import Layout
from resweep.search.stages import Stage
from resweep.store.answer import Infeasible, Served, Unknown, answer
from resweep.store.attempts import Attempts
from resweep.study.sbatch_options import SbatchOptions, read_sbatch_options
from resweep.study.schema import Resources
from resweep.study.study import Phase
from resweep.systems.registry import system_of
from resweep.trials.trial import Trial, read_trial

BASE_MB = 800
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


def trial_needs(trial: Trial, wanted: Resources, keep: str, layout: Layout) -> Needs:
    """Return what a trial asks for, given what the store has of its run.

    Args:
        trial: The trial; an empty slot only needs a link.
        wanted: The study's `resources`.
        keep: The phase's keep policy: under `all`, pruned weights have to be trained again.
        layout: Of the results folder.
    """
    if trial.empty is not None:
        return LINK
    found = answer(trial, layout, weights=keep == "all")
    if isinstance(found, Served | Infeasible):
        return LINK  # an infeasible trial writes its record and exits
    if isinstance(found, Unknown):
        return _estimate(trial.config, found.data, wanted, 0)
    grown = Attempts(found.run).out_of_memory_count()
    return _estimate(found.goal.config, found.goal.data, wanted, grown)


class TrialNeeds:
    """What the trials of studies ask for, given what the store has.

    A scheduler asks for one resource after the other: an answer is cached for a second.
    """

    def __init__(self, layout: Layout, clock: Callable[[], float] = time.monotonic):
        self._layout = layout
        self._clock = clock
        self._asked: tuple[str, str, str, str, int] | None = None
        self._answer = LINK
        self._when = 0.0

    def of(self, phase: Phase, stage: Stage, trial: str, attempt: int) -> Needs:
        """Return what one trial asks for; never raises, since that would stop all jobs.

        Args:
            phase, stage: Where it belongs.
            trial: Its name.
            attempt: Number of the attempt: after a failure the store's answer differs.
        """
        asked = (phase.study, phase.name, stage.name, trial, attempt)
        if asked != self._asked or self._clock() - self._when > CACHED_SECONDS:
            try:
                self._answer = self._look(phase, stage, trial)
            except Exception:  # of a damaged file: its job says what is wrong, and stops alone
                self._answer = _estimate(phase.config, None, phase.resources, 0)
            self._asked, self._when = asked, self._clock()
        return self._answer

    def _look(self, phase: Phase, stage: Stage, name: str) -> Needs:
        file = self._layout.trial(phase.study, phase.name, stage.slot(name))
        if phase.is_known(stage):
            trial = phase.known_trial(name, stage)
        elif file.exists():
            trial = read_trial(file)
        else:
            trial = Trial(phase.study, phase.name, name, config=phase.config)
        return trial_needs(trial, phase.resources, phase.keep, self._layout)


def scheduler_resources(wanted: Resources) -> dict[str, str]:
    """Return the fields of `Needs` by their names in Snakemake's executors.

    GPUs and a partition are included only if a study asks for any: a default would be requested
    even to make a link.
    """
    names = {name: name for name in ("mem_mb", "runtime", "slurm_extra", "mpi", "tasks_per_gpu")}
    names |= {"nodes": "several_nodes", "tasks": "several_nodes"}
    options = read_sbatch_options(wanted.slurm_extra or "")
    names |= {"gres": "gres"} if wanted.gpus or options.gres else {}
    names |= {"slurm_partition": "partition"} if wanted.partition else {}
    return names


def _estimate(
    config: Mapping[str, Any], data: Prepared | None, wanted: Resources, grown: int
) -> Needs:
    system = system_of(config)
    cost = system.cost(config, data)
    training = system.schema.sections["training"].model_validate(config["training"])
    assert isinstance(training, Training), "systems share the section, or subclass it"
    per_node = processes_of_a_node(training)
    mem_mb = per_node * (BASE_MB + cost.process_bytes / 2**20) + cost.snapshot_bytes / 2**20
    flops = FLOPS["gpu" if wanted.gpus else "cpu"] * training.processes
    seconds = system.steps_of(config, data) * cost.step_flops / flops
    return Needs(
        gpus=max(wanted.gpus, per_node) if wanted.gpus else 0,
        mem_mb=round((wanted.mem_mb or mem_mb) * GROWTH**grown),
        runtime=wanted.runtime or min(round(START_MINUTES + seconds / 60), MOST_MINUTES),
        cpus=wanted.cpus * per_node,
        nodes=training.nodes,
        gpu_model=wanted.gpu_model,
        partition=wanted.partition,
        sbatch=read_sbatch_options(wanted.slurm_extra or ""),
    )
