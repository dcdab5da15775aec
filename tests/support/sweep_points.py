"""Points of sweeps with all that is hard to spell in commands, and W&B's agent to spell it."""

import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from wandb.wandb_agent import Agent

from tests.support.warm import warm_process

MACROS = {
    "args": "${args}",
    "no_equals": "${args_no_equals}",
    "no_hyphens": "${args_no_hyphens}",
    "no_boolean_flags": "${args_no_boolean_flags}",
    "append_hydra": "${args_append_hydra}",
    "override_hydra": "${args_override_hydra}",
    "json": "${args_json}",
    "json_file": "${args_json_file}",
}
PLAIN = {
    "learning_rate": 1e-4,
    "tiny": 2.5e-07,
    "weight_decay": 0.0,
    "n_layer": 4,
    "negative": -3,
    "bias": True,
    "compile": False,
    "nothing": None,
    "empty": "",
    "text": "two words, and more",
    "arch.stages.0.repeat": 3,
    "optimizer": {"name": "adam w", "betas": [0.9, 0.95], "nadam": {"on": True, "beta": None}},
    "tags": ["a b", 1, 1e-05, False, None],
    "path": "./some/file",
}
TRICKY = {
    "number": "12",
    "truth": "true",
    "none": "None",
    "flag": "--bias",
    "hydra": "+lr=1",
    "assignment": "lr=3",
    "braces": "{a}",
    "quoted": "'x' \"y\"",
    "comment": "a # b",
    "lines": "a\n b",
    "umlaut": "Größe √2 😀",
    "json": "config.json",
    "no-color": "x",
    "dash": "-",
    "space": " ",
}
ALPHABET = "ab1e-+.=#'\"{}[]:, \n~ü%$&*!|>"


def random_points(count: int) -> list[dict[str, Any]]:
    """Points of made-up values; equal on every call."""
    chance = random.Random(0)
    return [
        {f"p{index}": _value(chance, 2) for index in range(chance.randint(1, 6))}
        for _ in range(count)
    ]


def _value(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(8 if depth else 6)
    if kind == 0:
        return chance.choice([True, False, None])
    if kind == 1:
        return chance.randint(-10, 10)
    if kind == 2:
        return chance.choice([1.0, 1e-4, -2.5e-7, 3e22, chance.random()])
    if kind < 6:
        text = "".join(chance.choice(ALPHABET) for _ in range(chance.randint(0, 6)))
        # W&B makes text of 1e-4, so that text of an exponent is read as the number that it was.
        return "t" + text if re.fullmatch(r"[-+.\d]+e[-+.\d]+", text) else text
    values = [_value(chance, depth - 1) for _ in range(chance.randint(0, 3))]
    return values if kind == 6 else {f"k{i}": value for i, value in enumerate(values)}


class RealAgent:
    """W&B's own agent, told by us in place of a server what to run.

    Args:
        folder: Its `WANDB_DIR`.
        patch: Takes back what the agent writes into the environment.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch):
        for name in ("WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):
            patch.setenv(name, "")
        patch.setenv("WANDB_DIR", str(folder))
        patch.setenv("WANDB_SWEEP_ID", "sweep1")
        patch.setenv("PATH", f"{warm_process().commands}:/usr/bin:/bin")
        self.agent = Agent(api=None, queue=None, sweep_id="sweep1")
        self.folder = folder
        self.runs = 0

    def start(self, program: Path, command: list[str], point: Mapping[str, Any]) -> Any:
        """Start the command of one point; returns its process."""
        self.runs += 1
        run = f"run{self.runs}"
        self.agent._sweep_command = list(command)
        arguments = {name: {"value": value} for name, value in point.items()}
        order = {"type": "run", "run_id": run, "program": str(program), "args": arguments}
        answer = self.agent._process_command(order)
        assert "exception" not in answer, answer
        return self.agent._run_processes[run]

    def spell(self, command: list[str], point: Mapping[str, Any]) -> list[str]:
        """Return the words that a program is started with."""
        program, output = self.folder / "words.py", self.folder / "words.json"
        program.write_text(
            "import json, sys, pathlib\n"
            f"pathlib.Path({str(output)!r}).write_text(json.dumps(sys.argv))\n"
        )
        assert self.start(program, command, point).wait(60) == 0
        return list(json.loads(output.read_text()))

    @property
    def json_file(self) -> Path:
        """Where the last command's `${args_json_file}` is."""
        return self.folder / f"wandb/sweep-sweep1/config-run{self.runs}.json"

    @property
    def parameters(self) -> Path:
        """What the last command's `WANDB_SWEEP_PARAM_PATH` names."""
        return self.json_file.with_suffix(".yaml")
