"""The bundle of the charts is made once, and never believed because it is there."""

from pathlib import Path

import pytest

from resweep.report.vega import chart_library


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundle in a cache folder that is empty but for it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    chart_library.cache_clear()
    chart_library()
    (made,) = (tmp_path / "resweep").iterdir()
    return made


def test_it_is_read_again_unless_it_was_changed(file: Path) -> None:
    bundle = chart_library()
    assert "vegaEmbed" in bundle and "</script" not in bundle
    before = file.stat().st_mtime_ns
    chart_library.cache_clear()
    assert chart_library() == bundle and file.stat().st_mtime_ns == before
    content = file.read_bytes()
    file.write_bytes(content[:-9])
    chart_library.cache_clear()
    assert chart_library() == bundle and file.read_bytes() == content


def test_a_cache_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "resweep").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    chart_library.cache_clear()
    assert "vegaEmbed" in chart_library()
