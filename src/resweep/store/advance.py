"""The work of a request: one holding of a run's lock, from the last checkpoint to a record.

what the metrics tell of the trial's monitors  ->  where it ends
the last sound checkpoint                      ->  where to go on, and in which folder
training                                       ->  checkpoints, metrics, how the attempt ended
resweep.store.recorder                         ->  the record
"""

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from resweep import yaml12
from resweep.errors import Interrupted, LeaseLost, ProcessLost, ResweepError, StoreError
from resweep.paths import write_atomically
from resweep.store import checkpoints as checkpoint
from resweep.store.identity import identity
from resweep.store.lock import RunLock
from resweep.store.parent import compare_tokens, require_parent
from resweep.store.provenance import code_digest
from resweep.store.recorder import DONE, Recorder, last_values
from resweep.store.retention import Policy, add_policy, drop_before, drop_unclaimed, has_claims
from resweep.store.run import (
    FEWER_SEQUENCES,
    MOST_ATTEMPTS_WITHOUT_PROGRESS,
    NO_MONITORS,
    OUT_OF_MEMORY,
    Run,
    is_nearly_full,
)
from resweep.store.saver import Saver
from resweep.training.device import device_name, is_shared
from resweep.training.gradient_learner import Trainer
from resweep.training.loop import Callbacks, LoopEnd, train
from resweep.training.metrics import METRICS, TIMING, MetricLog, read_metrics, val_losses
from resweep.training.micro_batch_limit import MicroBatchLimit
from resweep.training.monitors import Monitors, Stop
from resweep.training.writer import Writer

if TYPE_CHECKING:
    from resweep.store.request import Request

AGAIN = "again"  # subfolder of a retraining

log = logging.getLogger(__name__)


class Advance:
    """Advances a run.

    Args:
        request: What is asked.
        run: Whose lock is held.
        lock: That lock.
        progress: Told the step, for the lease.
    """

    def __init__(self, request: "Request", run: Run, lock: RunLock, progress: dict[str, int]):
        self.request = request
        self.run = run
        self.lock = lock
        self.progress = progress
        self.folder = run.path
        self.until = request.until
        self.early_stopping = request.early_stopping
        self.stop: Stop | None = None  # the monitor that ends the trial
        self.most_sequences: int | None = None  # a forward, as far as it is known
        self.recorder = Recorder(run, request.config, device_name(request.device))

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
        self._ask_metrics()
        told = self.stop is not None or run.tells_end(self.until)
        if told and run.has_wanted(self.until, request.weights, request.gradients):
            return self.recorder.replay(self.until, self.stop)
        start = self._choose_folder()
        from_step = _step_of(start)
        if start is None or request.config["model"].get("lora_rank") is not None:
            require_parent(request.config)
            warning = compare_tokens(request.config, request.data)
            if warning is not None:
                log.warning("run %s: %s", run.run_id, warning)
        if run.attempts_from(from_step) >= MOST_ATTEMPTS_WITHOUT_PROGRESS:
            ends = ", ".join(attempt["end"] for attempt in run.attempts()[-3:])
            return self._give_up(from_step, f"attempts without progress used up ({ends})")
        self.progress["step"] = from_step
        if request.interrupted():  # before all is built only to be left
            raise Interrupted(
                f"run {run.run_id}: left at step {from_step} of {self.until}; the same command "
                "continues it"
            )
        add_policy(run, Policy.of(request.config["training"]))
        run.begin_attempt(self.lock.generation, from_step, device_name(request.device))
        started = time.monotonic()
        processes = request.processes
        gpus = processes.world_size if request.device.type == "cuda" else 0

        def end(how: str) -> None:
            self.lock.confirm()  # else the open attempt is another process's
            seconds = time.monotonic() - started
            engine = request.config["training"]["distributed"] if processes.together else "none"
            count = processes.world_size
            run.end_attempt(how, self.progress["step"], seconds, gpus, count, engine)

        trainer: Trainer | None = None
        try:
            trainer = self._build()
            run.update(parameters=trainer.model.size)
            if start is None:
                trainer.begin()
            else:
                trainer.load(start)
                log.info("run %s: continues from step %d", run.run_id, trainer.step)
            outcome, metrics = self._train(trainer, end)
            if outcome is not LoopEnd.INTERRUPTED:
                end("completed")
        except LeaseLost:
            raise
        except torch.OutOfMemoryError as error:
            if is_shared(request.device):
                end("machine: other processes hold the GPU's memory")
                raise
            if trainer is not None and processes.together:
                fewer = self._micro_batch_limit().read() != self.most_sequences
                end(FEWER_SEQUENCES if fewer else "machine: out of GPU memory")
                raise
            end("out of GPU memory")
            reached = self.progress["step"]
            return self.recorder.lack_memory(reached, str(error), request.device_memory)
        except (ResweepError, OSError, MemoryError) as error:
            # Where memory is short, the kernel may kill one of several processes alone.
            lost = isinstance(error, ProcessLost) and is_nearly_full(self.lock.details())
            end(OUT_OF_MEMORY if lost else f"machine: {type(error).__name__}: {error}")
            raise
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            end(f"error: {text}")
            if run.failed_alike(text):
                return self._give_up(self.progress["step"], text)
            raise
        if outcome is LoopEnd.INTERRUPTED:
            raise Interrupted(
                f"run {run.run_id}: saved at step {trainer.step} of {self.until} and left; "
                "the same command continues it"
            )
        if outcome is LoopEnd.DIVERGED:
            return self.recorder.diverge(self.folder, trainer.step)
        record = self.recorder.end(self.folder, trainer.step, metrics, self.stop)
        self.folder = run.path
        if run.has_weights(trainer.step):
            losses = val_losses(read_metrics(run.path / METRICS))
            drop_before(run, run.path, trainer.step, losses)
        else:
            drop_unclaimed(run)
        return record

    def _build(self) -> Trainer:
        """Return a new trainer, and have one built in all other processes."""
        request = self.request
        micro_batch_limit = self._micro_batch_limit()
        self.most_sequences = micro_batch_limit.read()
        if self.most_sequences == 0:
            raise torch.OutOfMemoryError("one sequence does not fit the GPUs of the processes")
        limits = (self.most_sequences, micro_batch_limit)
        request.processes.tell("build", request.config, request.data, *limits)
        return Trainer(request.config, request.data, request.device, request.processes, *limits)

    def _micro_batch_limit(self) -> MicroBatchLimit:
        return MicroBatchLimit(self.run.path, self.request.device_memory)

    def _ask_metrics(self) -> None:
        """See what the run's metrics tell of the trial's monitors, as far as they are settled.

        What they tell stands, even if this device rounds otherwise and would find something else.
        """
        settled = self.run.settled_step()
        self.stop = self.run.settled_stop(self.until, self.early_stopping)
        if self.stop is not None:
            self.until = self.stop.step
        if self.until <= settled:
            self.early_stopping = NO_MONITORS

    def _choose_folder(self) -> Path | None:
        """Decide where to work and from which checkpoint; returns it, or None to begin anew.

        Settled steps are never written again: what lacks the checkpoint to go on from there is
        retrained in a folder beside, and what was wanted is moved over.
        """
        checkpoint.drop_leftovers(self.folder)
        shutil.rmtree(self.run.path / DONE, ignore_errors=True)
        start = self._latest_sound()
        if _step_of(start) >= self.run.settled_step():
            return start
        log.info("run %s: has been further; retrains beside it", self.run.run_id)
        self.folder = self.run.path / AGAIN
        checkpoint.drop_leftovers(self.folder)
        unfit = self.folder / checkpoint.folder_name(self.until)
        if unfit.is_dir() and not self.request.gradients.is_met(unfit):
            checkpoint.delete(unfit)
        beside = self._latest_sound()
        if _step_of(beside) >= _step_of(start):
            return beside
        for name in (METRICS, TIMING):  # cut back to that step when they are opened
            write_atomically(self.folder / name, (self.run.path / name).read_bytes())
        return start

    def _latest_sound(self) -> Path | None:
        """Return the checkpoint to go on from: the trial's own only with the gradients it wants."""
        found = checkpoint.latest_sound(self.folder, self.until)
        if _step_of(found) < self.until or found is None or self.request.gradients.is_met(found):
            return found
        return checkpoint.latest_sound(self.folder, self.until - 1)

    def _train(
        self, trainer: Trainer, end: Callable[[str], None]
    ) -> tuple[LoopEnd, dict[str, float]]:
        """Train; returns how it ended, and what the trial got."""
        metrics = MetricLog(self.folder / METRICS, trainer.step)
        timing = MetricLog(self.folder / TIMING, trainer.step)
        monitors = Monitors(self.early_stopping, trainer.max_steps)
        lines = read_metrics(self.folder / METRICS, trainer.step)
        for line in lines:
            monitors.see(line)
        got: dict[str, float] = {}
        with closing(metrics), closing(timing), Writer() as writer:
            saver = Saver(
                self.run,
                self.folder,
                self.lock,
                self.request.config["training"]["keep_best"],
                val_losses(lines),
                writer,
                metrics.flush_to_disk,
            )

            def beat(step: int) -> None:
                self.progress["step"] = step
                writer.check()
                if self.lock.lost:
                    self.lock.confirm()

            calls = Callbacks(
                lambda: saver.save(trainer), self.request.interrupted, beat, saver.is_best
            )
            # Entered after the files were cut back to this step: who follows them reads on from it.
            with self.request.around(self.folder, trainer.step):
                outcome = train(trainer, self.until, metrics, timing, calls, monitors)
                writer.wait()
                self.progress["step"] = trainer.step
                if outcome is LoopEnd.INTERRUPTED:
                    end("interrupted")  # now: who follows may take longer than we are given
            metrics.flush_to_disk()
            self.stop = self.stop or monitors.stop
            if outcome in (LoopEnd.REACHED, LoopEnd.STOPPED):
                got = self._measure_and_save(trainer, saver)
        return outcome, got

    def _measure_and_save(self, trainer: Trainer, saver: Saver) -> dict[str, float]:
        """Evaluate where the trial stops, and save if anybody wants the weights."""
        lines = read_metrics(self.folder / METRICS, trainer.step)
        metrics = last_values(lines)
        # What a monitor stopped got is in the file, from which its record can be made again.
        if self.stop is None:
            metrics |= self._measure(trainer, lines[-1:])
        if self.request.keep_weights or self.request.weights or has_claims(self.run):
            saver.save(trainer)
            saver.writer.wait()
        return metrics

    @staticmethod
    def _measure(trainer: Trainer, last: list[dict[str, Any]]) -> dict[str, float]:
        """Return what the last line of metrics does not tell of where the trial stops."""
        if trainer.step == trainer.max_steps:
            if trainer.data.tokens["test"] <= trainer.context_length:
                return {}
            return {"test/loss": trainer.evaluate("test")["test/loss"]}
        if any(line["step"] == trainer.step and "val/loss" in line for line in last):
            return {}  # the loop has just evaluated
        return trainer.evaluate("val")

    def _give_up(self, step: int, reason: str) -> Path:
        if self.run.furthest_record() >= self.until:
            raise StoreError(f"run {self.run.run_id}: could not be trained again: {reason}")
        return self.recorder.fail(step, reason)


def _step_of(folder: Path | None) -> int:
    return int(folder.name.rsplit("_", 1)[1]) if folder is not None else 0
