"""What leaves in the files of artifacts: no path of this machine, no secret; the rest as it is."""

import html
import json
from pathlib import Path

import pytest

from resweep import yaml12
from resweep.canonical import file_digest
from resweep.errors import ConfigError
from resweep.paths import Layout
from resweep.publish.leaving import Machine, cleaned
from resweep.publish.versions import Content, make_version
from resweep.trials.trial import Trial, read_trial, write_trial

HF_KEY = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A checkout in the home of somebody, with a key in the environment."""
    checkout = tmp_path / "home/somebody/checkout"
    checkout.mkdir(parents=True)
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("HOME", str(checkout.parent))
    monkeypatch.setenv("SOME_API_KEY", "a-long-and-secret-word")
    return Machine.of(Layout(Path("results")))


def leaves(name: str, text: str, machine: Machine) -> str:
    return cleaned(name, text.encode(), machine, name).decode()


@pytest.mark.parametrize("name", ["a.yaml", "a.yml", "a.json", "a.csv", "a.html", "a.md"])
def test_what_has_no_path_leaves_to_the_byte(name: str, machine: Machine) -> None:
    texts = {
        ".yaml": "a:   1e-4  # a note\nb: [texts/*.txt, 'x']\n",
        ".json": '{"a":1,\n "b":"</s>"}',
        ".csv": 'a,b\r\n1,"x, y"\r\n',
    }
    text = texts.get(Path(name).suffix, "<p>a / b, 1/2, https://example.com/a/b</p>\r\n")
    text = texts[".yaml"] if name == "a.yml" else text
    assert leaves(name, text, machine) == text


def test_paths_below_the_checkout_are_relative_and_others_names(machine: Machine) -> None:
    inside, outside = Path.cwd() / "texts/a.txt", Path.home() / "more texts/b.txt"
    content = {"paths": [str(inside), str(outside)], "note": f"from {outside.parent}/b.txt"}
    wanted = {"paths": ["texts/a.txt", "b.txt"], "note": "from more texts/b.txt"}
    assert yaml12.parse(leaves("a.yaml", yaml12.dump(content), machine)) == wanted
    assert json.loads(leaves("a.json", json.dumps(content), machine)) == wanted
    table = f'paths,note\n"[""{inside}"", ""{outside}""]",{outside}\n'
    assert leaves("a.csv", table, machine) == 'paths,note\n"[""texts/a.txt"", ""b.txt""]",b.txt\n'
    page = f"<td>{inside}</td><td>[&quot;{inside}&quot;]</td>"
    assert leaves("a.html", page, machine) == (
        "<td>texts/a.txt</td><td>[&quot;texts/a.txt&quot;]</td>"
    )
    assert leaves("a.yaml", f"# from {inside}\na: 1\n", machine) == "# from texts/a.txt\na: 1\n"


def test_a_trial_file_with_other_paths_is_still_one(machine: Machine) -> None:
    file = Path("01.yaml")
    config = {"data": {"paths": [str(Path.cwd() / "texts/*.txt")]}}
    write_trial(file, Trial("tiny", "rerun", "01", config=config))
    Path("copy.yaml").write_bytes(cleaned("01.yaml", file.read_bytes(), machine, "01.yaml"))
    copy = read_trial(Path("copy.yaml"))
    assert copy.config == {"data": {"paths": ["texts/*.txt"]}} and not copy.changed


def test_folders_with_spaces_and_marks_are_found_within_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = tmp_path / "my & home/of me/checkout"
    checkout.mkdir(parents=True)
    monkeypatch.chdir(checkout)
    monkeypatch.setenv("HOME", str(checkout.parent))
    machine = Machine.of(Layout(Path("results")))
    inside, outside = (html.escape(f"{place}/a.txt") for place in (checkout, checkout.parent))
    assert leaves("a.html", f"<p>{inside}, {outside}</p>", machine) == "<p>a.txt, a.txt</p>"


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.yaml", f"data: {{notes: [{HF_KEY}]}}", "data.notes.0"),
        ("a.json", f'{{"api_key": "{HF_KEY}"}}', "api_key"),
        ("a.yaml", "x: a-long-and-secret-word", "SOME_API_KEY"),
        ("a.html", f"<p>{HF_KEY}</p>", "a.html"),
        ("a.py", f"key = '{HF_KEY}'", "a.py"),
        ("a.py", "place = '{checkout}/x'", "checkout"),
        ("Snakefile", "place = '{checkout}'", "checkout"),
        ("a.csv", "a\n{secret}\n", "SOME_API_KEY"),
    ],
)
def test_what_may_not_leave_is_refused(name: str, text: str, place: str, machine: Machine) -> None:
    text = text.replace("{checkout}", str(Path.cwd())).replace("{secret}", "a-long-and-secret-word")
    with pytest.raises(ConfigError) as caught:
        leaves(name, text, machine)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(name) and place in line
    assert HF_KEY not in line and "secret-word" not in line


def test_tokens_of_a_tokenizer_are_no_paths(machine: Machine) -> None:
    text = '{"vocab": {"/usr/": 1, "~/": 2}}'
    assert leaves("tokenizer.json", text, machine) == text


def test_the_digest_is_of_what_leaves(machine: Machine, tmp_path: Path) -> None:
    """The same configurations of two checkouts are one version, and links stay what they were."""
    file, same = Path("01.yaml"), Path("02.yaml")
    file.write_text(f"paths: [{Path.cwd()}/texts]\n")
    same.write_text("a: 1\n")
    versions = tmp_path / "versions/c"
    versions.mkdir(parents=True)
    content = Content(
        name="c", type="configs", files={p.name: p for p in (file, same)}, metadata={}, link=True
    )
    known = make_version(content, versions, machine)
    copy = versions / "v0/01.yaml"
    assert known["files"]["01.yaml"] == file_digest(copy) != file_digest(file)
    assert copy.read_text() == "paths:\n- texts\n" and str(Path.cwd()) in file.read_text()
    assert (versions / "v0/02.yaml").samefile(same)
    file.write_text("paths:\n- texts\n")
    assert make_version(content, versions, machine)["version"] == "v0"
