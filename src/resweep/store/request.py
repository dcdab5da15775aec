"""The store's one operation: advance a run to a step, and have what is wanted of it.

    what the store has        is answered by its record, without a lock
    what it has in part       is continued from the last sound checkpoint
    what was pruned           is retrained beside the run, never over it
    what cannot be had        is a record too: diverged, infeasible, failed

Caching, resuming after a kill, retries and sharing between studies are all this.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from resweep import yaml12
from resweep.data.store import Prepared
from resweep.errors import Interrupted, LeaseLost, ResweepError, StoreError
from resweep.model.size import count_parameters
from resweep.paths import Layout, link_relative, write_atomically
from resweep.store.identity import identity, last_step, run_id
from resweep.store.lock import RunLock
from resweep.store.retention import drop_unclaimed, has_claims
from resweep.store.run import (
    DIVERGED,
    FAILED,
    FINISHED,
    INFEASIBLE,
    MOST_ATTEMPTS_WITHOUT_PROGRESS,
    STOPPED,
    Run,
    code_digest,
    versions,
)
from resweep.training import checkpoint
from resweep.training.loop import Callbacks, Outcome, memory_mb, train
from resweep.training.metrics import METRICS, TIMING, MetricLog, read_metrics
from resweep.training.trainer import Trainer

AGAIN = "again"  # subfolder of a retraining
DONE = ".again"  # the same, on its way out

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """Advance a run.

    Attributes:
        config: The resolved configuration.
        data: Its prepared data.
        device: Where to train.
        stop: Step that the trial asks the run to reach; None: its horizon.
        weights: Whether the weights at that step are wanted, even if they were pruned.
        keep_weights: Whether weights are saved at the end when it has to be trained.
        lock_timeout: Seconds to wait for another process that advances the same run.
        memory_limit_mb: What the scheduler allows, to tell an out-of-memory from a kill.
        interrupted: Whether to save and leave.
        around: Entered while the run is trained, with its folder and the step it continues from.
    """

    config: dict[str, Any]
    data: Prepared
    device: torch.device
    stop: int | None = None
    weights: bool = False
    keep_weights: bool = True
    lock_timeout: float = 3600.0
    memory_limit_mb: int | None = None
    interrupted: Callable[[], bool] = field(default=lambda: False)
    around: Callable[[Path, int], AbstractContextManager[Any]] = field(
        default=lambda folder, step: nullcontext()
    )

    @property
    def max_steps(self) -> int:
        """The run's horizon."""
        return int(self.config["training"]["max_steps"])

    @property
    def until(self) -> int:
        """The step asked for."""
        return last_step(self.config, self.stop)


def advance(request: Request, layout: Layout) -> Path:
    """Advance a run as asked.

    Returns:
        The immutable record in the store.

    Raises:
        Interrupted: Told to leave; everything up to now is saved.
        LockTimeout: Another process holds the run for too long.
        LeaseLost: Another process took the run over.
        Exception: Whatever the training raised, the first time; the second time at the same step
            is a record with status failed.
    """
    run = Run(layout.run(run_id(request.config, request.data)))
    memory = device_memory(request.device)
    served = run.find_record(request.until, request.weights, memory)
    if served is not None:
        log.info("run %s: in the store (%s)", run.run_id, served.name)
        return served
    progress = {"step": 0}

    def details() -> dict[str, Any]:
        main_memory = round(memory_mb(torch.device("cpu")))
        return {**progress, "memory_mb": main_memory, "memory_limit_mb": request.memory_limit_mb}

    with RunLock(run.path, request.lock_timeout, details, interrupted=request.interrupted) as lock:
        served = run.find_record(request.until, request.weights, memory)
        if served is not None:
            log.info("run %s: in the store by now (%s)", run.run_id, served.name)
            return served
        return _Advance(request, run, lock, progress).go()


def device_memory(device: torch.device) -> int | None:
    """Bytes of a GPU's memory; None for main memory, which a retry can have more of."""
    if device.type != "cuda":
        return None
    return int(torch.cuda.get_device_properties(device).total_memory)


class _Advance:
    """One holding of a run's lock, from the last checkpoint to a record."""

    def __init__(self, request: Request, run: Run, lock: RunLock, progress: dict[str, int]):
        self.request = request
        self.run = run
        self.lock = lock
        self.progress = progress
        self.folder = run.path

    def go(self) -> Path:
        """Train, and write the record of what came out."""
        run, request = self.run, self.request
        run.close_attempt(self.lock.previous)
        if "identity" not in run.state():
            write_atomically(run.path / "config.yaml", yaml12.dump(request.config))
            run.update(
                status="begun",
                step=0,
                max_steps=request.max_steps,
                identity=identity(request.config, request.data),
                code=code_digest(),
            )
        start = self._choose_folder()
        from_step = _step_of(start)
        if run.attempts_from(from_step) >= MOST_ATTEMPTS_WITHOUT_PROGRESS:
            ends = ", ".join(attempt["end"] for attempt in run.attempts()[-3:])
            return self._give_up(from_step, f"attempts without progress used up ({ends})")
        self.progress["step"] = from_step
        run.begin_attempt(self.lock.generation, from_step, _device_name(request.device))
        started = time.monotonic()
        gpus = 1 if request.device.type == "cuda" else 0

        def end(how: str) -> None:
            self.lock.confirm()  # else the open attempt is another process's
            run.end_attempt(how, self.progress["step"], time.monotonic() - started, gpus)

        try:
            trainer = Trainer(request.config, request.data, request.device)
            if start is not None:
                trainer.load(start)
                log.info("run %s: continues from step %d", run.run_id, trainer.step)
            outcome = self._train(trainer, end)
            metrics: dict[str, float] = {}
            if outcome is Outcome.REACHED:
                metrics = self._measure_and_save(trainer)
            if outcome is not Outcome.INTERRUPTED:
                end("completed")
        except LeaseLost:
            raise
        except torch.OutOfMemoryError as error:
            if _is_shared(request.device):
                end("machine: other processes hold the GPU's memory")
                raise
            end("out of GPU memory")
            return self._infeasible(str(error))
        except (ResweepError, OSError, MemoryError) as error:
            end(f"machine: {type(error).__name__}: {error}")
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            end(f"error: {text}")
            if self._happened_before(text):
                return self._give_up(self.progress["step"], text)
            raise
        if outcome is Outcome.INTERRUPTED:
            raise Interrupted(
                f"run {run.run_id}: saved at step {trainer.step} of {request.until} and left; "
                "the same command continues it"
            )
        return self._finish(trainer, outcome, metrics)

    def _choose_folder(self) -> Path | None:
        """Decide where to work and from which checkpoint; returns it, or None to begin anew.

        Steps up to the furthest record are never written again: what lacks the checkpoint to go on
        from there is retrained in a folder beside, and what was wanted is moved over.
        """
        checkpoint.drop_leftovers(self.folder)
        shutil.rmtree(self.run.path / DONE, ignore_errors=True)
        start = checkpoint.latest_sound(self.folder, self.request.until)
        if _step_of(start) < self.run.furthest_record():
            self.folder = self.run.path / AGAIN
            checkpoint.drop_leftovers(self.folder)
            log.info("run %s: pruned before; retrains beside it", self.run.run_id)
            start = checkpoint.latest_sound(self.folder, self.request.until)
        return start

    def _train(self, trainer: Trainer, end: Callable[[str], None]) -> Outcome:
        metrics = MetricLog(self.folder / METRICS, trainer.step)
        timing = MetricLog(self.folder / TIMING, trainer.step)

        def save() -> None:
            metrics.flush_to_disk()
            self._save(trainer)

        def beat(step: int) -> None:
            self.progress["step"] = step
            if self.lock.lost:
                self.lock.confirm()

        try:
            # Entered after the files were cut back to this step: who follows them reads on from it.
            with self.request.around(self.folder, trainer.step):
                outcome = train(
                    trainer,
                    self.request.until,
                    metrics,
                    timing,
                    Callbacks(save, self.request.interrupted, beat),
                )
                if outcome is Outcome.INTERRUPTED:
                    end("interrupted")  # now: who follows may take longer than we are given
            metrics.flush_to_disk()
            return outcome
        finally:
            metrics.close()
            timing.close()

    def _save(self, trainer: Trainer) -> None:
        """Publish a checkpoint; of those before it the last one stays, should this be damaged."""
        folder = self.folder / checkpoint.folder_name(trainer.step)
        checkpoint.publish(folder, trainer.save, self.lock.confirm)
        self.progress["step"] = trainer.step
        if self.folder == self.run.path:
            self.run.update(step=max(trainer.step, self.run.state().get("step", 0)))
        self._drop_before(checkpoint.steps_of(self.folder)[-2:][0])

    def _drop_before(self, step: int) -> None:
        """Delete checkpoints before a step that neither a record nor save_steps asks for."""
        every = self.request.config["training"]["save_steps"]
        recorded = self.run.records()
        for older in checkpoint.steps_of(self.folder):
            asked = str(older) in recorded or (every and older % every == 0)
            if older < step and not asked:
                shutil.rmtree(self.folder / checkpoint.folder_name(older))

    def _measure_and_save(self, trainer: Trainer) -> dict[str, float]:
        """Evaluate where the trial stops, and save if anybody wants the weights."""
        metrics = last_values(read_metrics(self.folder / METRICS, trainer.step))
        if trainer.step < trainer.max_steps:
            metrics |= trainer.evaluate("val")
        elif trainer.data.tokens["test"] > trainer.context_length:
            metrics["test/loss"] = trainer.evaluate("test")["test/loss"]
        if self.request.keep_weights or self.request.weights or has_claims(self.run):
            self._save(trainer)
        return metrics

    def _finish(self, trainer: Trainer, outcome: Outcome, metrics: dict[str, float]) -> Path:
        """Publish what there is, the record last: it answers requests from then on."""
        run, step = self.run, trainer.step
        self._publish_metrics(step)
        if outcome is Outcome.DIVERGED:
            reason = f"the loss was not a finite number at step {step}"
            run.update(status=DIVERGED, step=step, reason=reason)
            return self._record(step, DIVERGED, reason, {}, rule=DIVERGED)
        weights = self._publish_checkpoint(step)
        finished = step == trainer.max_steps
        status = FINISHED if finished else STOPPED
        if finished and weights is not None:
            link_relative(run.path / "final_checkpoint", run.path / checkpoint.folder_name(step))
        run.update(
            status=status,
            step=max(step, run.state().get("step", 0)),
            metrics=metrics,
            checkpoints={
                str(kept): checkpoint.weights_digest(run.path / checkpoint.folder_name(kept))
                for kept in checkpoint.steps_of(run.path)
            },
        )
        stopped = None if finished else "the trial stops here"
        record = self._record(step, status, stopped, metrics, weights=weights)
        if weights is None:
            drop_unclaimed(run)
        else:
            self._drop_before(step)
        return record

    def _publish_metrics(self, step: int) -> None:
        """Copy the files of a retraining over, if they say more than those of the run."""
        if self.folder != self.run.path and step > self.run.furthest_record():
            for name in (METRICS, TIMING):
                write_atomically(self.run.path / name, (self.folder / name).read_bytes())

    def _publish_checkpoint(self, step: int) -> str | None:
        """Give the checkpoint of a step its place; returns the weights' digest, if it was saved."""
        place = self.run.path / checkpoint.folder_name(step)
        if self.folder != self.run.path:
            made = self.folder / place.name
            if made.is_dir() and not place.exists():
                self._compare(made, step)
                made.rename(place)
            self.folder.rename(self.run.path / DONE)  # at once: a half-deleted one would be used
            shutil.rmtree(self.run.path / DONE)
            self.folder = self.run.path
        return checkpoint.weights_digest(place) if place.is_dir() else None

    def _compare(self, made: Path, step: int) -> None:
        record = self.run.records().get(str(step))
        known = json.loads(record.read_text())["weights"] if record else None
        if known is not None and checkpoint.weights_digest(made) != known:
            log.warning(
                "run %s: retrained weights at step %d differ from those recorded: another device "
                "or library; the new ones are kept, the record stays",
                self.run.run_id,
                step,
            )

    def _record(
        self,
        step: int,
        status: str,
        reason: str | None,
        metrics: Mapping[str, Any],
        rule: str | None = None,
        weights: str | None = None,
        **more: Any,
    ) -> Path:
        model = self.request.config["model"]
        state = self.run.state()
        return self.run.write_record(
            step,
            {
                "status": status,
                "stop_reason": reason,
                "step": step,
                "max_steps": self.request.max_steps,
                "metrics": dict(metrics),
                "weights": weights,
                "parameters": count_parameters(model, model["vocab_size"]),
                "seconds": round(sum(part["seconds"] for part in state.get("segments", [])), 2),
                "gpu_seconds": state.get("gpu_seconds", 0.0),
                "device": _device_name(self.request.device),
                "versions": versions(),
                "code": code_digest(),
                **more,
            },
            rule,
        )

    def _infeasible(self, message: str) -> Path:
        memory = device_memory(self.request.device)
        reason = f"does not fit the device's memory: {message.splitlines()[0]}"
        self.run.update(status=INFEASIBLE, reason=reason)
        return self._record(
            self.progress["step"], INFEASIBLE, reason, {}, INFEASIBLE, device_memory=memory
        )

    def _give_up(self, step: int, reason: str) -> Path:
        if self.run.furthest_record() >= self.request.until:
            raise StoreError(f"run {self.run.run_id}: could not be trained again: {reason}")
        log.error("run %s: failed: %s", self.run.run_id, reason)
        self.run.update(status=FAILED, reason=reason)
        return self._record(step, FAILED, reason, {}, FAILED)

    def _happened_before(self, text: str) -> bool:
        """Whether the attempt before this one ended with the same error at the same step."""
        attempts = self.run.attempts()
        if len(attempts) < 2:
            return False
        last, before = attempts[-1], attempts[-2]
        return before["end"] == f"error: {text}" and before["to_step"] == last["to_step"]


def last_values(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Return the last value of each metric, apart from the step."""
    values: dict[str, float] = {}
    for line in lines:
        values |= {name: value for name, value in line.items() if name != "step"}
    return values


def _step_of(folder: Path | None) -> int:
    return int(folder.name.rsplit("_", 1)[1]) if folder is not None else 0


def _is_shared(device: torch.device) -> bool:
    """Whether other processes hold so much of a GPU that lack of memory says nothing of the run."""
    if device.type != "cuda":
        return False
    free, total = torch.cuda.mem_get_info(device)
    return bool(total - free - torch.cuda.memory_reserved(device) > 0.1 * total)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"cpu ({os.uname().machine})"
