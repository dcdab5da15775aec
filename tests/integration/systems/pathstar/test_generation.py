"""Greedy generation with kept keys and values, against whole forward passes."""

import pytest
import torch

from resweep.systems.pathstar.generation import generate
from tests.support.pathstar import make_learner


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
def test_kept_keys_and_values_do_not_change_what_is_generated(layers, bias, tmp_path):
    learner, objective = make_learner(
        tmp_path, model__n_layer=layers, model__bias=bias, training__max_steps=900
    )
    for _ in range(150):
        learner.train_step()
    objective.model.eval()
    known = objective.format
    prompts = torch.from_numpy(objective.val_rows[:, : known.prompt])
    rows = prompts
    for _ in range(known.data.graph_l):
        rows = torch.cat([rows, objective.model(rows)[:, -1].argmax(-1, keepdim=True)], dim=1)
    found = generate(objective.model, prompts, known.data.graph_l)
    assert found.tolist() == rows[:, known.prompt :].tolist()
    assert len(set(found.flatten().tolist())) > 1


def test_each_forward_after_the_prompt_is_of_one_token(tmp_path):
    _, objective = make_learner(tmp_path, data__graph_l=6)
    objective.model.eval()
    lengths = []
    block = objective.model.transformer.h[0]
    block.ln_1.register_forward_pre_hook(lambda _, args: lengths.append(args[0].shape[1]))
    generate(objective.model, torch.from_numpy(objective.val_rows[:, : objective.format.prompt]), 6)
    assert lengths == [objective.format.prompt, 1, 1, 1, 1, 1]
