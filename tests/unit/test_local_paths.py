"""Paths that leave this machine: relative to a known folder, or their last part."""

import json
from pathlib import Path
from typing import Any

import pytest

from resweep.local_paths import shortened, without_folders

KNOWN = (Path("/srv/me/checkout"),)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("/data/me/texts", "texts"),
        ("/data/me/texts/", "texts"),
        ("~/texts/*.txt", "*.txt"),
        ("~me/texts", "texts"),
        ("file:///home/me/a.txt", "a.txt"),
        ("memory:///home/me/a", "a"),
        ("../../me/texts", "texts"),
        ("./../../me/texts", "texts"),
        ("texts/../../me/a.txt", "a.txt"),
        ("FILE:///home/me/a.txt", "a.txt"),
        ("$HOME/texts/a.txt", "a.txt"),
        ("${HOME}/texts/a.txt", "a.txt"),
        ("C:/Users/me/a.txt", "a.txt"),
        (r"C:\Users\me\my texts\a.txt", "a.txt"),
        ("results/runs/abc", "results/runs/abc"),
        ("org/name", "org/name"),
        ([1, "/a/b", {"c": "/d/e"}], [1, "b", {"c": "e"}]),
        ({"/a/b": 1}, {"b": 1}),
        ("/", "/"),
        (None, None),
        (0.1, 0.1),
        (True, True),
    ],
)
def test_whole_values_are_shortened_to_their_names(value: Any, sent: Any) -> None:
    assert json.dumps(without_folders(value)) == json.dumps(sent)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("/srv/me/checkout/texts/a.txt", "texts/a.txt"),
        ("file:///srv/me/checkout/texts/a.txt", "texts/a.txt"),
        ("/srv/me/checkout", "."),
        ("/srv/me/checkout-2/a.txt", "a.txt"),
        ("/srv/me/checkout/../b/a.txt", "a.txt"),
        ("../checkout/a.txt", "a.txt"),
        ("~me/texts/a.txt", "a.txt"),
        ("see $HOME/texts/a.txt", "see a.txt"),
        ("in /srv/me/checkout/texts, as ever", "in texts, as ever"),
    ],
)
def test_below_a_known_folder_they_are_relative(value: str, sent: str) -> None:
    assert without_folders(value, KNOWN) == sent


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("see /home/me/notes/a.md, or ~/b.md.", "see a.md, or b.md."),
        ('["/home/my texts/a.txt", "/b/c d"]', '["a.txt", "c d"]'),
        ("paths: [/home/me/*.txt]", "paths: [*.txt]"),
        (r"see C:\Users\me\a.txt", "see a.txt"),
        (r'"\"C:\\me\\a\""', r'"\"a\""'),
        ("the “/home/me/a.txt” of me", "the “a.txt” of me"),
        ("OSError: /scratch/me/x.pt: no space", "OSError: x.pt: no space"),
        ("<td>/home/me/a.txt</td>", "<td>a.txt</td>"),
        ("&quot;/home/me/a.txt&quot;", "&quot;a.txt&quot;"),
        ("PATH=/home/me/bin:/usr/local/bin", "PATH=bin:bin"),
        ("https://example.com/a/b and s3://bucket/me/x", None),
        ("tokens / s, and/or 1/2, </div>, 3 ~ 4", None),
        ("results/runs/abc", None),
    ],
)
def test_within_a_text(text: str, sent: str | None) -> None:
    assert shortened(text) == (text if sent is None else sent)
