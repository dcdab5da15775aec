"""The cost of planning a large study: a dry run of 10,000 trials, and parsing in a job."""

import resource
import shutil
import tempfile
from pathlib import Path

from benchmarks.throughput import ROOT, cpu_seconds
from resweep import yaml12

TRIALS = 10_000
MINIMAL = """\
rule all:
    input:
        [f"records/{trial}.json" for trial in range(TRIALS)],


rule train:
    output:
        trial="trials/{trial}.yaml",
        record="records/{trial}.json",
    params:
        content=lambda wildcards: wildcards.trial,
    shell:
        "echo {params.content} {output.trial} {output.record}"
"""


def measure() -> None:
    """Print CPU seconds and memory, beside a Snakefile that does nothing else."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("Snakefile", "rules", "workflow", "config", "profiles", "envs", "src"):
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, folder / part)
        write_study(folder)
        (folder / "minimal.smk").write_text(MINIMAL.replace("TRIALS", str(TRIALS)))
        dry_run = ["snakemake", "--dry-run", "--quiet", "all"]
        minimal = cpu_seconds([*dry_run, "--snakefile", "minimal.smk"], cwd=folder)
        full = cpu_seconds([*dry_run, "--config", "study=large"], cwd=folder)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        parse = cpu_seconds(["snakemake", "--list-rules", "--config", "study=large"], cwd=folder)
    print("| 10,000 trials | CPU seconds |\n|---|---|")
    print(f"| `snakemake -n` | {full:.1f} |")
    print(f"| `snakemake -n` of a bare Snakefile with as many jobs | {minimal:.1f} |")
    print(f"| start and parse, as a cluster job does | {parse:.1f} |")
    print(f"\nPeak memory {memory:.0f} MB; ratio to the bare Snakefile {full / minimal:.2f}.")


def write_study(folder: Path) -> None:
    """The quickstart study with ten thousand random trials."""
    sweep = {
        "method": "random",
        "run_cap": TRIALS,
        "parameters": {
            "learning_rate": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
            "pct_warmup": {"min": 0.01, "max": 0.5},
            "weight_decay": {"min": 0.0, "max": 0.3},
        },
    }
    (folder / "config/sweep/large.yaml").write_text(yaml12.dump(sweep))
    study = yaml12.load(folder / "config/studies/quickstart.yaml")
    study["name"] = "large"
    study["phases"][0]["sweep"] = "large"
    (folder / "config/studies/large.yaml").write_text(yaml12.dump(study))


if __name__ == "__main__":
    measure()
