"""Options for sbatch in a study: what sbatch gets of them, through the plugin and a shell."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resweep.jobs.resources import Needs, scheduler_resources
from resweep.study.sbatch_options import KNOWN, SIGNAL, read_sbatch_options
from resweep.study.schema import Resources

GOOD = {
    "": [],
    "-C a100": ["-C", "a100"],
    "-Ca100 -w gpu[1-4],cpu1": ["-Ca100", "-w", "gpu[1-4],cpu1"],
    "--constraint=a100|h100": ["--constraint=a100|h100"],
    "--constraint '(a&b)|c'": ["--constraint", "(a&b)|c"],
    "--comment='two words'": ["--comment=two words"],
    """--comment "it's ; touch x # & -o y" """: ["--comment", "it's ; touch x # & -o y"],
    r"--comment=back\ slash\\": ["--comment=back slash\\"],
    "--qos=high --exclusive --nice=5 -H": ["--qos=high", "--exclusive", "--nice=5", "-H"],
    "--nodelist=rack-J1 --mail-type=END --mail-user=a@b.org": [
        *("--nodelist=rack-J1", "--mail-type=END", "--mail-user=a@b.org"),
    ],
    "--tmpfs=10G --comment=größe-ü": ["--tmpfs=10G", "--comment=größe-ü"],
}
BAD = {
    "; touch x #": "';'",
    "-C a100 ; touch x": "';'",
    "-C a100 && touch x": "'&&'",
    "$(touch x)": "$",
    "--comment=$HOME": "$",
    "--comment=`touch x`": "backtick",
    "--comment='two\nlines'": "one line",
    "--comment=a\x00b": "one line",
    "--comment='open": "quot",
    "job.sh": "'job.sh'",
    "--exclusive job.sh": "'job.sh'",
    "-": "'-'",
    "--": "'--'",
    "-C": "value",
    "-C --exclusive": "value",
    "--wrap=ls": "--wrap",
    "--wra=ls": "--wrap",
    "-o out.txt": "-o",
    "-oout.txt": "-o",
    "--output=out.txt": "--output",
    "-JA": "-J",
    "--parsable": "--parsable",
    "-D/tmp": "-D",
    "--mem=4G": "resources.mem_mb",
    "-p gpu": "resources.partition",
    "--time=10": "resources.runtime",
    "-N 2": "training.nodes",
    "-c4": "resources.cpus",
    "-G1": "resources.gpus",
    "-A me": "slurm_account",
    "-Hs": "-Hs",
    "-Z": "-Z",
    "--frobnicate": "--frobnicate",
    "--exclusive;touch": "--exclusive;touch",
    "--signal=B:USR1@60": "USR1@SECONDS",
    "--signal TERM": "USR1@SECONDS",
    "--gres=gpu:1,nic:1": "COUNT",
    "--gres 'gpu:1; touch x'": "COUNT",
}


@pytest.fixture(scope="module")
def submitted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Needs], list[str]]:
    """The words that sbatch gets for a job, by the plugin's own functions and a real shell."""
    folder = tmp_path_factory.mktemp("bin")
    sbatch = folder / "sbatch"
    sbatch.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    sbatch.chmod(0o755)
    scontrol = tmp_path_factory.mktemp("controller") / "scontrol"
    scontrol.write_text("#!/bin/sh\nexit 1\n")
    scontrol.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:  # the import waits for a controller
        patch.setenv("PATH", os.pathsep.join([str(scontrol.parent), os.environ["PATH"]]))
        from snakemake_executor_plugin_slurm.submit_string import get_submit_command
        from snakemake_executor_plugin_slurm.utils import set_gres_string
        from snakemake_executor_plugin_slurm.validation import validate_slurm_extra

    def submit(needs: Needs, wanted: Resources) -> list[str]:
        values = {name: getattr(needs, what) for name, what in scheduler_resources(wanted).items()}
        known = Known({name: value for name, value in values.items() if value is not None})
        job = SimpleNamespace(resources=known, threads=1)
        validate_slurm_extra(job)
        params = {"run_uuid": "id", "slurm_logfile": Path("log"), "comment_str": "rule_train"}
        params |= {"account": "", "partition": "-p gpu", "workdir": "/work dir"}
        call = get_submit_command(job, params) + set_gres_string(job)
        done = subprocess.run(
            call, shell=True, env={"PATH": str(folder)}, cwd=folder, check=True, capture_output=True
        )
        assert sorted(folder.iterdir()) == [sbatch] and not done.stderr
        return done.stdout.decode().split("\0")[:-1]

    return submit


class Known(dict):
    """A job's resources, as the plugin reads them."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


def needs_of(wanted: Resources) -> Needs:
    options = read_sbatch_options(wanted.slurm_extra or "")
    return Needs(gpus=wanted.gpus, mem_mb=1000, runtime=10, sbatch=options)


@pytest.mark.parametrize("text", GOOD)
def test_sbatch_gets_the_words_that_are_written(text: str, submitted: Callable) -> None:
    wanted = Resources(gpus=0, slurm_extra=text)
    usual = submitted(needs_of(Resources(gpus=0)), wanted)
    position = usual.index(SIGNAL)
    words = submitted(needs_of(wanted), wanted)
    assert words == usual[:position] + GOOD[text] + usual[position:]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_option_or_breaks_the_job_is_refused(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        Resources(slurm_extra=text)
    (error,) = caught.value.errors()
    assert error["loc"] == ("slurm_extra",)
    assert BAD[text] in error["msg"] and "\n" not in error["msg"]


@pytest.mark.parametrize("text", ["--signal=USR1@600", "--signal R:SIGUSR1@5", "--signal=10@60"])
def test_another_signal_takes_the_place_of_the_usual_one(text: str, submitted: Callable) -> None:
    wanted = Resources(gpus=0, slurm_extra=text)
    words = submitted(needs_of(wanted), wanted)
    assert SIGNAL not in words and text.split()[0] in words


@pytest.mark.parametrize("text", ["--gres gpu:1", "--gres=gpu:1", "--gres=nic:2 --gres=gpu:1"])
@pytest.mark.parametrize("gpus", [0, 2])
def test_gres_takes_the_place_of_gpus(text: str, gpus: int, submitted: Callable) -> None:
    wanted = Resources(gpus=gpus, slurm_extra=text)
    words = submitted(needs_of(wanted), wanted)
    assert [word for word in words if "gres" in word or "gpu:" in word] == ["--gres=gpu:1"]


def test_every_abbreviation_of_an_option_is_refused() -> None:
    """getopt takes `--wra` for `--wrap`."""
    for name in KNOWN:
        for end in range(2, len(name)):
            if name[:end] not in KNOWN:
                with pytest.raises(ValueError):
                    read_sbatch_options(f"--{name[:end]}=x")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("partition", value) for value in ("", "-x", "a b", "a;b", "$(x)", "a\n", "'a'")),
        *(("gpu_model", value) for value in ("", "a:b", "a b", "a;b", "$(x)", "a\n", "a-b")),
    ],
)
def test_names_of_a_cluster_are_names(key: str, value: str) -> None:
    with pytest.raises(ValueError) as caught:
        Resources(**{key: value})
    assert caught.value.errors()[0]["loc"] == (key,)


def test_usual_names_of_a_cluster() -> None:
    Resources(partition="gpu-long,gpu.short", gpu_model="nvidia_h100.1g")
