"""The commands of `resweep`: a name and a line of help for each script that people call.

Nothing slow is imported here: the list of commands has to appear at once.
"""

from typing import NamedTuple

NAME = "resweep"
SCRIPTS = "workflow/scripts"  # of a checkout, from its folder
ALSO = "also"  # the group of what is rarely called, listed by names alone


class Command(NamedTuple):
    """A command.

    Attributes:
        script: Its file in `SCRIPTS`; where it is missing, the command is not listed.
        about: What it does, in at most 56 letters.
        words: The first words of the script's command line.
    """

    script: str
    about: str
    words: tuple[str, ...] = ()


GROUPS: dict[str, dict[str, Command]] = {  # by what a user wants
    "build": {
        "plan": Command("build.py", "what `run` would do, before a second is spent", ("--plan",)),
        "run": Command("build.py", "build studies, on this machine or on a cluster"),
        "targets": Command("targets.py", "list the parts of a study that can be built alone"),
        "sweep": Command("run_sweep.py", "run a W&B sweep file without a study of your own"),
        "train": Command("train.py", "train once, by hand"),
        "rerun": Command("rerun_best_hyperparams.py", "train the best of a list from scratch"),
        "resample": Command("sweep_resample_focused.py", "train more near the best of a list"),
    },
    "look": {
        "audit": Command("audit.py", "what is there, what would train, and its cost"),
        "watch": Command("watch.py", "one screen of a study while it is built"),
        "summary": Command("summarize.py", "rankings, reruns, the paths of report and model"),
        "why": Command("why.py", "what a run or a trial is for, and why it would train"),
        "report": Command("report.py", "write the report of what is ranked so far"),
        "view-runs": Command("view_runs.py", "the table of all runs: filter, sort, choose columns"),
        "ranks": Command("analyze_ranks.py", "how sure the rankings of a study are"),
        "analyze": Command("sweep_analysis.py", "rank runs by their curves, of exports too"),
        "decide": Command("decide.py", "replay stopping decisions, by another rule too"),
    },
    "keep": {
        "forget": Command("forget.py", "remove runs, so that they are trained again"),
        "publish": Command("build.py", "publish what a study ends in", ("--targets=artifacts",)),
        "send": Command("send.py", "send what was published offline"),
    },
    "begin": {
        "init": Command("init.py", "make a folder for a project of your own"),
    },
    ALSO: {
        "gradients": Command("analyze_gradients.py", "what the saved gradients of a run say"),
        "dag": Command("draw_dag.py", "the jobs of a study as a picture, and how far they are"),
        "curvature": Command("analyze_curvature.py", "how straight hidden states of a run are"),
        "tabulate": Command("tabulate_runs.py", "write results/runs.csv: all runs of the store"),
        "prepare-data": Command("prepare_data.py", "prepare data, once for equal settings"),
        "publish-model": Command("publish_model.py", "publish the best model of a ranking"),
        "publish-configs": Command("upload_rerun_configs.py", "publish a folder of configurations"),
        "publish-study": Command("publish_study.py", "publish its scores, its report or its code"),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}
