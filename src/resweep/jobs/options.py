"""The options of a training job, written to a command line and read from it.

The rule, a worker and rank 0's launcher all start `train.py`: what they ask for, besides the trial,
is a `JobOptions`.
"""

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from resweep.command_line import JsonArgument, count, file_path, positive, seconds
from resweep.paths import Layout

KEEP = ("best", "all", "none")
DEVICE = r"auto|cpu|cuda(:\d+)?"
DEVICE_HINT = "should be auto, cpu, cuda or cuda:N"


def device(text: str) -> str:
    """Read --device, as an argument's type."""
    if not re.fullmatch(DEVICE, text):
        raise argparse.ArgumentTypeError(f"{DEVICE_HINT}, not {text!r}")
    return text


@with_config(ConfigDict(extra="forbid"))
class TrackingOptions(TypedDict, total=False):
    """Settings of W&B, as a job is given them."""

    wandb: Literal["offline", "online", "disabled"]
    project: str
    entity: str | None
    agent_run: str


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What a training job is given besides its trial; nothing here changes a run's numbers.

    Attributes:
        results: The results folder.
        device: auto, cpu, cuda or cuda:N; auto and cuda lease a GPU of this machine.
        keep: Which weights to keep: best (decided when the phase is ranked), all or none.
        weights: Whether the weights are wanted even if they were pruned.
        tracking: Settings of W&B: wandb, project, entity.
        lock_timeout: Seconds to wait for another process that advances the run.
        memory_limit_mb: The scheduler's limit.
        cores: That the scheduler gives; a pack uses them.
        log_file: A further log file for the processes of the training.
    """

    results: Path = Path("results")
    device: str = "auto"
    keep: str = "best"
    weights: bool = False
    tracking: dict[str, Any] = field(default_factory=dict)
    lock_timeout: float = 3600.0
    memory_limit_mb: int | None = None
    cores: int = 1
    log_file: Path | None = None

    @property
    def layout(self) -> Layout:
        """Of the results folder."""
        return Layout(self.results)

    @property
    def wants_weights(self) -> bool:
        """Whether weights that were pruned have to be trained again."""
        return self.weights or self.keep == "all"

    def words(self) -> list[str]:
        """Return the options that differ from the defaults as words, which `parse` reads."""
        default = JobOptions()
        said = {
            "--results": (self.results, default.results),
            "--device": (self.device, default.device),
            "--keep": (self.keep, default.keep),
            "--tracking": (json.dumps(self.tracking, sort_keys=True), json.dumps(default.tracking)),
            "--lock-timeout": (self.lock_timeout, default.lock_timeout),
            "--memory-mb": (self.memory_limit_mb, default.memory_limit_mb),
            "--cores": (self.cores, default.cores),
            "--log": (self.log_file, default.log_file),
        }
        words = [
            word
            for name, (value, usual) in said.items()
            if value != usual
            for word in (name, f"{value}")
        ]
        return [*words, "--weights"] if self.weights else words

    @staticmethod
    def add_to(parser: argparse.ArgumentParser) -> None:
        """Add the options to a parser."""
        add, default = parser.add_argument, JobOptions()
        add("--results", type=file_path, default=default.results, help="results folder (results)")
        add(
            "--device",
            type=device,
            metavar="DEVICE",
            default=default.device,
            help="auto, cpu, cuda or cuda:N (auto)",
        )
        add("--keep", choices=KEEP, default=default.keep, help="weights to keep (best)")
        add("--weights", action="store_true", help="train again if the weights were pruned")
        add(
            "--tracking",
            type=JsonArgument(TrackingOptions),
            default={},
            metavar="JSON",
            help="W&B settings: wandb, project, entity",
        )
        add(
            "--lock-timeout",
            type=seconds,
            default=default.lock_timeout,
            help="seconds to wait for another process that trains the same run (3600)",
        )
        add("--memory-mb", type=count, help="memory limit of the scheduler, in MB")
        add("--cores", type=positive, default=default.cores, help="cores of the job (1)")
        add("--log", type=file_path, help="also log to this file")

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> "JobOptions":
        """Return the options that a parser read."""
        return cls(
            results=arguments.results,
            device=arguments.device,
            keep=arguments.keep,
            weights=arguments.weights,
            tracking=arguments.tracking,
            lock_timeout=arguments.lock_timeout,
            memory_limit_mb=arguments.memory_mb,
            cores=arguments.cores,
            log_file=arguments.log,
        )

    @classmethod
    def parse(cls, words: Sequence[str]) -> "JobOptions":
        """Read the options from words of a command line."""
        parser = argparse.ArgumentParser(allow_abbrev=False)
        cls.add_to(parser)
        return cls.of(parser.parse_args(words))
