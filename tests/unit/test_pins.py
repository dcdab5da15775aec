"""The pins of requirements.txt, and those of the conda environment beside them."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def pins() -> dict[str, str]:
    """Read requirements.txt as name -> version; fails on a line that pins nothing."""
    found = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)", line)
            assert match, f"requirements.txt: {line}: should be NAME==VERSION"
            assert match[1] not in found, f"requirements.txt: {match[1]} is there twice"
            found[match[1]] = match[2]
    return found


def conda_pins() -> tuple[dict[str, str], list[str]]:
    """Read envs/resweep.yaml: pip's pins, and its other entries."""
    content = yaml.safe_load((ROOT / "envs/resweep.yaml").read_text())
    (listed,) = [entry["pip"] for entry in content["dependencies"] if isinstance(entry, dict)]
    pinned = dict(entry.split("==") for entry in listed if "==" in entry)
    return pinned, [entry for entry in listed if "==" not in entry]


def test_requirements_pin_everything() -> None:
    assert {"torch", "snakemake", "pytest"} <= pins().keys()


def test_conda_environment_has_the_same_versions() -> None:
    pinned, others = conda_pins()
    assert pinned == {name: pins().get(name) for name in pinned}
    assert others == ["-e .."]


def test_what_the_library_imports_is_pinned_in_both() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=]", entry)[0].lower() for entry in project["dependencies"]}
    assert names <= {name.lower() for name in pins()}
    assert names <= {name.lower() for name in conda_pins()[0]}
