"""The documents: every command in a ```sh block works, every example is accepted, links lead on.

Commands are run where that costs seconds. Snakemake's are dry runs; commands that need results,
minutes, a network or a cluster are checked: the command exists, its --help knows the flags, the
files that it names are there or in the file contract. A command of no known kind fails. The
tutorial is followed from its first command to its last, with fewer steps of training.
"""

import ast
import functools
import importlib.util
import os
import re
import shlex
import shutil
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from pydoc_data import topics
from types import ModuleType

import pytest

from resweep.command_line import split_words
from resweep.commands import COMMANDS
from resweep.report.charts.spec import chart, field, layer
from resweep.study.load import load_study
from tests.conftest import ROOT, Checkout
from tests.support.home import Home

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TUTORIAL = ROOT / "docs/tutorial.md"
# What troubleshooting.md quotes of our own messages.
MESSAGES = (
    "saved at step",
    "trials are done and stay in the store",
    "waiting: ",
    "held by ",
    "waiting for ",
    "should be at most",
    "in the store",
    "its run is gone from the store",
    "builds this study",
    "has none of the ",
    "a Snakemake that was killed, as by a closed terminal, left its lock",
)
GENERIC = "snakemake_executor_plugin_cluster_generic"
SETS = ("config/", "docs/", "profiles/", "rules/", "src/", "tests/", "workflow/")
CONTRACT = (
    r"results/\w+/(study\.yaml|runs\.csv|report\.html|wandb|artifacts/[\w-]+\.json)",
    r"results/\w+/\w+/(trials(/\w+\.yaml)?|records/\w+\.json|scores\.csv|decisions\.csv|models)",
    r"results/\w+/\w+/top\d+_best_configs\.yaml",
    r"results/\w+/\w+/gradients/\w+\.(json|png)",
)


def blocks(page: Path, language: str) -> Iterator[str]:
    """Yield the content of a page's fenced blocks of one language."""
    yield from re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)


def commands() -> list[str]:
    """Every different command of all pages, without comments, continued lines joined.

    Without those of the tutorial, which has a test of its own.
    """
    found: dict[str, None] = {}
    for page in PAGES:
        if page == TUTORIAL:
            continue
        for block in blocks(page, "sh"):
            home: list[str] = []
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["cd"]:  # the rest of the block is run there
                    home = [*words, "&&"]
                    continue
                words = [*home, *words] if words else []
                if words == ["snakemake"]:
                    words.append("-n")  # as it would be planned
                if words:
                    found[shlex.join(words)] = None
    return list(found)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with the examples of all pages, and no scheduler that would be asked."""
    made = Checkout.new(tmp_path_factory.mktemp("docs") / "checkout")
    for page in PAGES:
        for block in [*blocks(page, "yaml"), *blocks(page, "python")]:
            named = re.match(r"# (config/\S+\.yaml|src/\S+\.py)\n", block)
            if named:
                (made.path / named[1]).parent.mkdir(parents=True, exist_ok=True)
                (made.path / named[1]).write_text(block)
    (made.path / "texts").mkdir()
    (made.path / "texts/some.txt").write_text("some text")
    # The SLURM plugin asks at each import; a controller that does not answer costs seconds.
    (made.path / "bin").mkdir()
    for name in ("scontrol", "sinfo", "squeue"):
        (made.path / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (made.path / "bin" / name).chmod(0o755)
    return made


def run(place: Checkout, *words: str) -> str:
    """Run a command in the checkout; fails the test where the command fails."""
    path = os.pathsep.join([str(place.path / "bin"), place.env["PATH"]])
    return place.run(*words, env={"PATH": path, "WANDB_MODE": "offline"}).stdout


def check_snakemake(place: Checkout, words: list[str]) -> None:
    """Plan it."""
    if "profiles/generic" in words and not importlib.util.find_spec(GENERIC):
        pytest.skip(f"{GENERIC} is not installed")
    if "--report" in words:
        return  # of a finished study: test_snakemake_report.py
    plan = [] if "--unlock" in words else ["--dry-run"]
    output = run(place, "snakemake", *plan, *words[1:])
    assert not plan or "Job stats:" in output


@functools.cache
def help_of(place: Checkout, script: str, *subcommand: str) -> str:
    """What a script says of itself."""
    return run(place, "python", script, *subcommand, "--help")


def check_script(place: Checkout, words: list[str]) -> None:
    """Its --help knows every flag, and its subcommand; audits are run."""
    script = words[1]
    if script in ("docs/fields.py", "docs/schemas.py"):
        return  # run by their own tests
    known = help_of(place, script)
    choices = re.search(r"\{([\w,-]+)\} \.\.\.", known)
    if choices:  # subcommands
        (chosen,) = [word for word in words[2:] if word in choices[1].split(",")]
        known += help_of(place, script, chosen)
    flags = [word.partition("=")[0] for word in words if word.startswith("--")]
    assert [flag for flag in flags if not re.search(rf"{flag}\b", known)] == []
    if script.endswith("audit.py") and not {"--after", "--replay"} & set(words):
        assert re.search("to[ _]train", run(place, *words))


def check_resweep(place: Checkout, words: list[str]) -> None:
    """It is a command, and its script knows every flag; lists are printed."""
    if words[1] in ("completion", "--help"):
        return  # with tests of their own
    command = COMMANDS[words[1]]
    own, _ = split_words(words[2:])
    script = f"workflow/scripts/{command.script}"
    check_script(place, ["python", script, *command.words, *own])
    if words[1] == "targets":
        assert "single files" in run(place, "python", script, *own)


def check_make(place: Checkout, words: list[str]) -> None:
    """Its targets are in the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    for target in [word for word in words[1:] if "=" not in word]:
        assert re.search(rf"^{target}:", makefile, re.M), f"make {target}"


def check_wandb(place: Checkout, words: list[str]) -> None:
    """The subcommand is there, with its flags."""
    known = run(place, "wandb", words[1], "--help")
    assert [flag for flag in words if flag.startswith("--") and flag not in known] == []


def check_environment(place: Checkout, words: list[str]) -> None:
    """What `make env` builds is what is activated."""
    assert words == [".", ".venv/bin/activate"]
    assert "-m venv .venv" in (ROOT / "Makefile").read_text()


def check_cluster(place: Checkout, words: list[str]) -> None:
    """A client of SLURM: nothing to check it against here."""


def check_pytest(place: Checkout, words: list[str]) -> None:
    """Its paths are checked with all others."""


def check_home(place: Checkout, words: list[str]) -> None:
    """A command in a folder of examples/, which has tests of its own: what it calls is there."""
    _, folder, _, *called = words
    home = Home.of(place, Path(folder).name)
    if called[0] == "snakemake":
        assert "Job stats:" in home.run(*called, "--dry-run").stdout
    else:
        script = called[1] if called[0].startswith(("python", "bash", "sbatch")) else called[0]
        assert (home.path / script).is_file()


KINDS = {
    r"cd examples/[\w-]+ ": check_home,
    r"snakemake\b": check_snakemake,
    r"python (workflow/scripts|docs)/\w+\.py\b": check_script,
    r"python tests/slurm/cluster\.py\b": check_script,
    r"resweep \S": check_resweep,
    r"make \w": check_make,
    r"wandb \w": check_wandb,
    r"\. ": check_environment,
    r"(sinfo|squeue|scancel)\b": check_cluster,
    r"pytest\b": check_pytest,
}


@pytest.mark.parametrize("command", commands())
def test_commands(command: str, place: Checkout) -> None:
    words = shlex.split(command)
    while re.match(r"[A-Z_]+=", words[0]):  # for the environment
        words = words[1:]
    called = shlex.join(words)
    kinds = [check for pattern, check in KINDS.items() if re.match(pattern, called)]
    assert len(kinds) == 1, f"no kind of command that is known: {command}"
    for word in words[1:]:
        if word.startswith(SETS):
            assert (ROOT / word).exists(), word
        if word.startswith("results/"):
            assert any(re.fullmatch(pattern, word) for pattern in CONTRACT), word
    kinds[0](place, words)


def test_there_are_commands() -> None:
    assert len(commands()) > 20 and "make demo" in commands()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_are_called_by_their_commands(page: Path) -> None:
    quoted = re.compile(r"^ *```text\n.*?^ *```$", re.M | re.S)  # messages may name a script
    called = re.findall(
        r"(?<!is `)python workflow/scripts/(\w+\.py)", quoted.sub("", page.read_text())
    )
    assert {command.script for command in COMMANDS.values()}.isdisjoint(called)


def test_other_examples_can_be_read() -> None:
    for page in PAGES:
        for block in blocks(page, "python"):
            ast.parse(block)
        fences = re.findall(r"^```(\w*)$", page.read_text(), re.M)
        assert set(fences[::2]) <= {"sh", "yaml", "python", "text"}, page
        assert not any(fences[1::2]), page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        name, _, heading = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", file.read_text(), re.M)
            assert heading in [re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles]


def script_of_docs(name: str) -> ModuleType:
    """Import a script of docs/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_tables_of_fields_are_those_of_the_models() -> None:
    fields = script_of_docs("fields")
    pages = [page.read_text() for page in fields.PAGES]
    for page in pages:
        assert page.splitlines() == fields.with_tables(page).splitlines(), "python docs/fields.py"
    for model in fields.MODELS:
        assert any(f"<!-- fields: {model} -->" in page for page in pages)


def test_every_script_says_how_it_is_called() -> None:
    for script in (ROOT / "workflow/scripts").glob("*.py"):
        text = ast.get_docstring(ast.parse(script.read_text()))
        assert text is not None and f"python workflow/scripts/{script.name}" in text


def test_index_lists_every_guide_once() -> None:
    index = ROOT / "docs/README.md"
    linked = re.findall(r"^- \[.+\]\(([\w-]+\.md)\)$", index.read_text(), re.M)
    assert sorted(linked) == sorted(p.name for p in index.parent.glob("*.md") if p != index)


def test_troubleshooting_quotes_messages_that_exist() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text()
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "rules").glob("*.smk")]
    code = "".join(path.read_text() for path in files)
    assert [text for text in MESSAGES if text not in page] == []
    assert [text for text in MESSAGES if text not in code] == []


def test_picture_is_the_top_of_a_report(tmp_path: Path) -> None:
    script = script_of_docs("make_picture")
    with pytest.raises(FileNotFoundError, match="no such report"):
        script.take_picture(tmp_path / "none.html", tmp_path / "picture.png")
    if not any(map(shutil.which, script.BROWSERS)):
        if os.environ.get("RESWEEP_REQUIRE_BROWSER") == "1":
            pytest.fail("RESWEEP_REQUIRE_BROWSER=1, and no Chromium is on PATH")
        pytest.skip("no Chromium on PATH")
    (tmp_path / "report.html").write_text("<h1>a study</h1>")
    script.take_picture(tmp_path / "report.html", tmp_path / "picture.png")
    for picture in (tmp_path / "picture.png", ROOT / "docs/quickstart-report.png"):
        size = struct.unpack(">II", picture.read_bytes()[16:24])
        assert size == (script.SCALE * script.WIDTH, script.SCALE * script.HEIGHT)


def test_picture_of_rungs_shows_what_the_guide_says() -> None:
    script = script_of_docs("make_rungs_picture")
    steps, curves = script.read_curves(script.CURVES)
    ends = Counter(steps[count - 1] for count in script.trained_values(steps, curves).values())
    assert ends == {75: 10, 225: 3, 300: 3}
    guide = " ".join((ROOT / "docs/search.md").read_text().split())
    assert "rungs at steps 75 and 225 for sixteen trainings of 300 steps" in guide
    assert "all train to the first rung, six to the second, and three to the end" in guide


THEMED = ("ties", "regions", "rungs", "stopping", "gradients", "curvature")


@pytest.mark.parametrize("name", THEMED)
def test_pictures_follow_the_theme_and_load_nothing(name: str) -> None:
    text = (ROOT / f"docs/{name}.svg").read_text()
    assert len(text) < 60_000
    assert "prefers-color-scheme: dark" in text
    addresses = set(re.findall(r"https?://[^\"' )]*", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    guides = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert re.search(rf"!\[[^\]]{{30,}}\]\({name}\.svg\)", guides)


def test_picture_has_a_dark_counterpart_of_each_color(tmp_path: Path) -> None:
    themed = script_of_docs("themed_svg")

    def draw(color: str) -> str:
        mark = {"type": "bar", "color": color}
        bars = layer("rows", mark, {"x": field("x:Q")})
        themed.write_svg(chart([bars], {"rows": [{"x": 1}]}), tmp_path / "bar.svg", "a & b")
        return (tmp_path / "bar.svg").read_text()

    text = draw(themed.BLUE)
    assert f'[fill="{themed.BLUE}"] {{ fill: {themed.DARK[themed.BLUE]} }}' in text
    assert f'[fill="{themed.ORANGE}"]' not in text
    assert 'aria-label="a &amp; b"' in text
    assert draw(themed.BLUE) == text
    with pytest.raises(ValueError, match="#123456"):
        draw("#123456")


def test_picture_of_a_stop_shows_the_stop_of_the_monitor() -> None:
    """A falling loss that rises over three lines, which is noise to the smoothed one."""
    script = script_of_docs("make_training_pictures")
    losses = [3.0 * 0.99**number for number in range(60)]
    losses[30:34] = [2.20, 2.25, 2.30, 2.35]
    lines = [{"step": 10 * number, script.LOSS: loss} for number, loss in enumerate(losses, 1)]
    spec = script.stopping_chart(lines)
    stops = [(stop["step"], stop["text"]) for stop in spec["datasets"]["stops"]]
    assert stops == [(340, "loss-rising at 340")]
    drawn = {
        point["step"]: point
        for point in spec["datasets"]["points"]
        if point["series"] == script.SERIES[0]
    }
    assert drawn[340]["loss"] == 2.35


def test_study_of_pictures_can_be_planned() -> None:
    study = load_study(ROOT / "docs/pictures.yaml", ROOT / "config")
    script = script_of_docs("make_study_pictures")
    assert study.name == script.STUDY
    assert [phase.kind for phase in study.phases] == ["sweep", "resample", "rerun"]


def shorten(made: Checkout) -> None:
    """Make the tutorial's trainings 20 steps of one layer."""
    for module, key, value, count in (
        ("model/gpt-tiny", "n_layer", 1, 1),
        ("training/quick", "eval_sequences", 1, 1),
        ("studies/mine", "max_steps", 20, 2),
    ):
        file = made.path / f"config/{module}.yaml"
        shorter, changed = re.subn(rf"{key}: \d+", f"{key}: {value}", file.read_text())
        assert changed == count
        file.write_text(shorter)


def test_tutorial(tmp_path: Path) -> None:
    """Follow it, file by file and command by command; what it plans is shortened to be trained."""
    made = Checkout.new(tmp_path / "checkout")
    home = tmp_path / "home"
    home.mkdir()
    (home / "my-text.txt").write_text(
        "\n\n".join(text for _, text in sorted(topics.topics.items()))
    )
    text = TUTORIAL.read_text()
    outputs = []
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S):
        if language == "yaml":
            name = re.match(r"# (config/\S+\.yaml)\n", block)
            assert name, block
            (made.path / name[1]).write_text(block)
        elif language == "sh" and ".venv" not in block:
            if "snakemake --quiet" in block:
                shorten(made)
            command = ("bash", "-euo", "pipefail", "-c", block)
            outputs.append(made.run(*command, env={"HOME": str(home)}).stdout)
        elif language == "python":
            outputs.append(made.run("python", "-c", block).stdout)
        elif "Job stats:" in block or "Nothing to be done" in block:
            assert block in outputs[-1]  # the same for any text
    records = list((made.path / "results/mine").glob("*/records/*.json"))
    assert [path.stem for path in records if not re.search(rf"\b{path.stem}\b", text)] == []
    assert set(made.trainings().values()) == {1}  # nothing twice
    assert "KING" in outputs[-2]
    assert "Would sync" in outputs[-1]
