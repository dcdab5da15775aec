"""The data sets of a study: their sources, and what happens where these are missing."""

import shutil
from pathlib import Path

import pytest

from resweep import yaml12
from resweep.paths import Layout
from resweep.study.data_sets import DataSet, data_sets
from resweep.study.load import load_study
from tests.support.corpus import DOCUMENTS, data_error
from tests.support.language import ensure

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Of a folder with two texts."""
    monkeypatch.chdir(tmp_path)
    Path("corpus").mkdir()
    for name in ("a", "b"):
        Path(f"corpus/{name}.txt").write_text(f"\n\n{name} ".join(DOCUMENTS))
    return Layout()


def described(layout: Layout) -> DataSet:
    """The data set of a study on these texts."""
    config = Path("config")
    if not config.exists():
        shutil.copytree(ROOT / "config", config)
        source = {"source": "text", "paths": ["corpus/*.txt"], "documents": "blank_line"}
        (config / "data/mine.yaml").write_text(yaml12.dump(source))
        study = yaml12.load(config / "studies/quickstart.yaml")
        study["base"]["data"] = "mine"
        (config / "studies/mine.yaml").write_text(yaml12.dump({**study, "name": "mine"}))
    (one,) = data_sets(load_study(config / "studies/mine.yaml", config), layout)
    return one


def prepare(layout: Layout) -> None:
    described(layout)
    study = load_study(Path("config/studies/mine.yaml"), Path("config"))
    (settings,) = study.data_settings()
    ensure(settings, layout)


def test_a_removed_file_is_no_source_any_more(layout):
    prepare(layout)
    assert described(layout).sources == ["corpus/a.txt", "corpus/b.txt"]
    Path("corpus/a.txt").unlink()
    one = described(layout)
    assert (one.sources, one.is_final, one.warning) == (["corpus/b.txt"], False, None)


@pytest.mark.parametrize("stamped", [False, True])
def test_prepared_data_needs_no_sources_that_are_not_mounted(stamped, layout):
    prepare(layout)
    stamp = layout.study("mine").data_stamp(described(layout).id)
    if stamped:
        stamp.parent.mkdir(parents=True)
        stamp.touch()
    shutil.rmtree("corpus")
    one = described(layout)
    assert (one.sources, one.is_final) == ([], stamped)
    assert one.warning.startswith(f"{layout.data(one.id)}: ")


@pytest.mark.parametrize("prepared", [False, True])
def test_missing_sources_are_one_line(prepared, layout):
    """Of data that is not prepared, or that was prepared from what the folder had before."""
    described(layout)
    if prepared:
        prepare(layout)
    shutil.rmtree("corpus")
    if prepared:
        Path("corpus").mkdir()
    assert "data.paths: corpus/*.txt: no such file" in data_error(described, layout)
