"""Look at the runs in saved_models: filter, sort, choose columns.

    python straightening_dynamics/train/view_runs.py --filter_sweep learning_rate_sweep
    python straightening_dynamics/train/view_runs.py --sort_by final_valid_loss --limit 10

All flags are those of workflow/scripts/view_runs.py, of which this is a name.
"""

import runpy

from home import HOME, enter

if __name__ == "__main__":
    enter()
    runpy.run_path(str(HOME / "workflow/scripts/view_runs.py"), run_name="__main__")
