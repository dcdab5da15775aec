"""The commands of the rules, called by hand: they say how they are used, and what is wrong."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.study import make_study, run_id
from tests.support.warm import warm_process

SCRIPTS = sorted((ROOT / "workflow/scripts").glob("*.py"))
# They need no arguments.
BY_HAND = {"build.py", "train.py", "tabulate_runs.py", "view_runs.py", "watch.py"}
# Arguments, and what the error has to name.
WRONG = [
    ("analyze_curvature.py 0123456789ab", "0123456789ab"),
    ("analyze_gradients.py p/records/no.json", "p/records/no.json"),
    ("analyze_gradients.py --study nobodys --phase sweep", "snakemake --config study=nobodys"),
    ("audit.py nobodys", "nobodys"),
    ("conclude.py --records p/records/no.json --decisions no.csv", "p/records/no.json"),
    ("decide.py nobodys sweep", "results/nobodys/study.yaml"),
    ("draw_dag.py nobodys", "nobodys"),
    ("forget.py runs 0123456789ab", "0123456789ab"),
    ("forget.py phase nobodys sweep", "results/nobodys/sweep/records"),
    ("forget.py failed --study nobodys", "results/nobodys/"),
    ("forget.py drifted --study nobodys", "results/nobodys/"),
    ("forget.py old-best --study nobodys", "results/nobodys"),
    (
        "keep_models.py --study s --phase p --policy best --top 1 --scores no.csv --models m "
        "--decisions d.csv",
        "no.csv",
    ),
    ("publish_model.py --scores no.csv --artifact-name a --project p", "no.csv"),
    ("report.py nobodys", "snakemake --config study=nobodys"),
    ("run_sweep.py --sweep-id nobodys", "nobodys"),
    ("score.py --records p/records/no.json --scores scores.csv --study s", "/no."),
    ("select_best.py --scores no.csv --top 1 --output best.yaml", "no.csv"),
    ("send.py nobodys", "snakemake --config study=nobodys"),
    ("summarize.py nobodys", "snakemake --config study=nobodys"),
    ("tabulate_runs.py --study s --records no.json", "no.json"),
    ("targets.py nobodys", "nobodys"),
    ("train.py --trial no.yaml --record record.json", "no.yaml"),
    ("upload_rerun_configs.py --config-dir no --artifact-name a --project p", "no"),
]


# Arguments that cannot be meant, and what the error has to name.
PLAN = '{"study": "s", "phase": "p", "config": {}, "overrides": {}, "seeds": [1]}'
KEEP = "keep_models.py --study s --phase p --policy best --scores s.csv --models m --decisions d"
RECORDS = "--records r.json --trials t.yaml --plan"
UNFIT = [
    ("analyze_curvature.py run --sentences 0", "--sentences"),
    ("analyze_gradients.py run --checkpoints -1", "--checkpoints"),
    ("analyze_gradients.py run --study s --phase p", "RUN_OR_FOLDER"),
    ("analyze_gradients.py --study s", "--phase"),
    ("audit.py|", "STUDY"),
    ("audit.py|quickstart|--results=", "--results"),
    ("audit.py|quickstart|--set=", "--set"),
    ("audit.py quickstart --json --after", "--json"),
    ("build.py|quickstart|--targets|", "--targets"),
    ("init.py|", "FOLDER"),
    ("decide.py|../x|sweep", "study = '../x'"),
    ("forget.py|runs|../../x", "RUN_ID"),
    ("forget.py|phase|s|../x", "phase"),
    ("forget.py|failed|--study=", "--study"),
    (f"{KEEP} --top 0", "--top"),
    (f"{KEEP} --top 1 --trials -1", "--trials"),
    (f"{KEEP} --top 1 --best-of-study []", "--best-of-study"),
    (f"{KEEP} --top 1 --best-of-study {{}}", "metric"),
    ("plan_rerun.py --best b.yaml --trials t.yaml --plan []", "--plan"),
    ("plan_rerun.py --best b.yaml --trials t.yaml --plan {}", "study"),
    (f"plan_rerun.py|--best|b|--trials|t|--plan|{PLAN.replace('[1]', '[]')}", "seeds"),
    (f"plan_rerun.py|--best|b|--trials|t|--plan|{PLAN.replace('study', 'studdy')}", "study"),
    ("prepare_data.py --stamp s.json --settings {", "--settings"),
    ("prepare_data.py --stamp s.json --settings @nowhere.json", "nowhere.json"),
    ('prepare_data.py --stamp s.json --settings {"tokens":5}', "tokens = 5"),
    ("prepare_data.py --stamp s.json --settings {} --system x", "--system"),
    (f"promote.py --decisions d.csv {RECORDS} 5", "--plan"),
    (f"promote.py --decisions d.csv {RECORDS} {{}}", "study"),
    (f"suggest.py {RECORDS} {{}}", "study"),
    (f'suggest.py {RECORDS} {{"x":NaN}}', "NaN"),
    ("publish_model.py|--scores|s.csv|--artifact-name|a|--project=", "--project"),
    ("publish_model.py --scores s.csv --artifact-name a --project p --metadata [1]", "--metadata"),
    ("report.py|", "STUDY"),
    ("report.py|s|--output=", "--output"),
    ("run_sweep.py --sweep-config s.yaml --count 0", "--count"),
    ("run_sweep.py|--sweep-config|s.yaml|--project=", "--project"),
    ("run_sweep.py|--sweep-config|s.yaml|--own|", "--own"),
    ("score.py --records r.json --scores s.csv --study s --tolerate-failures -1", "failures"),
    ("score.py --records r.json --scores s.csv --study s --score x", "--score"),
    ("select_best.py --scores s.csv --output o.yaml --top 0", "--top"),
    ("select_best.py --scores s.csv --output o.yaml --top 1e3", "--top"),
    ("summarize.py|..", "study = '..'"),
    ("tabulate_runs.py --study ../x --records r.json", "--study"),
    ("train.py --record r.json --content [", "--content"),
    ("train.py --record r.json --content []", "--content"),
    ("train.py --record r.json --content {}", "study"),
    ("train.py --record r.json --trial t.yaml --lock-timeout nan", "--lock-timeout"),
    ('train.py --record r.json --trial t.yaml --tracking {"wandb":"on"}', "wandb"),
    ("train.py|--study=", "study"),
    ("upload_rerun_configs.py|--artifact-name|a|--project|p|--config-dir=", "--config-dir"),
    ("write_study.py --output o.yaml --content 5", "--content"),
]


@pytest.fixture
def call(tmp_path: Path):
    """Call a script in an empty folder; gives its exit code and output."""

    def run(script: str, *arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [warm_process().python, str(ROOT / "workflow/scripts" / script), *arguments],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_help_begins_with_what_the_command_does(script: Path, call) -> None:
    code, output, errors = call(script.name, "--help")
    assert (code, errors) == (0, "")
    assert output.startswith(f"usage: {script.name}")
    purpose = script.read_text().partition('"""')[2].partition(".")[0]
    assert " ".join(purpose.split()) in " ".join(output.split())
    examples = [line for line in output.splitlines() if "python workflow/scripts/" in line]
    assert examples and all(line.startswith("    ") for line in examples)


@pytest.mark.parametrize(
    "script", [path for path in SCRIPTS if path.name not in BY_HAND], ids=lambda path: path.name
)
def test_missing_arguments_are_named(script: Path, call) -> None:
    code, output, errors = call(script.name)
    assert (code, output) == (2, "")
    assert errors.splitlines()[-1].startswith(f"{script.name}: error: ")


@pytest.mark.parametrize(("command", "named"), WRONG, ids=lambda text: text.split()[0])
def test_what_is_not_there_is_one_line(command: str, named: str, call, tmp_path: Path) -> None:
    code, output, errors = call(*command.split())
    lines = [line for line in (output + errors).splitlines() if line.startswith("error: ")]
    assert code == 1 and len(lines) == 1 and named in lines[0], errors
    assert "Traceback" not in errors
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


@pytest.mark.parametrize(("command", "named"), UNFIT, ids=lambda text: text.partition(" ")[0])
def test_what_cannot_be_meant_is_refused_at_once(
    command: str, named: str, call, tmp_path: Path
) -> None:
    code, output, errors = call(*command.split("|" if "|" in command else " "))
    assert code in (1, 2) and output == ""
    lines = [line for line in errors.splitlines() if "error: " in line]
    assert len(lines) == 1 and named in lines[0], errors
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


def test_forgetting_says_what_else_is_gone_and_how_it_comes_back(call, tmp_path: Path) -> None:
    layout = make_study(tmp_path)
    make_study(tmp_path, name="other", rerun=[])
    shared = run_id(layout, "sweep", "bbb")
    code, output, _ = call("forget.py", "phase", "made", "sweep")
    (line,) = (line for line in output.splitlines() if line.startswith(shared))
    assert code == 0 and "made/sweep, other/sweep" in line
    last = output.splitlines()[-1]
    assert "snakemake --config study=made; snakemake --config study=other" in last
