"""The command that a W&B agent would run for one point of a sweep.

A sweep file's `command` is a list of words; those that are macros are replaced, `${envvar:NAME}`
inside words too:

    ${env} ${interpreter} ${program}            /usr/bin/env python PROGRAM
    ${args} ${args_no_boolean_flags}            --lr=0.1 --bias=True; --lr=0.1 --bias
    ${args_no_equals} ${args_no_hyphens}        --lr 0.1; lr=0.1
    ${args_append_hydra} ${args_override_hydra} +lr=0.1; ++lr=0.1
    ${args_json} ${args_json_file}              {"lr": 0.1}; a file of this

As wandb 0.31 does it (`wandb_agent.py`, `sdk/launch/sweeps/utils.py`); `test_arguments.py` compares
it with the real agent.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DEFAULT_COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")
_VARIABLE = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")


def agent_command(
    sweep: Mapping[str, Any],
    point: Mapping[str, Any],
    json_file: Path,
    environment: Mapping[str, str],
) -> list[str]:
    """Build the command line of one point.

    Args:
        sweep: A sweep file's content; `program`, `command` and the nesting of `parameters` count.
        point: Name -> value, names of nested parameters joined with dots.
        json_file: Where the parameters go if the command asks for `${args_json_file}`.
        environment: For `${envvar:NAME}`; a variable that is not set gives its name.
    """
    command = sweep.get("command") or DEFAULT_COMMAND
    words = [_VARIABLE.sub(lambda m: environment.get(m[1], m[1]), str(word)) for word in command]
    arguments = agent_arguments(sweep["parameters"], point)
    macros = _macros(arguments, sweep.get("program"), json_file)
    if "${args_json_file}" in words:
        json_file.write_text(json.dumps(arguments))
    return [part for word in words for part in (macros[word] if _is_macro(word) else [word])]


def agent_arguments(parameters: Mapping[str, Any], point: Mapping[str, Any]) -> dict[str, Any]:
    """Return a point's values as agents get them: nested parameters are one mapping.

    Args:
        parameters: `parameters` of the sweep file.
        point: Name -> value, names of nested parameters joined with dots.
    """
    return {
        name: agent_arguments(
            spec["parameters"],
            {
                path.removeprefix(f"{name}."): value
                for path, value in point.items()
                if path.startswith(f"{name}.")
            },
        )
        if isinstance(spec, dict) and "parameters" in spec
        else point[name]
        for name, spec in parameters.items()
    }


def _is_macro(word: str) -> bool:
    return word.startswith("${") and word.endswith("}")


def _macros(arguments: Mapping[str, Any], program: Any, json_file: Path) -> dict[str, list[str]]:
    """Return the words that each macro stands for."""
    plain = [f"{name}={value}" for name, value in arguments.items()]
    flags = [
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in arguments.items()
        if value is not False
    ]
    apart = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    return {
        "${env}": ["/usr/bin/env"],
        "${interpreter}": ["python"],
        "${program}": [str(program)],
        "${args}": [f"--{word}" for word in plain],
        "${args_no_equals}": apart,
        "${args_no_hyphens}": plain,
        "${args_no_boolean_flags}": flags,
        "${args_append_hydra}": [f"+{word}" for word in plain],
        "${args_override_hydra}": [f"++{word}" for word in plain],
        "${args_json}": [json.dumps(arguments)],
        "${args_json_file}": [str(json_file)],
    }
