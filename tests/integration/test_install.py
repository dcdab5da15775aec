"""What `make env` says while it installs: pip itself, with packages of one file."""

import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

COUNT = 8


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty environment, for which packages a0 to a7 are there."""
    for number in range(COUNT):
        name = f"a{number}-1.0"
        info = f"{name}.dist-info"
        with zipfile.ZipFile(tmp_path / f"{name}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"a{number}.py", "")
            wheel.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: a{number}\nVersion: 1.0\n"
            )
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    python = tmp_path / "env/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    site = tmp_path / "env/lib/python3.11/site-packages"
    for name, value in {"TARGET": site, "NO_INDEX": "1", "FIND_LINKS": tmp_path}.items():
        monkeypatch.setenv(f"PIP_{name}", str(value))
    return tmp_path / "env"


def install(environment: Path, *pinned: str) -> subprocess.CompletedProcess[str]:
    requirements = environment.parent / "requirements.txt"
    requirements.write_text("# pinned\n" + "".join(f"{name}==1.0\n" for name in pinned))
    return subprocess.run(
        [sys.executable, ROOT / "envs/install.py", environment, requirements],
        capture_output=True,
        text=True,
        env=os.environ,
    )


def test_a_quarter_is_a_line_and_the_size_comes_last(environment: Path) -> None:
    done = install(environment, *(f"a{number}" for number in range(COUNT)))
    assert done.returncode == 0, done.stderr
    first, *lines, last = done.stdout.splitlines()
    assert str(environment) in first and last == f"{environment}: 0.0 GB"
    downloading = [line for line in lines if line.startswith("downloading")]
    assert 4 <= len(downloading) <= 5
    assert lines[-1] == f"installing: {COUNT} of {COUNT} packages"
    assert (environment / "lib/python3.11/site-packages/a7.py").is_file()


def test_a_failure_is_that_of_pip(environment: Path) -> None:
    failed = install(environment, "a0", "b0")
    assert failed.returncode == 1
    assert "No matching distribution found for b0==1.0" in failed.stderr
    assert "GB" not in failed.stdout


def test_ctrl_c_while_it_installs_ends_it(environment: Path) -> None:
    (environment / "bin/python").write_text(
        "#!/bin/sh\necho Installing collected packages: a0\nexec sleep 600\n"
    )
    requirements = environment.parent / "requirements.txt"
    requirements.write_text("a0==1.0\n")
    process = subprocess.Popen(
        [sys.executable, ROOT / "envs/install.py", environment, requirements],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert any(line.startswith("installing: 0 of 1") for line in process.stdout)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 1
    assert said == "stopped; the same command continues with what was downloaded\n"
