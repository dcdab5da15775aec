"""What Snakemake takes to plan packed trials, and to find them done, beside bare Snakefiles.

    a job a trial     a rule with a wildcard
    the same packs    a rule a pack, without wildcards

Both declare the files that the study's training rules declare, and no others.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.packs.process_tree import Usage, measure
from benchmarks.packs.random_search import random_search
from benchmarks.packs.rounds import in_turn, ratios, spread
from benchmarks.packs.workplace import CORES, ENVIRONMENT, Workplace
from resweep.study.study import Phase

OURS, SINGLE, PACKED = "resweep", "bare, a job a trial", "bare, the same packs"
COMMON = """\
import json

PACKS = json.load(open("packs.json"))
TRIALS = [trial for pack in PACKS for trial in pack]


rule all:
    input:
        expand("trials/{trial}.yaml", trial=TRIALS),
        expand("records/{trial}.json", trial=TRIALS),


"""
SNAKEFILES = {
    SINGLE: f"""{COMMON}rule train:
    output:
        "trials/{{trial}}.yaml",
        "records/{{trial}}.json",
    params:
        content=lambda wildcards: wildcards.trial,
    shell:
        "touch {{output}}"
""",
    PACKED: f"""{COMMON}for number, pack in enumerate(PACKS):

    rule:
        name:
            f"train_{{number}}"
        output:
            expand("trials/{{trial}}.yaml", trial=pack),
            expand("records/{{trial}}.json", trial=pack),
        params:
            content=pack[0],
        shell:
            "touch {{output}}"
""",
}
Places = dict[str, "Workplace | BareWorkflow"]
METADATA = Path(".snakemake/metadata")


def jobs_of(phase: Phase) -> list[Sequence[str]]:
    """Return the trials of each training job of a phase."""
    jobs: list[Sequence[str]] = []
    for packs in phase.packs.values():
        for pack in packs:
            jobs += [[name] for name in pack.names] if pack.is_alone else [pack.names]
    return jobs


class BareWorkflow:
    """A Snakefile with nothing but trainings, in a folder of its own.

    Args:
        path: Where; must not exist.
        snakefile: Its text.
        packs: Trials of each job.
    """

    def __init__(self, path: Path, snakefile: str, packs: Sequence[Sequence[str]]):
        self.path = path
        self.packs = packs
        path.mkdir(parents=True)
        (path / "Snakefile").write_text(snakefile)
        (path / "packs.json").write_text(json.dumps(packs))
        for name in ("trials", "records"):
            (path / name).mkdir()

    def snakemake(self, *words: str) -> Usage:
        """Call Snakemake."""
        return measure(["snakemake", "--cores", str(CORES), *words], self.path, ENVIRONMENT)

    def finish(self) -> None:
        """Run all jobs, with the scheduler that thousands of ready jobs need."""
        self.snakemake("--scheduler", "greedy", "--scheduler-subsample", "100")


def bare_workflows(phase: Phase, folder: Path) -> dict[str, BareWorkflow]:
    """Return the bare workflows for the trials of a phase."""
    packs = jobs_of(phase)
    return {
        name: BareWorkflow(folder / f"bare-{number}", snakefile, packs)
        for number, (name, snakefile) in enumerate(SNAKEFILES.items())
    }


def measure_planning(trials: int, rounds: int, folder: Path) -> str:
    """Plan a random search of which nothing is trained; return tables."""
    ours = random_search(folder / "ours", trials)
    places: Places = {OURS: ours, **bare_workflows(ours.phase, folder)}
    dry_runs = _calls(f"`snakemake -n` of {trials:,} trials", places, ["--dry-run"], rounds)
    parsing = _calls("start and parse, as a cluster's job does", places, ["--list-rules"], rounds)
    return f"{dry_runs}\n\n{parsing}"


def measure_finished(ours: Workplace, rounds: int, folder: Path) -> str:
    """Call Snakemake for a finished study; return a table, and one of what it notes of the jobs."""
    bare = bare_workflows(ours.phase, folder)
    for workflow in bare.values():
        workflow.finish()
    places: Places = {OURS: ours, **bare}
    count = len(ours.phase.trials)
    calls = _calls(f"a call for {count:,} trials that are done", places, [], rounds)
    lines = ["| `.snakemake/metadata` | files | MB | MB on the disk |", "|---|---|---|---|"]
    for name, place in places.items():
        notes = list(_notes(place.path))
        megabytes, on_disk = (sum(sizes) / 1e6 for sizes in zip(*notes, strict=True))
        lines.append(f"| {name} | {len(notes):,} | {megabytes:.1f} | {on_disk:.1f} |")
    for workflow in bare.values():
        shutil.rmtree(workflow.path)
    return "\n".join([calls, "", *lines])


def _notes(place: Path) -> Iterator[tuple[int, int]]:
    """Bytes of each file of Snakemake's metadata, and of its blocks."""
    for file in (place / METADATA).rglob("*"):
        if file.is_file():
            state = file.stat()
            yield state.st_size, 512 * state.st_blocks


def _calls(title: str, places: Places, words: list[str], rounds: int) -> str:
    """Call Snakemake in several places in turn; return a table."""
    figures: dict[str, list[Usage]] = {name: [] for name in places}
    for number in range(rounds):
        for name in in_turn(list(places), number):
            figures[name].append(places[name].snakemake(*words))
            print(f"round {number + 1}: {name}: {figures[name][-1]}", flush=True)
    lines = [f"| {title} | CPU s | ours over it | peak MB |", "|---|---|---|---|"]
    for name, usages in figures.items():
        over = ratios(figures, OURS, name, lambda usage: usage.cpu)
        peak = max(usage.peak_mb for usage in usages)
        cells = [spread([usage.cpu for usage in usages], 1), spread(over, 2), f"{peak:.0f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)
