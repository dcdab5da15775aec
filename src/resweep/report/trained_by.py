"""What a phase trained, and what trained it, in words: model, tokens, first weights, machines.

trial files, {run}/config.yaml, {run}/record.json, records  ->  TrainedBy
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.config.schema import Config
from resweep.config.training_section import Training
from resweep.paths import Layout
from resweep.store.run import Run
from resweep.systems.language.data_section import Data
from resweep.trials.record import Record
from resweep.trials.trial import read_outcome

MOST_VALUES = 3  # of one fact; a phase that sweeps it has a column for it


@dataclass(frozen=True)
class TrainedBy:
    """What the trials of a phase have in common; what they do not is listed, best trial first.

    Attributes:
        model: Its kind, or the architecture's name in transformers, and its size.
        tokens: What tokens are, and how many there are.
        start: The weights to start from, and the rank of adapters on them.
        machines: The devices and how many processes shared the work.
    """

    model: str
    tokens: str
    start: str
    machines: str


def describe_training(records: Iterable[Path], layout: Layout) -> TrainedBy | None:
    """Describe the trials that were trained; None if none was.

    Args:
        records: `.../{phase}/records/{trial}.json`, the best first.
        layout: Where the runs are.
    """
    names: list[str] = []
    tokens: list[str] = []
    starts: list[str] = []
    machines: list[str] = []
    sizes: list[int] = []
    for outcome in map(read_outcome, records):
        if outcome.record.run_id is None:
            continue
        run = Run(layout.run(outcome.record.run_id))
        config = Config.model_validate(outcome.trial.config)
        model = yaml12.load_mapping(run.path / "config.yaml")["model"]
        names.append(_name(model))
        tokens.append(_tokens(config.data, model["vocab_size"]))
        starts.append(_start(config, model.get("lora_rank")))
        machines += _machines(outcome.record, config.training, run.state().get("segments", []))
        if outcome.record.parameters is not None:
            sizes.append(outcome.record.parameters)
    if not names:
        return None
    size = f", {_millions(sizes)} M parameters" if sizes else ""
    return TrainedBy(_listed(names) + size, _listed(tokens), _listed(starts), _listed(machines))


def _name(model: Mapping[str, Any]) -> str:
    return "gpt" if model["kind"] == "gpt" else f"{model['config']['model_type']} (hf)"


def _tokens(data: Data, vocab_size: int) -> str:
    """Name the tokens; the vocabulary is the model's, which may have room for more."""
    kind = {
        "bytes": "bytes",
        "bpe": f"bpe {data.bpe_vocab_size}",
        "tokenizer": f"tokenizer of {data.tokenizer}",
    }[data.tokens]
    return f"{kind} (vocabulary {vocab_size})"


def _start(config: Config, lora_rank: int | None) -> str:
    """Name the first weights as the trial does: its run knows their folder alone."""
    weights = config.run.checkpoint or config.model.name_or_path
    adapters = f" with LoRA of rank {lora_rank}" if lora_rank is not None else ""
    return f"{weights or 'random weights'}{adapters}"


def _machines(record: Record, asked: Training, segments: Iterable[Mapping[str, Any]]) -> list[str]:
    """Name what trained each part of a run; only the trial knows how many nodes it asked for."""
    found = []
    for part in segments:
        if part["from_step"] >= record.step:  # for trials that went on from there
            continue
        count, engine = part["processes"], part.get("engine")
        text = part["device"]
        if count > 1:
            nodes = asked.nodes if asked.processes == count else 1
            text += f", {count} processes"
            text += f" on {nodes} nodes" if nodes > 1 else ""
            text += f" ({engine})" if engine else ""
        found.append(text)
    return found or ([record.device] if record.device else [])


def _millions(sizes: Collection[int]) -> str:
    ends = [size / 1e6 for size in (min(sizes), max(sizes))]
    return " to ".join(dict.fromkeys(f"{n:,.0f}" if n >= 100 else f"{n:.3g}" for n in ends))


def _listed(values: Iterable[str]) -> str:
    """List different values, at most `MOST_VALUES` of them."""
    different = list(dict.fromkeys(values))
    more = len(different) - MOST_VALUES
    rest = [f"{more} more"] if more > 0 else []
    return " / ".join(different[:MOST_VALUES] + rest)
