"""The command `resweep`: as its script by itself, in the folder where it is called."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SLOW = ("numpy", "pandas", "pydantic", "snakemake", "torch", "wandb", "yaml")


def resweep(*words: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "resweep", *words]
    return subprocess.run(command, cwd=folder, text=True, capture_output=True)


def test_help_imports_nothing_slow() -> None:
    program = (
        "import sys, resweep.__main__ as m; sys.argv = ['resweep', '--help']; "
        "import contextlib\n"
        "with contextlib.suppress(SystemExit): m.main()\n"
        f"print(*(name for name in {SLOW} if name in sys.modules))"
    )
    output = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True)
    assert output.splitlines()[-1] == "" and "audit" in output


def test_help_of_a_command_names_it() -> None:
    text = resweep("audit", "--help").stdout
    assert text.startswith("usage: resweep audit ")
    assert "    resweep audit quickstart\n" in text and "audit.py" not in text


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        ("audti quickstart", 1, "did you mean audit?"),
        ("audit nobodys", 1, "nobodys"),
        ("audit", 2, "resweep audit: error:"),
        ("completion fish", 1, "bash or zsh"),
    ],
)
def test_wrong_words(words: str, code: int, named: str) -> None:
    ended = resweep(*words.split())
    assert ended.returncode == code and named in ended.stderr


def test_outside_of_a_checkout(tmp_path: Path) -> None:
    ended = resweep("audit", "quickstart", folder=tmp_path)
    (line,) = ended.stderr.splitlines()
    assert ended.returncode == 1 and "workflow/scripts/audit.py" in line and "init" in line


def test_exit_code_signal_and_words_are_those_of_the_script(tmp_path: Path) -> None:
    script = tmp_path / "workflow/scripts/train.py"
    script.parent.mkdir(parents=True)
    script.write_text(
        "import os, signal, sys\n"
        "print(__name__, __file__, sys.argv, sys.path[0])\n"
        "if sys.argv[1] == '75': sys.exit(75)\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    ended = resweep("train", "75", "--x=1", folder=tmp_path)
    assert ended.returncode == 75
    argv = ["resweep train", "75", "--x=1"]
    assert ended.stdout == f"__main__ workflow/scripts/train.py {argv} workflow/scripts\n"
    assert resweep("train", "0", folder=tmp_path).returncode == -signal.SIGTERM


def test_the_command_that_does_it_again_names_the_script(tmp_path: Path) -> None:
    script = tmp_path / "workflow/scripts/publish_model.py"
    script.parent.mkdir(parents=True)
    script.write_text(
        "from resweep.command_line import command_again\nprint(*command_again(__file__))\n"
    )
    ended = resweep("publish-model", "--mode=offline", folder=tmp_path)
    assert ended.stdout == "python workflow/scripts/publish_model.py --mode=offline\n"


def test_bash_completes_commands_studies_and_files(tmp_path: Path) -> None:
    (tmp_path / "config/studies").mkdir(parents=True)
    (tmp_path / "config/studies/quickstart.yaml").touch()
    (tmp_path / "quite.csv").touch()
    program = (
        f"eval \"$('{sys.executable}' -m resweep completion bash)\"\n"
        'try() { COMP_WORDS=(resweep "$@"); COMP_CWORD=$#; _resweep; echo ${COMPREPLY[@]}; }\n'
        "try au; try audit qui"
    )
    output = subprocess.check_output(["bash", "-c", program], cwd=tmp_path, text=True)
    assert output.splitlines() == ["audit", "quickstart quite.csv"]
