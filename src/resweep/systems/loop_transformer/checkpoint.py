"""The files of a checkpoint that say what model it has, and its network read from them.

config.json          size of the boards, the section arch
model.safetensors    the weights that evaluations measure
"""

import json
from pathlib import Path

from safetensors.torch import load_file

from resweep.systems.loop_transformer.model import Network
from resweep.systems.loop_transformer.sections import Arch

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def load_network(folder: str | Path) -> Network:
    """Return the network of a checkpoint, with the weights that evaluations measure.

    Tokens are digits plus 1; an empty cell counts as digit 0. For boards of `cells` cells, this is
    a supervision step; more of them improve the answer:

        states = network.begin(len(tokens), cells)
        states, logits, halt = network(states, tokens)
        digits = logits.argmax(-1) - 1
    """
    config = json.loads((Path(folder) / CONFIG).read_text())
    network = Network(Arch.model_validate(config["arch"], strict=False), config["size"])
    network.load_state_dict(load_file(Path(folder) / WEIGHTS))
    return network.eval()
