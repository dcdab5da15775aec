"""What every PathStar training shows, on a small graph: the laws of the task.

token 1      the root is in every path: always right, soon
token 2      nothing in the prompt is next to the root: loss ln d while nobody plans
token 3 ...  follow an edge, which is known
token l      is in the prompt
"""

import math

import pytest

from tests.support.pathstar import make_learner

SPOKES = 60
EVERY = 50


@pytest.fixture(scope="module")
def curve(tmp_path_factory):
    """Evaluations of a training, by step."""
    learner, _ = make_learner(
        tmp_path_factory.mktemp("laws"),
        data__graph_d=SPOKES,
        data__graph_l=4,
        data__graph_holdout_percentage=0.2,
        model__n_embd=64,
        model__n_head=4,
        training__max_steps=600,
        training__learning_rate=3e-3,
        training__pct_warmup=0.05,
        training__weight_decay=0.0,
    )
    found = {}
    for step in range(601):
        if step % EVERY == 0:
            found[step] = learner.evaluate()
        if step < 600:
            learner.train_step()
    return found


def test_the_root_is_learned_at_once(curve):
    assert all(line["val/accuracy/token_1"] == 1.0 for step, line in curve.items() if step >= 100)


def test_the_first_choice_is_a_guess_while_it_is_not_learned(curve):
    lowest = min(line["val/loss/token_2"] for line in curve.values())
    assert lowest == pytest.approx(math.log(SPOKES), rel=0.1)


def test_later_tokens_follow_edges(curve):
    assert min(line["val/loss/token_3"] for line in curve.values()) < 0.3 * math.log(SPOKES)


def test_the_last_token_is_copied_or_follows_its_edge(curve):
    assert min(line["val/loss/token_l"] for line in curve.values()) < 0.3 * math.log(SPOKES)
