"""Early termination in a sweep file: where its bands are, who stays, what is wrong."""

from unittest.mock import ANY

import pytest

from resweep.sweep import EarlyTerminate, load_sweep
from tests.support.problems import assert_problem, problems_of


def read(folder, text: str) -> EarlyTerminate:
    file = folder / "sweep.yaml"
    file.write_text(f"method: bayes\nparameters: {{a: {{values: [1]}}}}\nearly_terminate: {text}")
    return load_sweep(file).early_terminate


@pytest.mark.parametrize(
    ("text", "values", "bands"),
    [
        ("{type: hyperband, min_iter: 3, max_iter: 10, s: 2, eta: 3}", 20, (1, 3)),
        ("{type: hyperband, max_iter: 27, s: 2}", 27, (3, 9)),
        ("{type: hyperband, max_iter: 27, s: 9}", 27, (1, 3, 9)),
        ("{type: hyperband, max_iter: 81, s: 3}", 20, (3, 9)),
        ("{type: hyperband, max_iter: 20, s: 4, eta: 1.5}", 20, (3, 5, 8, 13)),
        ("{type: hyperband, min_iter: 3}", 82, (3, 9, 27, 81)),
        ("{type: hyperband, min_iter: 3}", 81, (3, 9, 27)),
        ("{type: hyperband, min_iter: 3}", 3, ()),
        ("{type: hyperband, min_iter: 2, eta: 1.5}", 30, (2, 3, 4, 6, 10, 15, 22)),
        ("{type: hyperband, min_iter: 1, eta: 1.01}", 4, (1, 2)),
        ("{type: hyperband, min_iter: 1, eta: 1e5}", 10**9, (1, 10**5)),
        ("{type: one_cut, min_iter: 5, keep: 3}", 20, (5,)),
        ("{type: one_cut, min_iter: 5, keep: 3}", 5, ()),
    ],
)
def test_bands_lie_where_wandb_has_them_and_below_the_end(text, values, bands, tmp_path):
    assert read(tmp_path, text).bands(values) == bands


def test_the_defaults_are_those_of_wandb(tmp_path):
    rule = read(tmp_path, "{type: hyperband, min_iter: 3}")
    assert rule == EarlyTerminate(type="hyperband", min_iter=3, eta=3, strict=True)


@pytest.mark.parametrize(
    ("eta", "values", "threshold"),
    [
        (3, [5, 1, 4, 2, 3, 6, 7, 9, 8], 4),
        (3, [5.0, 1.0], 1.0),
        (2, [5.0, 1.0], 5.0),
        (4, [3.0], 3.0),
        (1.5, [1, 2, 3, 4], 3),
        (49, list(range(49)), 0),  # 1/49 * 49 is a little less than 1
    ],
)
def test_a_band_keeps_about_one_of_eta(eta, values, threshold):
    assert EarlyTerminate(min_iter=1, eta=eta).threshold(values) == threshold


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{type: median}", (".type", "median", "hyperband, one_cut")),
        (f"{{type: hyperband, min_iter: 1{'0' * 400}}}", (".min_iter", 10**400, str(10**12))),
        ("{type: hyperband, max_iter: 1e30, s: 2}", (".max_iter", int(1e30), str(10**12))),
        ("{type: hyperband, max_iter: 1e12, s: 1e9, eta: 1.0001}", (".s", 10**9, "1,000")),
        ("{type: [hyperband]}", (".type",)),
        ("{min_iter: 3}", (".type", None, "hyperband, one_cut")),
        ("{type: hyperband}", ("", ANY, "min_iter", "max_iter and s")),
        ("{type: hyperband, max_iter: 9}", (".s", None)),
        ("{type: hyperband, min_iter: 3, max_iter: 9}", (".s", None)),
        ("{type: hyperband, max_iter: 2, s: 2}", (".max_iter", 2)),
        ("{type: hyperband, min_iter: 0}", (".min_iter", 0)),
        ("{type: hyperband, min_iter: 1.5}", (".min_iter", 1.5)),
        ("{type: hyperband, min_iter: 3, s: 0}", (".s", 0)),
        ("{type: hyperband, min_iter: 3, eta: 1}", (".eta", 1, "number")),
        ("{type: hyperband, min_iter: 3, eta: three}", (".eta", "three", "number")),
        ("{type: hyperband, min_iter: 3, strict: 1}", (".strict", 1)),
        ("{type: hyperband, min_itre: 3}", (".min_itre", ANY, "min_iter?")),
        ("{type: hyperband, min_iter: 3, keep: 2}", (".keep", ANY)),
        ("{type: one_cut, min_iter: 3}", (".keep", None)),
        ("{type: one_cut, min_iter: 3, keep: 0}", (".keep", 0)),
        ("{type: one_cut, keep: 3, eta: 3}", (".eta", ANY)),
    ],
)
def test_what_is_wrong_is_named_in_one_line(text, expected, tmp_path):
    key, *more = expected
    assert_problem(problems_of(read, tmp_path, text), f"early_terminate{key}", *more)
