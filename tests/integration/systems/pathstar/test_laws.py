"""What every PathStar training shows, on a small graph: the laws of the task.

token 1      the root is in every path: right at once
token 3 ...  follow an edge, which is learned
token l      is in the prompt
token 2      nothing in the prompt is next to the root: a guess among its neighbours, with a
             loss of ln d, until the paths are learned
"""

import math
from itertools import takewhile

import pytest

from tests.support.pathstar import make_learner

SPOKES, STEPS, EVERY = 60, 200, 5
GUESS = math.log(SPOKES)


@pytest.fixture(scope="module")
def curve(tmp_path_factory):
    """Evaluations of a training on its own paths, in the order of steps."""
    learner, _ = make_learner(
        tmp_path_factory.mktemp("laws"),
        data__graph_d=SPOKES,
        data__graph_l=4,
        data__graph_holdout_percentage=0.0,
        data__num_pause_tokens=4,
        model__n_layer=1,
        model__n_embd=64,
        model__n_head=4,
        training__batch_size=256,
        training__max_steps=STEPS,
        training__learning_rate=3e-3,
        training__pct_warmup=0.05,
        training__weight_decay=0.01,
    )
    found = []
    for step in range(STEPS + 1):
        if step % EVERY == 0:
            found.append(learner.evaluate())
        if step < STEPS:
            learner.train_step()
    return found


def first(curve, is_reached):
    """Position of the first evaluation at which something is reached."""
    return len(list(takewhile(lambda line: not is_reached(line), curve)))


def test_the_root_is_learned_first(curve):
    root = first(curve, lambda line: line["val/accuracy/token_1"] == 1.0)
    other = first(curve, lambda line: line["val/accuracy/token_2"] > 0.9)
    assert root < other / 2
    assert all(line["val/accuracy/token_1"] == 1.0 for line in curve[root:])


def test_the_first_choice_is_a_guess_until_paths_are_learned(curve):
    edges = first(curve, lambda line: line["val/loss/token_3"] < 0.2 * GUESS)
    assert curve[edges]["val/loss/token_2"] == pytest.approx(GUESS, rel=0.06)
    assert curve[edges]["val/accuracy/token_2"] < 0.3
    assert curve[-1]["val/loss/token_2"] < 0.1 * GUESS


@pytest.mark.parametrize("token", ["token_3", "token_l"])
def test_edges_are_followed_and_the_last_token_is_copied(curve, token):
    assert curve[-1][f"val/loss/{token}"] < 0.2
    assert curve[-1][f"val/accuracy/{token}"] > 0.9
