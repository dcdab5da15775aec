"""What a training asks a scheduler for.

Estimates, each of which a study can override under `resources:`:

    memory   of a node, for each of its processes: 800 MB for Python and torch, 16 bytes a
             parameter (weights, gradients, two moments, all in float32), activations of one
             micro-batch, and once more the 12 bytes that a snapshot copies, with 4 for each
             gradient that it saves; 8 and 4 where they are frozen. DeepSpeed's shards are counted
             as if they were whole, since loading and saving gathers them. Half as much again for
             each time that the run was killed at its limit
    time     10 minutes to start, then 6 FLOPs for each parameter and token, at 2 GFLOP/s on a CPU
             core and at 5 TFLOP/s on a GPU for each process: slower than either is, so that a limit
             is rarely met; a day at most: a run that meets its limit saves and continues
    cores    those of the study for each process of a node
    GPUs     those of the study, at least one for each process of a node; none where it says 0

The size of kind hf is itself an estimate (`resweep.systems.language.size`).

What the run store serves asks for a link's worth: no GPU, a few minutes.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from resweep.config.schema import EarlyStopping
from resweep.data import store as data_store
from resweep.data.store import Prepared
from resweep.errors import ResweepError, StoreError
from resweep.machine.launch import processes_of_a_node
from resweep.paths import Layout
from resweep.search.stages import Stage
from resweep.store.identity import last_step, resolve, run_id
from resweep.store.run import Run
from resweep.study.schema import Resources
from resweep.study.study import Phase
from resweep.systems.language.size import count_parameters, shape_of
from resweep.training.gradients import Wish
from resweep.trials.trial import read_trial

BASE_MB = 800
BYTES_PER_PARAMETER = 16
BYTES_PER_SNAPSHOT = 12
FROZEN_BYTES, FROZEN_SNAPSHOT = 8, 4
BYTES_PER_GRADIENT = 4  # samples twice, while they are stacked
GROWTH = 1.5
START_MINUTES = 10
NOTICE = "--signal=USR1@120"  # SLURM tells a training two minutes before its limit
MOST_MINUTES = 24 * 60  # a longer run saves at its limit, and its retry goes on
KEPT_SECONDS = 1.0  # an answer about a trial
FLOPS = {"cpu": 2e9, "gpu": 5e12}


@dataclass(frozen=True)
class Needs:
    """What one training job asks for; None leaves it to the cluster's default.

    Attributes:
        gpus: On each node.
        mem_mb: On each node.
        runtime: Minutes.
        cpus: On each node.
        nodes: How many.
    """

    gpus: int
    mem_mb: int
    runtime: int
    cpus: int = 1
    nodes: int = 1
    gpu_model: str | None = None
    partition: str | None = None
    slurm_extra: str | None = None

    @property
    def gres(self) -> str | None:
        """The GPUs in SLURM's words: `gpu:1`, `gpu:a100:2`; None without any."""
        if not self.gpus:
            return None
        return ":".join(["gpu", *([self.gpu_model] if self.gpu_model else []), str(self.gpus)])

    @property
    def several_nodes(self) -> int | None:
        """How many, if there are several."""
        return self.nodes if self.nodes > 1 else None

    @property
    def mpi(self) -> str | None:
        """How the job reaches its other nodes: the plugin starts it on the first one alone."""
        return "srun" if self.nodes > 1 else None

    @property
    def tasks_per_gpu(self) -> int | None:
        """None of the plugin's own: `tasks` counts a torchrun on each node."""
        return 0 if self.nodes > 1 and self.gpus else None


LINK = Needs(gpus=0, mem_mb=1000, runtime=10)  # what writing a link takes


def trial_needs(
    config: Mapping[str, Any], stop: int | None, wanted: Resources, keep: str, layout: Layout
) -> Needs:
    """Say what a trial asks for, in view of what the store has of its run.

    Args:
        config: The trial's configuration.
        stop: Step that it asks for; None: the horizon.
        wanted: The study's `resources`.
        keep: The phase's keep policy: under `all` pruned weights have to be trained again.
        layout: Of the results folder.
    """
    data = data_store.find(config["data"], layout)
    if data is None:
        return _estimate(config, None, wanted, 0)
    try:
        resolved = resolve(config, data, layout)
    except StoreError:
        return _estimate(config, data, wanted, 0)  # its weights will be there by then
    except ResweepError:
        return LINK  # an infeasible trial writes its record and leaves
    run = Run(layout.run(run_id(resolved, data)))
    monitors = EarlyStopping.model_validate(resolved["early_stopping"])
    gradients = Wish.of(resolved["training"])
    if run.is_served(last_step(resolved, stop), keep == "all", monitors, gradients):
        return LINK
    return _estimate(resolved, data, wanted, run.out_of_memory_count())


class TrialNeeds:
    """What the trials of studies ask for, in view of the store.

    A scheduler asks for one resource after the other: an answer is kept for a second.
    """

    def __init__(self, layout: Layout, clock: Callable[[], float] = time.monotonic):
        self._layout = layout
        self._clock = clock
        self._asked: tuple[str, str, str, str, int] | None = None
        self._answer = LINK
        self._when = 0.0

    def of(self, phase: Phase, stage: Stage, trial: str, attempt: int) -> Needs:
        """Say what one trial asks for.

        Args:
            phase, stage: Which it is of.
            trial: Its name.
            attempt: Which attempt this is: after a failure the store says other things.
        """
        asked = (phase.study, phase.name, stage.name, trial, attempt)
        if asked != self._asked or self._clock() - self._when > KEPT_SECONDS:
            self._answer = self._look(phase, stage, trial)
            self._asked, self._when = asked, self._clock()
        return self._answer

    def _look(self, phase: Phase, stage: Stage, name: str) -> Needs:
        config, stop = phase.config, None
        file = self._layout.trial(phase.study, phase.name, stage.slot(name))
        if phase.is_known(stage) or file.exists():
            known = phase.is_known(stage)
            trial = phase.known_trial(name, stage) if known else read_trial(file)
            if trial.empty is not None:
                return LINK
            config, stop = trial.config, trial.stop
        return trial_needs(config, stop, phase.resources, phase.keep, self._layout)


def scheduler_resources(wanted: Resources) -> dict[str, str]:
    """Return the fields of `Needs` by the names that Snakemake's executors have for them.

    GPUs and a partition are among them only where a study asks for any: a default would be asked
    for even where a link is made.
    """
    names = {name: name for name in ("mem_mb", "runtime", "slurm_extra", "mpi", "tasks_per_gpu")}
    names |= {"nodes": "several_nodes", "tasks": "several_nodes"}
    names |= {"gres": "gres"} if wanted.gpus else {}
    names |= {"slurm_partition": "partition"} if wanted.partition else {}
    return names


def _estimate(
    config: Mapping[str, Any], data: Prepared | None, wanted: Resources, grown: int
) -> Needs:
    model, training = config["model"], config["training"]
    vocab_size = model["vocab_size"] or model.get("config", {}).get("vocab_size")
    vocab_size = vocab_size or (data.vocab_size if data else 257)
    parameters = count_parameters(model, vocab_size)
    sequences = training["batch_size"] * training["gradient_accumulation_steps"]
    processes, nodes = training["processes"], training["nodes"]
    here = processes_of_a_node(training)
    limits = (training["batch_size"], training["max_gpu_batch_size"], sequences // processes)
    micro = min(n for n in limits if n)
    # Per token: about 16 vectors of the width a layer, and logits with their gradient.
    shape = shape_of(model)
    floats = 16 * shape.layers * shape.width + 3 * vocab_size
    activations = 4 * floats * micro * model["context_length"]
    each, copied = BYTES_PER_PARAMETER, BYTES_PER_SNAPSHOT
    if model.get("lora_rank") is not None:
        each, copied = FROZEN_BYTES, FROZEN_SNAPSHOT
    else:
        gradients = training["save_gradients"] * (1 + 2 * (training["gradient_samples"] or 0))
        copied += BYTES_PER_GRADIENT * gradients
    mem_mb = here * (BASE_MB + (each * parameters + activations) / 2**20)
    mem_mb += copied * parameters / 2**20
    tokens = (training["max_steps"] or 0) * sequences * model["context_length"]
    flops = FLOPS["gpu" if wanted.gpus else "cpu"]
    minutes = START_MINUTES + 6 * parameters * tokens / (flops * processes) / 60
    return Needs(
        gpus=max(wanted.gpus, here) if wanted.gpus else 0,
        mem_mb=round((wanted.mem_mb or mem_mb) * GROWTH**grown),
        runtime=wanted.runtime or min(round(minutes), MOST_MINUTES),
        cpus=wanted.cpus * here,
        nodes=nodes,
        gpu_model=wanted.gpu_model,
        partition=wanted.partition,
        slurm_extra=NOTICE if wanted.slurm_extra is None else wanted.slurm_extra,
    )
