"""Other text for trained weights: its tokens, and what is measured on the first text."""

from pathlib import Path

import pytest

from resweep.errors import ConfigError
from resweep.paths import Layout
from resweep.systems.language.corpus import source_files
from resweep.systems.language.data_section import Data, first_data_from, first_data_of
from resweep.systems.language.fine_tuning import fit_data
from resweep.systems.language.forgetting import forgetting_figures, forgetting_lines
from resweep.systems.language.token_data import TokenData
from resweep.systems.values import TrainedRun
from tests.support.corpus import blank_lines, data_error, text_settings, write_documents
from tests.support.language import ensure, tokens
from tests.support.problems import assert_problem

FOLDER = Path("results/data/abc")


def settings(**given):
    """A complete data section."""
    return Data(**given).model_dump(mode="json")


def fit(before, given=(), forgetting=True, **data):
    """Fit new data to weights that were trained on `before`; returns the section, and warnings."""
    section = settings(**{"source": "text", "paths": ["new.txt"]} | data)
    options = {"given": given, "folder": FOLDER, "forgetting": forgetting}
    warnings = fit_data(section, settings(**before), **options)
    return section, warnings


def test_bytes_stay_bytes():
    section, warnings = fit({"val_fraction": 0.2})
    assert (section["tokens"], warnings) == ("bytes", [])
    assert section["first_data"] == {"source": "networkx-docs", "val_fraction": 0.2}


def test_a_tokenizer_is_taken_over():
    section, warnings = fit({"tokens": "bpe", "bpe_vocab_size": 300})
    assert (section["tokens"], section["tokenizer"]) == ("tokenizer", str(FOLDER))
    theirs, _ = fit({"tokens": "tokenizer", "tokenizer": "models/x"})
    assert (theirs["tokens"], theirs["tokenizer"], warnings) == ("tokenizer", "models/x", [])


def test_a_tokenizer_that_is_named_is_compared_later():
    section, _ = fit({"tokens": "bpe"}, tokens="tokenizer", tokenizer="models/y")
    assert section["tokenizer"] == "models/y"


def test_tokens_that_are_not_used_are_named():
    _, warnings = fit({"tokens": "bpe"}, given=["data.tokens"], tokens="bpe")
    assert warnings[0].startswith("data.tokens = bpe is not used")
    with pytest.raises(ConfigError) as caught:
        fit({}, tokens="bpe")
    assert_problem(caught.value.problems[0], "data.tokens", "bpe", "bytes")


@pytest.mark.parametrize(
    ("given", "data"),
    [
        (["data.first_data.source"], {"first_data": {"source": "text", "paths": ["kept.txt"]}}),
        (["data.first_data"], {"first_data": {}}),
    ],
)
def test_first_data_that_is_given_stays(given, data):
    section, _ = fit({}, given=given, **data)
    assert section["first_data"] == data["first_data"]


def test_first_data_is_that_of_the_last_training():
    chain = {"source": "text", "paths": ["b.txt"], "first_data": {"source": "python-docs"}}
    section, _ = fit(chain)
    assert section["first_data"] == {"source": "text", "paths": ["b.txt"]}
    same, _ = fit({"source": "text", "paths": ["new.txt"]}, first_data={"source": "python-docs"})
    assert same["first_data"] == {}


def test_first_data_is_short_and_complete():
    whole = settings(source="text", paths=["a.txt"], split="contiguous")
    short = first_data_from(whole)
    assert short == {"source": "text", "paths": ["a.txt"], "split": "contiguous"}
    assert first_data_of({"first_data": short}) == whole
    assert first_data_of(settings()) is None


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ({"source": "text"}, "needs paths"),
        ({"tokens": "bpe"}, "first_data.tokens is not among source"),
        ({"val_fraction": 0.7}, "first_data.val_fraction"),
        ({"first_data": {}}, "is not among"),
    ],
)
def test_first_data_is_checked(first, words):
    with pytest.raises(ValueError, match=words):
        settings(first_data=first)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Data, and the same beside that of another text."""
    folder = tmp_path_factory.mktemp("data")
    first, new = blank_lines(write_documents(folder)), folder / "new.txt"
    new.write_text("new text\n" * 200)
    layout = Layout(folder / "results")
    wanted = text_settings(new, split="contiguous")
    both = {**wanted, "first_data": first_data_from(first)}
    return [TokenData(ensure(one, layout)) for one in (first, wanted, both)]


def test_its_validation_split_is_the_one_of_the_first_data(prepared):
    first, alone, both = prepared
    assert both.split("first_data").tolist() == first.split("val").tolist()
    for name in ("train", "val", "test"):
        assert both.split(name).tolist() == alone.split(name).tolist()
    assert "first_data" not in alone.tokens


def test_it_is_part_of_the_data(prepared):
    _, alone, both = prepared
    assert both.folder != alone.folder
    assert not both.tokenizer_files()


def test_too_little_of_it_is_named():
    data = tokens(Path("x"), 257, {"train": 65, "val": 65, "test": 0, "first_data": 64})
    assert "the first_data split has 64 tokens" in data_error(data.require_tokens, 64)


def test_first_data_that_cannot_be_split_is_named(tmp_path):
    short, new = tmp_path / "short.txt", tmp_path / "new.txt"
    short.write_text("one document")
    new.write_text("new text\n" * 200)
    first = {"source": "text", "paths": [str(short)]}
    wanted = text_settings(new, split="contiguous", first_data=first)
    assert data_error(ensure, wanted, Layout(tmp_path)).startswith("data.first_data: ")
    short.unlink()
    assert data_error(source_files, wanted).startswith("data.first_data: ")


def run(folder: Path, name: str, before: float, after: float) -> TrainedRun:
    """A fine-tuning of ten steps."""
    (folder / name).mkdir()
    line = '{{"step": {}, "val/loss": 3.0, "first_data/loss": {}}}\n'
    file = folder / name / "metrics.jsonl"
    file.write_text(line.format(0, before) + '{"step": 5, "lr": 0.1}\n' + line.format(10, after))
    config = {"data": {"first_data": {"source": "python-docs"}}}
    facts = {"asked": config, "config": config, "metrics": {"first_data/loss": after}}
    return TrainedRun(trial=name, folder=folder / name, step=10, **facts)


def test_what_was_forgotten_is_the_difference_of_the_ends(tmp_path):
    runs = [run(tmp_path, "01", 2.5, 2.75), run(tmp_path, "02", 2.5, 2.25)]
    best, all_of_them = forgetting_lines(runs)
    assert "2.5000 before, 2.7500 after trial 01 (0.2500 higher)" in best
    assert "0.2500 lower to 0.2500 higher" in all_of_them
    curves, bars = forgetting_figures(runs)
    assert curves.series["first_data/loss"] == [(0, 2.5), (10, 2.75)]
    assert "is 0.2500 higher at the end" in curves.caption
    assert "-0.2500 to +0.2500" in bars.caption
    assert bars.series == {"change": [("01", 0.25), ("02", -0.25)]}
    assert len(forgetting_lines(runs[:1])) == len(forgetting_figures(runs[:1])) == 1


def test_where_nothing_is_measured_nothing_is_said(tmp_path):
    made = run(tmp_path, "01", 2.5, 2.75)
    other = {"data": {"first_data": {}}}
    plain = TrainedRun(**{**vars(made), "config": other})
    assert forgetting_lines([plain]) == forgetting_figures([plain]) == []
