r"""Prepare a system's data, once for equal settings.

    python workflow/scripts/prepare_data.py --settings '{"source": "networkx-docs", ...}' \
        --stamp results/STUDY/data/ID.json
"""

import argparse
from pathlib import Path

from pydantic import ValidationError

from resweep.command_help import HelpFormatter
from resweep.command_line import JsonArgument, file_path
from resweep.data.store import ensure
from resweep.errors import ConfigError, Problem, run_command
from resweep.json_files import write_json
from resweep.paths import Layout
from resweep.systems.registry import find_system
from resweep.systems.system import DEFAULT
from resweep.violations import violations


def main() -> None:
    """Prepare the data and write its description as the study's stamp."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    parser.add_argument("--system", default=DEFAULT, help=f"system that reads it ({DEFAULT})")
    parser.add_argument(
        "--settings",
        type=JsonArgument(),
        required=True,
        help="the data section as JSON, or @FILE, as far as it differs from the defaults",
    )
    parser.add_argument(
        "--stamp", type=file_path, required=True, help="description of the data to write"
    )
    parser.add_argument("--results", type=file_path, default=Path("results"), help="results folder")
    arguments = parser.parse_args()
    system = find_system(arguments.system, "--system")
    fields = system.schema.sections["data"].model_fields
    defaults = {name: field.default for name, field in fields.items() if not field.is_required()}
    settings = {**defaults, **arguments.settings}
    try:
        system.schema.sections["data"].model_validate(settings)
    except ValidationError as error:
        found = violations(error, settings)
        raise ConfigError(Problem("--settings", v.key, v.value, v.hint) for v in found) from None
    prepared = ensure(system, settings, Layout(arguments.results))
    write_json(arguments.stamp, prepared.about)
    print(system.describe_data(prepared))


if __name__ == "__main__":
    run_command(main)
