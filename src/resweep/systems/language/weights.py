"""Weights that a language model starts from: where they are, and whether they fit.

run.checkpoint       RUN_ID, RUN_ID/STEP (found by the store), or a folder of transformers
model.name_or_path   a folder, or a name on the Hugging Face hub
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resweep.config.nesting import assign_paths, leaves
from resweep.errors import ConfigError, Problem, StoreError
from resweep.systems.language.folder import is_dropout, weight_files
from resweep.systems.language.hub import one_line, why_offline
from resweep.systems.language.token_data import TokenData
from resweep.systems.system import CHECKPOINT, Weights

NAME_OR_PATH = "model.name_or_path"
# Of config.json: how it was made or is run, and not what it computes.
NO_ARCHITECTURE = frozenset(
    {
        "_name_or_path",
        "architectures",
        "auto_map",
        "dtype",
        "torch_dtype",
        "transformers_version",
        "use_cache",
    }
)
_HUB = re.compile(r"(?!.*\.\.)\w[\w.-]*(/\w[\w.-]*)?")


def weights_named(config: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the key that names weights to start from, and the name; the first one counts."""
    for section, field in (CHECKPOINT.split("."), NAME_OR_PATH.split(".")):
        name = config[section].get(field)
        if name is not None:
            return f"{section}.{field}", str(name)
    return CHECKPOINT, None


def locate(key: str, name: str) -> Path | None:
    """Return the folder that a name means, there or not; None for what the hub has not given."""
    if key == NAME_OR_PATH and is_hub_name(name):
        return _snapshot(name, download=False)
    return Path(name).expanduser().absolute()


def is_hub_name(name: str) -> bool:
    """Whether a name can only be one on the Hugging Face hub."""
    return not Path(name).is_dir() and _HUB.fullmatch(name) is not None


def fetch(config: Mapping[str, Any]) -> None:
    """Download weights that only the hub has.

    Raises:
        StoreError: It cannot be reached, or does not know the name.
    """
    key, name = weights_named(config)
    if name is not None and key == NAME_OR_PATH and is_hub_name(name):
        _snapshot(name, download=True)


def fit_model(resolved: dict[str, Any], weights: Weights | None) -> None:
    """Write into a configuration what weights say of the architecture.

    Raises:
        ConfigError: They do not fit the model.
    """
    model = resolved["model"]
    for key, value in model.get("config", {}).items():
        if is_dropout(key):
            raise _problem(f"model.config.{key}", value, "is what model.dropout says; drop it")
    if weights is None:
        return
    if model["kind"] == "hf":
        there = weights.config.get("model_type")
        wanted = model["config"].get("model_type", there)
        if wanted != there:
            hint = f"is {there!r} in {weights.folder}"
            raise _problem("model.config.model_type", wanted, hint)
        model["config"] = assign_paths(_architecture(weights), dict(leaves(model["config"])))
    else:
        _require_gpt2(model, weights)


def _architecture(weights: Weights) -> dict[str, Any]:
    """Return what config.json says of the numbers; dropout is the training's to say."""
    odd = NO_ARCHITECTURE
    return {k: v for k, v in weights.config.items() if k not in odd and not is_dropout(k)}


def _require_gpt2(model: Mapping[str, Any], weights: Weights) -> None:
    """Refuse weights of another architecture or shape than our GPT has.

    Raises:
        ConfigError: What to set.
    """
    there = weights.config
    if there.get("model_type") != "gpt2":
        hint = f"is gpt2, but {weights.folder} holds {there.get('model_type')!r}; set kind: hf"
        raise _problem("model.kind", model["kind"], hint)
    for key in ("n_layer", "n_head", "n_embd"):
        if model[key] != there[key]:
            raise _problem(f"model.{key}", model[key], f"is {there[key]} in {weights.folder}")
    if model["context_length"] > there["n_positions"]:
        hint = f"is more than the {there['n_positions']} positions in {weights.folder}"
        raise _problem("model.context_length", model["context_length"], hint)
    fixed = {
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "layer_norm_epsilon": (1e-5,),
        "n_inner": (None, 4 * model["n_embd"]),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "tie_word_embeddings": (True,),
    }
    for key, fitting in fixed.items():
        if there.get(key, fitting[0]) not in fitting:
            hint = f"computes otherwise than {weights.folder}, where {key} is {there[key]!r}; "
            raise _problem("model.kind", model["kind"], f"{hint}set kind: hf")


def compare_tokens(resolved: Mapping[str, Any], data: TokenData) -> str | None:
    """Return a warning where weights know other tokens than those of the data, if both say.

    Both lie beside a `tokenizer.json` where tokens are not bytes.
    """
    if resolved["run"]["weights"] is None:
        return None
    theirs, ours = (
        folder / "tokenizer.json" for folder in (Path(resolved["run"]["checkpoint"]), data.folder)
    )
    if not theirs.is_file() or (ours.is_file() and _vocabulary(ours) == _vocabulary(theirs)):
        return None
    return (
        f"the weights know the tokens of {theirs}, and the data has others; to train on theirs set "
        f"data.tokens: tokenizer and data.tokenizer: {theirs.parent}"
    )


def _vocabulary(file: Path) -> Any:
    return json.loads(file.read_text())["model"].get("vocab")


def _snapshot(name: str, download: bool) -> Path | None:
    """Return the local copy of a model of the hub; None where it is not there and may not be got.

    Raises:
        StoreError: It cannot be downloaded.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    def get(patterns: list[str], local: bool) -> Path:
        return Path(
            snapshot_download(
                name, allow_patterns=patterns, ignore_patterns=["*/*"], local_files_only=local
            )
        )

    small = ["*.json", "*.txt", "*.model"]
    try:
        folder = get(small, local=True)
        if weight_files(folder) and all(file.exists() for file in weight_files(folder)):
            return folder
    except LocalEntryNotFoundError:
        pass
    if not download:
        return None
    reason = why_offline()
    try:
        if reason is None:
            folder = get([*small, "*.safetensors"], local=False)
            if not weight_files(folder):
                folder = get([*small, "pytorch_model*.bin"], local=False)
            return folder
    except (HfHubHTTPError, OSError) as error:
        reason = one_line(error)
    raise StoreError(
        f"{NAME_OR_PATH} = {name!r}: is not a folder here, and cannot be downloaded from the "
        f"Hugging Face hub ({reason}); run this once with a network, or give a folder"
    )


def _problem(key: str, value: Any, hint: str) -> ConfigError:
    return ConfigError(Problem("trial", key, value, hint))
