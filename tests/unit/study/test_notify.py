"""What `notify` of a study may be."""

from pathlib import Path

import pytest

from resweep.errors import ConfigError
from resweep.study.notify import Notify
from resweep.study.study_file import read_study_file


@pytest.mark.parametrize(
    "url",
    [
        "ntfy.sh/topic",
        "file:///etc/passwd",
        "http://",
        "https://host/a b",
        "env:",
        "env:TWO WORDS",
        "https://host/hook?token=abc",
        "http://host:99999/",
        "http://[bad",
        "https://me@host/hook",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        Notify(url=url)


@pytest.mark.parametrize("url", ["env:HOOK", "https://ntfy.sh/topic", "http://127.0.0.1:80/x?a=b"])
def test_addresses(url: str) -> None:
    assert Notify(url=url).url == url


def test_a_command_is_a_line_or_words() -> None:
    assert Notify(command="notify-send done").command == "notify-send done"
    assert Notify(command=["mail", "-s", "done"]).command == ["mail", "-s", "done"]
    for bad in ("", " ", [], [""], ["a\0b"]):
        with pytest.raises(ValueError):
            Notify(command=bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        Notify(when="failure")


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T00000000/B00000000/abcdefghijklmnopqrstuvwx",
        "https://discord.com/api/webhooks/123456/abcdef",
        "https://user:password@host/hook",
    ],
)
def test_a_secret_address_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    file = tmp_path / "mine.yaml"
    phase = "{name: sweep, kind: sweep, sweep: rates}"
    file.write_text(f"name: mine\nbase: {{}}\nphases: [{phase}]\nnotify: {{url: '{url}'}}\n")
    try:
        problems = read_study_file(file).problems
    except ConfigError as error:
        problems = list(error.problems)
    found = [one for one in problems if one.key == "notify.url"]
    assert any("environment" in one.hint for one in found)
    assert not any(url in str(one) for one in found)
