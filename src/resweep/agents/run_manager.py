"""Runs of a training script of one's own in the store, and its table, from Python.

    setup_run(config)      ->  results/runs/{run_id}/config.yaml, record.json
    update_metrics(...)    ->  columns of results/runs.csv, from any number of processes at once
    get_runs_df()          ->  the table as a data frame

Runs that resweep trained are there too: metrics can be added to them, also while they train. Only
the script knows what its own runs are, so that nothing trains them again, and no study ranks them.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resweep import yaml12
from resweep.canonical import file_digest
from resweep.errors import ConfigError, Problem, StoreError
from resweep.files import write_atomically
from resweep.paths import Layout, is_run_id
from resweep.report.run_view import read_table
from resweep.report.tables import REGISTERED, update_metrics
from resweep.store.run import Run
from resweep.store.state import BEGUN

if TYPE_CHECKING:
    import pandas as pd

FEWEST_BYTES = 6  # of an id: 12 hex digits, as the store names its own


class RunManager:
    """The runs of a store.

    Args:
        base_dir: The folder of runs, or a link to it; None: results/runs.
    """

    def __init__(self, base_dir: str | Path | None = None):
        folder = Layout().runs if base_dir is None else Path(base_dir)
        self.layout = Layout(folder.parent)
        if self.layout.runs != folder and folder.is_symlink():
            folder = folder.resolve()
            self.layout = Layout(folder.parent)
        if self.layout.runs != folder:
            hint = f"should be a folder `runs` of results, or a link to one; {folder} is not"
            raise ConfigError(Problem("RunManager", "base_dir", str(base_dir), hint))

    def generate_run_id(self) -> str:
        """Return a new id: 12 hexadecimal digits."""
        while True:
            run_id = secrets.token_hex(FEWEST_BYTES)
            if not self.layout.run(run_id).exists():
                return run_id

    def create_run_dir(self, run_id: str) -> Path:
        """Make the folder of a run.

        Raises:
            ConfigError: It is not an id as `generate_run_id` gives one.
            FileExistsError: There is such a run.
        """
        folder = self._run(run_id).path
        folder.mkdir(parents=True)
        return folder

    def save_config(self, run_id: str, config: Mapping[str, Any]) -> Path:
        """Write a run's config.yaml.

        Raises:
            StoreError: resweep trained the run, and its configuration says what it is.
        """
        run = self._own(run_id)
        write_atomically(run.folder.config, yaml12.dump(dict(config)))
        run.update(config_digest=file_digest(run.folder.config))
        return run.folder.config

    def register_run(
        self, run_id: str, run_name: str | None = None, sweep_name: str | None = None
    ) -> None:
        """Give a run its row in the table."""
        names = {"run_name": run_name, "sweep_name": sweep_name}
        run = self._own(run_id)
        run.update(status=BEGUN, step=0, **{REGISTERED: {k: v for k, v in names.items() if v}})

    def setup_run(
        self,
        config: Mapping[str, Any],
        run_name: str | None = None,
        sweep_name: str | None = None,
    ) -> tuple[str, Path]:
        """Make a run with its folder, configuration and row; returns its id and folder.

        Args:
            config: Nested; each leaf is a column of the table.
            run_name: None: `run.name` of the configuration.
            sweep_name: Of the sweep that it belongs to.
        """
        run_id = self.generate_run_id()
        folder = self.create_run_dir(run_id)
        self.register_run(run_id, run_name or config.get("run", {}).get("name"), sweep_name)
        self.save_config(run_id, config)
        return run_id, folder

    def get_run_dir(self, run_id: str) -> Path:
        """Return the folder of a run; raises StoreError if there is none."""
        return self._existing(run_id).path

    def get_run_config(self, run_id: str) -> dict[str, Any]:
        """Return the configuration of a run; raises StoreError if there is none."""
        return self._existing(run_id).config()

    def get_runs_df(self) -> "pd.DataFrame":
        """Return the table of all runs: one row a run, a column for each leaf and metric."""
        import pandas as pd

        return pd.DataFrame(dict(read_table(self.layout).columns))

    def update_metrics(self, run_id: str, metrics: Mapping[str, float | int | str | bool]) -> None:
        """Add metrics to a run, as columns of the table; errors of `tables.update_metrics`.

        Of a run that the script registered, they may be final values: `final_valid_loss`.
        """
        update_metrics(run_id, metrics, self.layout)

    def get_best_run(
        self, metric: str = "final_valid_loss", minimize: bool = True, sweep_name: str | None = None
    ) -> "pd.Series[Any]":
        """Return the row of the best run by a column.

        Args:
            metric: The column, or the end of its path.
            minimize: Whether less is better.
            sweep_name: Of the runs to compare; None: all.

        Raises:
            ConfigError: There is no such column, or no such sweep.
            StoreError: No run has a value.
        """
        import pandas as pd

        table = read_table(self.layout)
        if sweep_name is not None:
            table = table.of_sweep(sweep_name)
        column = table.column(metric, "metric")
        best = table.sorted_by(column, descending=not minimize).first(1)
        row = {name: values[0] if values else None for name, values in best.columns.items()}
        if row[column] is None:
            raise StoreError(f"{self.layout.runs_table}: no run has a value of {column}")
        return pd.Series(row)

    def _run(self, run_id: str) -> Run:
        if not is_run_id(run_id):
            hint = "should be 12 hexadecimal digits, as generate_run_id() gives them"
            raise ConfigError(Problem("RunManager", "run_id", run_id, hint))
        return Run(self.layout.run(run_id))

    def _existing(self, run_id: str) -> Run:
        run = self._run(run_id)
        if not run.path.is_dir():
            raise StoreError(f"{run_id}: no such run in {self.layout.runs}")
        return run

    def _own(self, run_id: str) -> Run:
        """Return a run that the script may change: not one that resweep trained."""
        run = self._existing(run_id)
        if "identity" in run.state():
            raise StoreError(f"{run_id}: was trained by resweep; only metrics can be added to it")
        return run
