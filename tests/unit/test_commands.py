"""The commands of `resweep`: one for each script that people call, on one screen."""

import runpy
from pathlib import Path

import pytest

from resweep import __main__ as resweep
from resweep.commands import ALSO, COMMANDS
from resweep.completion import COMPLETIONS, completion
from resweep.imports import LIBRARY, imported_files
from tests.conftest import ROOT

# Scripts that only rules call, with what the study says.
OF_RULES = {
    "conclude.py",
    "end_study.py",
    "keep_models.py",
    "plan_finetune.py",
    "plan_rerun.py",
    "promote.py",
    "score.py",
    "select_best.py",
    "suggest.py",
    "train_pack.py",
    "write_study.py",
}


def test_each_script_that_people_call_has_a_command() -> None:
    scripts = {path.name for path in (ROOT / "workflow/scripts").glob("*.py")}
    assert scripts - OF_RULES <= {command.script for command in COMMANDS.values()}


def test_help_is_one_screen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # where nothing is known to be missing
    lines = resweep.help_text().splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 80
    also = next(number for number, line in enumerate(lines) if line.startswith(ALSO))
    shown = [line[7:].split()[0] for line in lines[2:also]]
    shown += " ".join(line[7:] for line in lines[also:]).split(", ")
    assert shown == [*COMMANDS, "completion"]


def test_help_leaves_out_what_the_checkout_has_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "workflow/scripts").mkdir(parents=True)
    (tmp_path / "workflow/scripts/audit.py").touch()
    assert [line[7:].split()[0] for line in resweep.help_text().splitlines()[2:]] == [
        "audit",
        "completion",
    ]


def test_publish_takes_studies_and_builds_what_they_publish() -> None:
    publish = COMMANDS["publish"]
    script = runpy.run_path(str(ROOT / "workflow/scripts" / publish.script))
    given = script["parse_arguments"]([*publish.words, "quickstart", "adaptive"])
    assert (given.studies, given.targets) == (["quickstart", "adaptive"], ["artifacts"])


def test_a_new_command_runs_no_rule_again() -> None:
    for script in (ROOT / "workflow/scripts").glob("*.py"):
        assert "commands.py" not in {
            str(file.relative_to(LIBRARY)) for file in imported_files(script)
        }


@pytest.mark.parametrize("shell", COMPLETIONS)
def test_completion_knows_all_commands(shell: str) -> None:
    assert f'"{" ".join(COMMANDS)} completion"' in completion(shell)
