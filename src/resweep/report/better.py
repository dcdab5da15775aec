"""The line about a run that is better than the best of a study's ranking."""

import shlex

from resweep.errors import DamagedFile
from resweep.json_files import read_json
from resweep.paths import Layout
from resweep.ranking.held import find_configuration
from resweep.ranking.old_bests import OldBest, better_text
from resweep.report.results import StudyResults
from resweep.study.files import model_artifact


def better_line(results: StudyResults, layout: Layout) -> str | None:
    """Return the run, its value and weights, and how to bring it back; None without such a run.

    Args:
        results: Of a study.
        layout: Where its rankings and artifacts are.
    """
    better = results.old_bests.better
    if better is None:
        return None
    run_id = better.claimed[0].run.run_id
    version = _published_as(run_id, results, layout)
    if version is not None:
        return better_text(results.old_bests, better, f"it is published, as {version}")
    command = [*_publish_command(results, layout), "--run", run_id]
    how = f"to publish it: `{shlex.join(command)}`"
    place = _place_in_source(results, better)
    if place is not None:
        how += f"; to have it ranked again, set top: {place} in phase {results.published.name}"
    return better_text(results.old_bests, better, how)


def _published_as(run_id: str, results: StudyResults, layout: Layout) -> str | None:
    """Return the version that the study's stamp names, if it is of this run."""
    stamp = layout.study(results.name).artifact(model_artifact(results.published.name))
    try:
        about = read_json(stamp, "delete it and run snakemake: it is written again")
    except (FileNotFoundError, DamagedFile):
        return None
    same = (about.get("metadata") or {}).get("run_id") == run_id
    return str(about["version"]) if same and "version" in about else None


def _publish_command(results: StudyResults, layout: Layout) -> list[str]:
    """Return the command by which the workflow publishes the best model of the study."""
    phase, tracking = results.published.name, results.tracking
    name = model_artifact(phase)
    words = {
        "--scores": layout.phase(results.name, phase).scores,
        "--artifact-name": name,
        "--project": tracking["project"],
        "--mode": tracking["wandb"],
        "--stamp": layout.study(results.name).artifact(name),
    }
    command = ["python", "workflow/scripts/publish_model.py"]
    command += [str(part) for pair in words.items() for part in pair]
    if tracking.get("entity"):
        command.append(f"--entity={tracking['entity']}")
    if layout != Layout():
        command += ["--results", str(layout.root)]
    return command


def _place_in_source(results: StudyResults, old: OldBest) -> int | None:
    """Return the rank of a configuration in the one phase that its own phase reruns."""
    sources = results.published.sources
    source = results.phase(sources[0]) if len(sources) == 1 else None
    if source is None:
        return None
    found = find_configuration(source.scores, old.standing["settings"])
    return found[0].rank if found else None
