"""What a loop transformer can be configured as, and what is refused in one line."""

from typing import Any

import pytest

from resweep.config import compose
from resweep.config.compose import Composed
from resweep.config.nesting import nest
from resweep.systems.loop_transformer.sections import Arch, Data
from resweep.systems.loop_transformer.size import inner_width
from tests.support.loop_transformer import SYSTEM, configure

TWO = [
    {"target": "z_L", "sources": ["z_H"], "include_inputs": True, "repeat": 2},
    {"target": "z_H", "sources": ["z_L"]},
]


def hint_of(**changes: Any) -> str:
    """The only problem of a configuration, as `key: hint`."""
    flat = {"training.max_steps": 5} | {k.replace("__", "."): v for k, v in changes.items()}
    _, problems = compose.validate(Composed(nest(flat), {}), "study.yaml", SYSTEM.schema)
    (problem,) = problems
    assert "\n" not in str(problem)
    return f"{problem.key}: {problem.hint}"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arch__stages": [{"sources": ["z_H"]}]}, ["arch.stages.0.target", "missing"]),
        ({"arch__stages": [{**TWO[0], "target": ""}]}, ["arch.stages.0.target"]),
        ({"arch__stages": TWO[:1]}, ["stages.0.sources", "'z_H' is not a state", "z_L"]),
        (
            {"arch__stages": TWO, "arch__states": [{"name": "z_L"}]},
            ["stages.0.sources", "'z_H' is not a state"],
        ),
        ({"arch__stages": []}, ["stages is empty"]),
        ({"arch__stages": [{**TWO[0], "repeats": 2}, TWO[1]]}, ["arch.stages.0.repeats"]),
        ({"arch__stages": [{**TWO[0], "repeat": -1}, TWO[1]]}, ["arch.stages.0.repeat", "0"]),
        ({"arch__stages": [{**TWO[0], "repeat": 1.5}, TWO[1]]}, ["arch.stages.0.repeat"]),
        ({"arch__stages": [{"target": "a.b"}]}, ["'a.b'", "letters"]),
        ({"arch__states": [{"name": "z_L"}, {"name": "z_L"}]}, ["'z_L' twice"]),
        (
            {"arch__states": [{"name": "z_L", "share_weights_with": "z_X"}]},
            ["z_L has share_weights_with: z_X"],
        ),
        ({"arch__readout_state": "z_X"}, ["readout_state = 'z_X'", "z_L, z_M, z_H"]),
        ({"arch__hidden_size": 36, "arch__num_heads": 4}, ["hidden_size = 36", "8"]),
        ({"arch__no_grad_cycles": 3}, ["no_grad_cycles = 3", "outer_cycles = 3"]),
        ({"arch__stages": [{**TWO[0], "repeat": 0}, {**TWO[1], "repeat": 0}]}, ["no gradient"]),
        ({"arch__halt_max_steps": 0}, ["arch.halt_max_steps"]),
        ({"data__size": 5}, ["data.size", "4, 6 or 9"]),
        ({"data__min_givens": 20, "data__max_givens": 18}, ["min_givens = 20", "18"]),
        ({"data__min_givens": 17}, ["min_givens = 17", "at least 23"]),
        ({"data__size": 4, "data__max_givens": 16}, ["max_givens = 16", "below 16"]),
        (
            {"data__size": 6, "training__augmentations": ["transposition"]},
            ["transposition", "size 6", "bands"],
        ),
        ({"training__augmentations": ["rotation"]}, ["training.augmentations"]),
        ({"training__distributed": "zero3", "training__processes": 2}, ["zero3", "zero2"]),
        ({"training__compile": True}, ["compile = True is not supported"]),
        ({"training__ema_rate": 1.0}, ["training.ema_rate", "1"]),
    ],
)
def test_what_cannot_be_trained_is_named_in_one_line(
    changes: dict[str, Any], words: list[str]
) -> None:
    hint = hint_of(**changes)
    assert all(word in hint for word in words), hint


def test_the_three_stages_of_the_document_are_the_default() -> None:
    arch = Arch()
    stages = [(s.target, s.sources, s.include_inputs, s.repeat) for s in arch.stages]
    assert stages == [
        ("z_L", ("z_H",), True, 3),
        ("z_M", ("z_L",), True, 2),
        ("z_H", ("z_M",), False, 1),
    ]
    assert (arch.outer_cycles, arch.free_cycles, arch.read_from) == (3, 2, "z_H")
    assert (arch.hidden_size, arch.num_heads, inner_width(arch)) == (512, 8, 1376)
    assert arch.depths == {"z_L": 1}  # one module, which all share
    assert set(arch.layers_of.values()) == {"z_L"}


def test_one_entry_of_a_stage_can_be_set() -> None:
    config = configure(**{"arch__stages__0__repeat": 7, "arch__stages__1__include_inputs": False})
    stages = config["arch"]["stages"]
    assert [stage["repeat"] for stage in stages] == [7, 2, 1]
    assert [stage["include_inputs"] for stage in stages] == [True, False, False]


def test_states_can_have_layers_of_their_own() -> None:
    arch = Arch.model_validate(
        {
            "stages": TWO,
            "states": [
                {"name": "z_L", "layers": 3},
                {"name": "z_H", "layers": 2},
                {"name": "z_T", "share_weights_with": "z_H"},
            ],
        }
    )
    assert arch.depths == {"z_L": 3, "z_H": 2}
    assert arch.layers_per_cycle() == 2 * 3 + 2


@pytest.mark.parametrize(
    ("sources", "grad_cycles", "is_idle"), [(["z_L"], 1, False), ([], 1, True), ([], 2, True)]
)
def test_layers_without_a_way_to_the_answer_are_refused(
    sources: list[str], grad_cycles: int, is_idle: bool
) -> None:
    given = {
        "stages": [TWO[0], {"target": "z_H", "sources": sources, "include_inputs": True}],
        "states": [{"name": "z_L"}, {"name": "z_H"}],
        "outer_cycles": 3,
        "no_grad_cycles": 3 - grad_cycles,
    }
    if is_idle:
        with pytest.raises(ValueError, match="layers of z_L would get no gradient"):
            Arch.model_validate(given)
    else:
        Arch.model_validate(given)


def test_a_stage_after_the_answer_counts_in_the_next_cycle() -> None:
    """z_L is updated after z_H, and reaches the answer only if two cycles have gradients."""
    given = {
        "stages": [TWO[1], TWO[0]],
        "states": [{"name": "z_L"}, {"name": "z_H"}],
        "readout_state": "z_H",
    }
    with pytest.raises(ValueError, match="layers of z_L"):
        Arch.model_validate(given)
    Arch.model_validate({**given, "no_grad_cycles": 1})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"size": 4}, (6, 9)),
        ({"size": 9}, (28, 36)),
        ({"size": 9, "min_givens": 40}, (40, 40)),
        ({"size": 9, "max_givens": 25}, (25, 25)),
        ({"size": 6, "min_givens": 10, "max_givens": 12}, (10, 12)),
    ],
)
def test_one_bound_of_the_givens_moves_the_other(
    given: dict[str, int], expected: tuple[int, int]
) -> None:
    assert Data.model_validate(given).givens == expected


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("lr", "training.learning_rate"),
        ("epochs", "training.num_epochs"),
        ("eval_interval", "training.eval_steps"),
        ("global_batch_size", "training.batch_size"),
        ("grad_clip_norm", "training.grad_clip"),
        ("ema", "training.ema"),
        ("weight_decay", "training.weight_decay"),
        ("L_layers", "arch.num_layers"),
        ("hidden_size", "arch.hidden_size"),
        ("arch.stages.0.repeat", "arch.stages.0.repeat"),
    ],
)
def test_names_of_the_document_are_fields(name: str, path: str) -> None:
    assert compose.resolve_name(name, {}, SYSTEM.schema) == path


def test_clipping_at_minus_one_is_off_as_in_the_document() -> None:
    assert configure(training__grad_clip=-1.0)["training"]["grad_clip"] == 0
    assert configure(training__grad_clip=0.5)["training"]["grad_clip"] == 0.5
