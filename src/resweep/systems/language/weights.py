"""Initial weights of a language model: finding them, and checking that they fit.

run.checkpoint       RUN_ID, RUN_ID/STEP (resolved by the store), or a model folder
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
from resweep.systems.system import CHECKPOINT
from resweep.systems.values import Weights

NAME_OR_PATH = "model.name_or_path"
# Keys of config.json that do not affect what the model computes.
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
    """Return the key that names initial weights, and the name; the first one set counts."""
    for section, field in (CHECKPOINT.split("."), NAME_OR_PATH.split(".")):
        name = config[section].get(field)
        if name is not None:
            return f"{section}.{field}", str(name)
    return CHECKPOINT, None


def locate(key: str, name: str) -> Path | None:
    """Return the folder of a name, existing or not; None for hub models not downloaded yet."""
    if key == NAME_OR_PATH and is_hub_name(name):
        return _snapshot(name, download=False)
    return Path(name).expanduser().absolute()


def is_hub_name(name: str) -> bool:
    """Whether a name can only be one on the Hugging Face hub."""
    return not Path(name).is_dir() and _HUB.fullmatch(name) is not None


def fetch(config: Mapping[str, Any]) -> None:
    """Download weights from the hub.

    Raises:
        StoreError: The hub cannot be reached, or does not know the name.
    """
    key, name = weights_named(config)
    if name is not None and key == NAME_OR_PATH and is_hub_name(name):
        _snapshot(name, download=True)


def fit_model(resolved: dict[str, Any], weights: Weights | None) -> None:
    """Copy the architecture of the weights into a configuration.

    Raises:
        ConfigError: They do not fit the model.
    """
    model = resolved["model"]
    for key, value in model.get("config", {}).items():
        if is_dropout(key):
            raise _problem(f"model.config.{key}", value, "remove it, and set model.dropout")
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
    """Return the keys of config.json that define the architecture; dropout is set elsewhere."""
    return {
        key: value
        for key, value in weights.config.items()
        if key not in NO_ARCHITECTURE and not is_dropout(key)
    }


def _require_gpt2(model: Mapping[str, Any], weights: Weights) -> None:
    """Check that weights have the architecture and shape of our GPT.

    Raises:
        ConfigError: They do not; says what to set.
    """
    there = weights.config
    if there.get("model_type") != "gpt2":
        hint = f"is gpt2, but {weights.folder} holds {there.get('model_type')!r}; set kind: hf"
        raise _problem("model.kind", model["kind"], hint)
    for key in ("n_layer", "n_head", "n_embd"):
        if model[key] != there[key]:
            raise _problem(f"model.{key}", model[key], f"is {there[key]} in {weights.folder}")
    if model["context_length"] > there["n_positions"]:
        hint = f"should be at most {there['n_positions']}, the positions of {weights.folder}"
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
            hint = f"does not support {key} = {there[key]!r} of {weights.folder}; set kind: hf"
            raise _problem("model.kind", model["kind"], hint)


def compare_tokens(resolved: Mapping[str, Any], data: TokenData) -> str | None:
    """Return a warning if weights and data have different tokenizers.

    Compares their `tokenizer.json`, which both have unless tokens are bytes.
    """
    if resolved["run"]["weights"] is None:
        return None
    theirs, ours = (
        folder / "tokenizer.json" for folder in (Path(resolved["run"]["checkpoint"]), data.folder)
    )
    if not theirs.is_file() or (ours.is_file() and _vocabulary(ours) == _vocabulary(theirs)):
        return None
    return (
        f"the weights use the tokenizer {theirs}, but the data uses another; to use theirs, set "
        f"data.tokens: tokenizer and data.tokenizer: {theirs.parent}"
    )


def _vocabulary(file: Path) -> Any:
    return json.loads(file.read_text())["model"].get("vocab")


def _snapshot(name: str, download: bool) -> Path | None:
    """Return the local copy of a hub model; None if there is none and `download` is false.

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
        f"{NAME_OR_PATH} = {name!r}: not a local folder, and cannot be downloaded from the Hugging "
        f"Face hub ({reason}); run this once with network access, or give a folder"
    )


def _problem(key: str, value: Any, hint: str) -> ConfigError:
    return ConfigError(Problem("trial", key, value, hint))
