"""One spelling for equal content, and none for what has no single one."""

import functools
import math

import numpy as np
import pytest

from resweep.canonical import canonical_json, digest, file_digest, round_sampled


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"a": {"b": math.nan}}, r"a\.b = nan"),
        ({"a": [1.0, math.inf]}, r"a\[1\] = inf"),
        (-math.inf, "value = -inf"),
        ({"lr": -0.0}, r"lr = -0\.0"),
        ({"a": {1: 2}}, "a: the key 1"),
        ({"a": {None: 2}}, "a: the key None"),
        ({"a": [{"b": {1, 2}}]}, r"a\[0\]\.b: set"),
        ({"x": np.float64(0.5)}, "x: float64"),
        ({"x": np.int64(3)}, "x: int64"),
        ({"x": b"text"}, "x: bytes"),
        ({"x": 10**301}, "x is too large"),
        ({"x": ["a\0"]}, r"x\[0\]: .*NUL"),
        ({"x": {"\udc80": 1}}, "x: .*character"),
        ({"x": "\ud800"}, "x: .*character"),
        (functools.reduce(lambda inner, _: [inner], range(100), []), "nested"),
    ],
)
def test_what_has_no_single_spelling_is_refused_with_its_path(content, named):
    with pytest.raises(ValueError, match=named):
        canonical_json(content)


def test_text_is_compact_sorted_and_plain():
    assert (
        canonical_json({"b": [1, 2.5, True, None], "a": "é"}) == '{"a":"é","b":[1,2.5,true,null]}'
    )


def test_key_order_and_tuples_do_not_matter():
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest({"a": (1, 2)}) == digest({"a": [1, 2]})


@pytest.mark.parametrize(("left", "right"), [(1, 1.0), (1, True), (1, "1"), (0.1, 0.1 + 1e-16)])
def test_values_that_differ_have_different_digests(left, right):
    assert digest({"a": left}) != digest({"a": right})


def test_a_digest_is_pinned_and_cut_to_length():
    assert digest({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"
    assert digest({"a": 1}, 10) == "015abd7f5c"


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(tmp_path / "file") == known


@pytest.mark.parametrize(
    ("value", "rounded"),
    [
        (0.123456789123, 0.12345679),
        (1234567.891, 1234567.9),
        (1.00000000001, 1.0),
        (1e-300, 1e-300),
        (-0.000123456789, -0.00012345679),
        (0.0, 0.0),
    ],
)
def test_sampled_numbers_keep_eight_digits(value, rounded):
    assert round_sampled(value) == rounded


def test_rounding_swallows_the_last_bits_and_the_sign_of_zero():
    assert round_sampled(0.3) == round_sampled(0.1 + 0.2)
    assert math.copysign(1.0, round_sampled(-0.0)) == 1.0
