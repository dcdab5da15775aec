"""Curvature of the hidden states of causal language models, over layers and checkpoints.

    text, or the validation split  ->  sentences  ->  tokens
    checkpoint                     ->  model of transformers  ->  states (layers, tokens, width)
    states                         ->  curvature by layer, over sentences

A run's checkpoints are compared with the weights that it began with, drawn again from its seed.
"""

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from resweep.analysis.checkpoints import Checkpoint, Found
from resweep.analysis.curvature import FEWEST_STATES, LayerCurvature, by_layer, curvature
from resweep.config.compose import assign
from resweep.data.store import Prepared, find
from resweep.errors import ConfigError, DataError, Problem, StoreError
from resweep.paths import Layout
from resweep.store.run import Run
from resweep.systems.registry import system_of
from resweep.training.place import Place

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FEWEST_WORDS = 5  # of a sentence: headings and fragments have fewer
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "tokenizer.model")
# What constructors and readers of transformers raise for folders and values that they do not like.
_UNFIT = (OSError, ValueError, RuntimeError, LookupError, TypeError, ImportError)
ONE_PROCESS = {
    "training.distributed": "none",
    "training.processes": 1,
    "training.nodes": 1,
    "training.compile": False,
    "training.cuda_graphs": False,
}


@dataclass(frozen=True)
class Trajectories:
    """The curvature of one model.

    Attributes:
        name: `untrained`, `step 800`, or that of a folder.
        step: 0 for weights that a run begins with; None if it is unknown.
        layers: The embeddings first, then the output of each block; after the last one comes the
            final norm, if the model has one.
    """

    name: str
    step: int | None
    layers: list[LayerCurvature]


@dataclass(frozen=True, kw_only=True)
class CurvatureAnalysis:
    """The curvature of some models.

    Attributes:
        given: What was analyzed, as it was named.
        sentences: Number of sentences.
        tokens: Number of their tokens, together.
        models: Without training first, then by step.
    """

    given: str
    sentences: int
    tokens: int
    models: list[Trajectories]


def split_sentences(texts: Iterable[str]) -> list[str]:
    """Return the sentences of texts, each in one line: at least five words, ended by . ! or ?"""
    found = []
    for text in texts:
        for paragraph in re.split(r"\n\s*\n", text):
            for sentence in re.split(r"(?<=[.!?])\s+", " ".join(paragraph.split())):
                if sentence.endswith((".", "!", "?")) and len(sentence.split()) >= FEWEST_WORDS:
                    found.append(sentence)
    return found


def choose(sentences: Sequence[str], count: int) -> list[str]:
    """Return at most `count` sentences, evenly spread."""
    if len(sentences) <= count:
        return list(sentences)
    return [sentences[place * len(sentences) // count] for place in range(count)]


def analyze_curvature(
    found: Found, layout: Layout, *, text: Path | None = None, sentences: int = 100
) -> CurvatureAnalysis:
    """Compare the curvature of checkpoints with that of untrained weights.

    Args:
        found: The checkpoints.
        layout: Of the results folder, with the run's data.
        text: A file of text; None: the validation split of the run's data.
        sentences: At most as many are used.

    Raises:
        ConfigError: There is no text, or it has no sentences.
        StoreError: A checkpoint is not a causal language model, or cannot be loaded.
    """
    config = None if found.run is None else Run(found.run.path).config()
    data = None if config is None else find(system_of(config), config["data"], layout)
    chosen = choose(split_sentences(_texts(found, config, data, text)), sentences)
    first = found.checkpoints[0]
    encoded = encode(chosen, first.folder, load(first.folder))
    if not encoded:
        where = str(text or found.given)
        hint = f"has no sentence of {FEWEST_WORDS} words and {FEWEST_STATES} tokens; give more text"
        raise ConfigError(Problem(where, "", None, hint))
    models = [] if config is None or data is None else [_untrained(config, data, encoded)]
    if found.run is None:
        models.append(_random(first, encoded))
    models += [measure(load(one.folder), one.name, one.step, encoded) for one in found.checkpoints]
    return CurvatureAnalysis(
        given=found.given, sentences=len(encoded), tokens=sum(map(len, encoded)), models=models
    )


def _texts(
    found: Found, config: dict[str, Any] | None, data: Prepared | None, text: Path | None
) -> list[str]:
    if text is not None:
        try:
            return [text.read_text(encoding="utf-8")]
        except UnicodeDecodeError:
            raise ConfigError(Problem(str(text), "", None, "is not a text file")) from None
    if config is None:
        hint = "is not a run of this project, so that its data is unknown; give --text FILE"
        raise ConfigError(Problem("command line", "RUN_OR_FOLDER", found.given, hint))
    if data is None:
        hint = "its data is not prepared here, or its sources changed; give --text FILE"
        raise DataError(f"{found.given}: {hint}")
    texts = system_of(config).validation_texts(data)
    if not texts:
        raise DataError(f"{found.given}: its data is not text; give --text FILE")
    return texts


def load(folder: Path) -> "PreTrainedModel":
    """Load a causal language model of transformers, float32 on the CPU.

    Raises:
        StoreError: It is none, or has not all of its weights.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        found: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (*_UNFIT, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        hint = f"is not a causal language model that transformers can load: {reason:.120}"
        raise StoreError(f"{folder}: {hint}") from None
    model, info = found
    if info["missing_keys"]:
        missing = sorted(info["missing_keys"])[0]
        raise StoreError(f"{folder}: {missing} is missing from the weights")
    return model.eval()


def encode(sentences: Sequence[str], folder: Path, model: "PreTrainedModel") -> list[list[int]]:
    """Return the tokens of sentences, cut to the model's context; without those that are too short.

    Args:
        sentences: Text.
        folder: Of the model, with its tokenizer; without one, tokens are the bytes of UTF-8.
        model: The model.

    Raises:
        StoreError: The model does not have these tokens.
    """
    if any((folder / name).is_file() for name in TOKENIZER_FILES):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
        encoded = tokenizer(list(sentences), add_special_tokens=False, verbose=False)["input_ids"]
    else:
        encoded = [list(sentence.encode()) for sentence in sentences]
    embeddings: Any = model.get_input_embeddings()
    vocab_size = int(embeddings.num_embeddings)
    largest = max((token for ids in encoded for token in ids), default=0)
    if largest >= vocab_size:
        hint = f"it has {vocab_size} tokens, and no tokenizer that gives these"
        raise StoreError(f"{folder}: the text has token {largest}, but {hint}")
    context = getattr(model.config, "max_position_embeddings", None)
    return [list(ids[:context]) for ids in encoded if len(ids) >= FEWEST_STATES]


@torch.inference_mode()
def measure(
    model: "PreTrainedModel", name: str, step: int | None, encoded: Sequence[Sequence[int]]
) -> Trajectories:
    """Return the curvature of a model over sentences.

    Args:
        model: The model.
        name, step: Of the result.
        encoded: Tokens of each sentence.
    """
    return Trajectories(name, step, by_layer([curvature(states(model, ids)) for ids in encoded]))


def states(model: "PreTrainedModel", ids: Sequence[int]) -> Tensor:
    """Return the hidden states of a sentence: (1 + blocks, tokens, width)."""
    output = model(input_ids=torch.tensor([list(ids)]), output_hidden_states=True, use_cache=False)
    return torch.stack([layer[0] for layer in output.hidden_states])


def _untrained(
    config: dict[str, Any], data: Prepared, encoded: Sequence[Sequence[int]]
) -> Trajectories:
    """Measure the weights that a run began with: of its seed, or those that it names."""
    system, alone = system_of(config), assign(config, ONE_PROCESS)
    _, given = system.weights_named(config)
    learner = system.learner(alone, data, Place(device=torch.device("cpu")))
    learner.begin()
    with tempfile.TemporaryDirectory() as place:
        learner.snapshot().write(Path(place))
        name = "untrained" if given is None else "initial weights"
        return measure(load(Path(place)), name, 0, encoded)


def _random(one: Checkpoint, encoded: Sequence[Sequence[int]]) -> Trajectories:
    """Measure a model of the same architecture with the random weights of transformers."""
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(
            AutoConfig.from_pretrained(one.folder, local_files_only=True), dtype=torch.float32
        )
    return measure(model.eval(), "untrained", 0, encoded)


def to_json(analysis: CurvatureAnalysis) -> dict[str, Any]:
    """Return an analysis as JSON; lists are by layer, in degrees."""
    return {
        "of": analysis.given,
        "sentences": analysis.sentences,
        "tokens": analysis.tokens,
        "models": [
            {
                "name": one.name,
                "step": one.step,
                **{
                    name: [getattr(layer, name) for layer in one.layers]
                    for name in ("mean", "error", "change", "change_error")
                },
            }
            for one in analysis.models
        ],
    }
