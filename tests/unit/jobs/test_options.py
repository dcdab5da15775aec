"""The options of a training job: as words of a command line, and back."""

import argparse
import json
from dataclasses import fields
from pathlib import Path

import pytest

from resweep.jobs.options import JobOptions

OPTIONS = [
    JobOptions(),
    JobOptions(results=Path("/some/where else/results"), device="cuda:1", keep="none"),
    JobOptions(keep="all", weights=True, lock_timeout=0.1 + 0.2, memory_limit_mb=800, cores=3),
    JobOptions(log_file=Path("results/study/logs/train 1.log")),
    JobOptions(tracking={"wandb": "offline", "project": "a 'b' \"c\"", "entity": None}),
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_words_say_all_of_the_options(options):
    words = options.words()
    assert all(isinstance(word, str) for word in words)
    assert JobOptions.parse(words) == options


def test_every_option_is_tried_above():
    for field in fields(JobOptions):
        assert any(
            getattr(one, field.name) != getattr(JobOptions(), field.name) for one in OPTIONS
        ), field.name


def test_words_leave_out_defaults():
    assert JobOptions().words() == []
    assert JobOptions(keep="none").words() == ["--keep", "none"]


def test_without_words_they_are_the_defaults():
    assert JobOptions.parse([]) == JobOptions()


def test_they_stand_beside_arguments_of_the_script():
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", type=Path)
    JobOptions.add_to(parser)
    options = JobOptions(device="cpu", tracking={"wandb": "online"})
    arguments = parser.parse_args(["--record", "r.json", *options.words()])
    assert arguments.record == Path("r.json")
    assert JobOptions.of(arguments) == options


@pytest.mark.parametrize(
    "words", [["--keep", "some"], ["--tracking", "{"], ["--memory-mb", "much"], ["--dev", "cpu"]]
)
def test_words_that_say_no_option_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        JobOptions.parse(words)
    assert words[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (JobOptions(), False),
        (JobOptions(keep="none"), False),
        (JobOptions(keep="all"), True),
        (JobOptions(weights=True), True),
        (JobOptions(keep="none", weights=True), True),
    ],
)
def test_pruned_weights_are_wanted_where_all_are_kept_or_where_asked_for(options, wanted):
    assert options.wants_weights is wanted


def test_tracking_is_json_to_a_shell():
    words = OPTIONS[-1].words()
    assert json.loads(words[words.index("--tracking") + 1]) == OPTIONS[-1].tracking
