"""YAML as people mean it: numbers, keys, round trips, and errors that name the line."""

from pathlib import Path
from unittest.mock import ANY

import pytest
import yaml

from resweep import yaml12
from resweep.errors import ConfigError
from tests.support.problems import assert_problem, problem_of


def load_text(folder: Path, text: str):
    file = folder / "file.yaml"
    file.write_text(text)
    return yaml12.load(file)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1.0", 1.0),
        ("012", 12),
        ("+1", 1),
        ("-0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("12345678901234567890", 12345678901234567890),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
    ],
)
def test_scalars_of_the_core_schema(text, value):
    parsed = yaml12.parse(f"key: {text}")["key"]
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "on", "off", "yes", "No", "y", "tRue",
        "2024-01-31", "2024-01-31 10:00:00", "1:30", "190:20:30",
        "1_000", "0b11", "1e", "e5", ".", "1.2.3", "0x", "1e-4x", "=", "inf", "nan",
    ],
)  # fmt: skip
def test_what_only_looks_like_something_else_is_text(text):
    assert yaml12.parse(f"key: {text}") == {"key": text}
    assert yaml12.parse_scalar(text) == text


def test_a_nan_is_a_float():
    assert yaml12.parse("[.nan]")[0] != yaml12.parse("[.nan]")[0]


def test_numbers_are_keys_and_list_entries_too():
    assert yaml12.parse("{1e-4: [1e-3, 012]}") == {1e-4: [1e-3, 12]}


def test_merge_keys_fill_in_what_is_missing():
    text = "base: &base {lr: 1e-3, wd: 0.1}\nmine: {<<: *base, lr: 2e-3}"
    assert yaml12.parse(text)["mine"] == {"lr": 2e-3, "wd": 0.1}


def test_merge_keys_take_lists_and_chains():
    text = "a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: [*b, {x: 5, z: 3}]}"
    assert yaml12.parse(text)["c"] == {"x": 1, "y": 2, "z": 3}


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "x:\n  a: 1\n  a: 1"])
def test_a_key_that_stands_twice_is_an_error_with_its_line(text, tmp_path):
    problem = problem_of(load_text, tmp_path, text)
    assert_problem(problem, "", None, "line 3", "'a'", "twice", file="file.yaml")


@pytest.mark.parametrize(
    "value",
    [
        "1e-4", "1E5", ".5", "1.", "012", "0x1F", "0o7", "true", "False", "null", "~", "", " ",
        " x ", "<<", "yes", "2024-01-31", "1:30", "a: b", "- a", "#x", "x # y", "'", '"', "[a", "{",
        "&a", "*a", "!x", "%", "@", "`", "?", "a\nb", "a\n\nb\n", "\ttab", "\\n", "ünïcode", "…",
        "\x85", "\u2028", "\ufeff", "\U0001f600", "x" * 300, "long words " * 30, ".inf", ".nan",
        True, False, None, 0, -7, 10**20, 0.1, 1e-7, 1e22, 5e-324, 1.0, float("inf"), [], {},
        [1, [2.5, "3"], {"a": None}], {"b": 1, "a": {"c": [True]}},
    ],
)  # fmt: skip
def test_what_is_dumped_is_read_back(value):
    again = yaml12.parse(yaml12.dump({"key": value, "list": [value]}))
    assert again == {"key": value, "list": [value]}
    assert type(again["key"]) is type(value)


def test_keys_are_quoted_as_values_are_and_keep_their_order():
    content = {"b": 1, "a": 2, "1e-4": 3, "null": 4}
    again = yaml12.parse(yaml12.dump(content))
    assert again == content
    assert list(again) == list(content)


def test_an_object_that_is_used_twice_is_written_twice():
    shared = {"x": 1}
    assert "&" not in yaml12.dump({"a": shared, "b": shared})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 1\nb: *nowhere\n", 2),
        ("a: 1\nb: {{ template }}\n", 2),
        ("a: 1\n? [x, y]\n: 3\n", 2),
        ("a: 1\nb: !!int ten\n", 2),
        ("a: 1\nb: " + "9" * 5000, 2),
        ("a: 1\nb: 0x" + "f" * 5000, 2),
        ("a: 1\nb: 1e400", 2),
        ('a: 1\nb: "\\0"', 2),
        ('a: 1\n"\\0": b', 2),
        ("a: 1\nb: &b [1, *b]", 2),
        ("a: 1\n---\nb: 2\n", 2),
    ],
)
def test_what_is_no_yaml_is_one_line_that_names_file_and_line(text, line, tmp_path):
    problem = problem_of(load_text, tmp_path, text)
    assert_problem(problem, "", None, "YAML", f"line {line}, ", file=f"{tmp_path}/file.yaml")


def nested(levels: int, opening: str = "[", closing: str = "]") -> str:
    return opening * levels + closing * levels


@pytest.mark.parametrize(
    "text",
    [
        nested(101),
        nested(2000),
        nested(200_000),
        nested(2000, "{a: ", "}"),
        "- " * 2000 + "1",
        "\n".join(" " * level + "a:" for level in range(200)) + " 1",
    ],
)
def test_what_is_nested_too_deeply_is_one_line(text, tmp_path):
    (tmp_path / "file.yaml").write_text(text)
    problem = problem_of(yaml12.load, tmp_path / "file.yaml")
    assert_problem(problem, "", None, "YAML", "nested", file="file.yaml")
    assert yaml12.parse_scalar(text) == text


def test_a_hundred_levels_are_read():
    value = yaml12.parse(nested(100))
    for _ in range(99):
        (value,) = value
    assert value == []


REPEATED = "a: &a {x: 1, y: 2, z: 3, u: 4, v: 5, w: 6, r: 7, s: 8, t: 9}\n"


@pytest.mark.parametrize("repeat", ["[{}]", "{{<<: [{}]}}"])
def test_aliases_are_counted_as_often_as_they_are_used(repeat, tmp_path):
    lines = REPEATED
    for name, before in zip("bcdefghij", "abcdefghi", strict=True):
        lines += f"{name}: &{name} {repeat.format(', '.join([f'*{before}'] * 9))}\n"
    assert_problem(problem_of(load_text, tmp_path, lines), "", None, "aliases", "line 6")
    few = "".join(line for line in lines.splitlines(keepends=True)[:4])
    assert list(yaml12.parse(few)) == ["a", "b", "c", "d"]


def test_a_missing_file_is_one_line(tmp_path):
    problem = problem_of(yaml12.load, tmp_path / "no-such.yaml")
    assert_problem(problem, "", None, "no such file", file="no-such.yaml")


def test_a_file_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "weights.yaml").write_bytes(b"\xff\xfe\x00\x81")
    problem = problem_of(yaml12.load, tmp_path / "weights.yaml")
    assert_problem(problem, "", None, file="weights.yaml")


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text", "1: x\n", "3"])
def test_a_mapping_of_names_is_asked_for(text, tmp_path):
    (tmp_path / "file.yaml").write_text(text)
    problem = problem_of(yaml12.load_mapping, tmp_path / "file.yaml")
    assert_problem(problem, "", ANY, "mapping", file="file.yaml")


def test_an_empty_file_is_an_empty_mapping(tmp_path):
    (tmp_path / "file.yaml").write_text("# nothing\n")
    assert yaml12.load_mapping(tmp_path / "file.yaml") == {}


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:pathlib.Path.touch", "!!python/object/new:pathlib.Path"]
)
def test_a_file_cannot_run_code(tag, tmp_path):
    with pytest.raises(ConfigError, match=r"line 1.*python"):
        load_text(tmp_path, f"a: {tag} ['{tmp_path / 'touched'}']")
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("text", ["{a", "!!int x", "9" * 5000, "[1, 2]", "a: b", "*x"])
def test_a_scalar_that_is_none_stays_text(text):
    assert yaml12.parse_scalar(text) == text


def test_other_readers_of_yaml_see_the_same_numbers():
    assert yaml.safe_load(yaml12.dump({"lr": 1e-4, "n": 3})) == {"lr": 1e-4, "n": 3}
