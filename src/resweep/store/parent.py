"""The weights that a run starts from: where they are, and what they are.

    run.checkpoint       RUN_ID, RUN_ID/STEP, or a folder as transformers writes them
    model.name_or_path   a folder, or a name on the Hugging Face hub

Their place is no part of a run; their digest is, and what config.json says of the architecture.
Both are noted in `results/weights/`: planning hashes no file twice, and runs keep their names after
the weights that they came from were pruned.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resweep.canonical import digest, file_digest
from resweep.config.nesting import assign_paths, leaves
from resweep.data.store import Prepared
from resweep.errors import ConfigError, Problem, StoreError
from resweep.paths import Layout, write_atomically
from resweep.store import checkpoints as checkpoint
from resweep.systems.language.folder import CONFIG, WEIGHTS, is_dropout, read_config, weight_files
from resweep.systems.language.hub import one_line, why_offline

NAMES = ("run.checkpoint", "model.name_or_path")  # the first one given counts
# Of config.json: what tells how it was made or is run, and not what it computes.
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
_RUN = re.compile(r"([0-9a-f]{12})(?:/(0|[1-9]\d*))?")
_HUB = re.compile(r"(?!.*\.\.)\w[\w.-]*(/\w[\w.-]*)?")


@dataclass(frozen=True)
class Parent:
    """Weights to start from.

    Attributes:
        folder: Where they are, or were.
        digest: SHA-256 of the weights.
        config: Their config.json.
    """

    folder: Path
    digest: str
    config: dict[str, Any]

    @property
    def architecture(self) -> dict[str, Any]:
        """What config.json says of the numbers; dropout is the training's to say."""
        odd = NO_ARCHITECTURE
        return {k: v for k, v in self.config.items() if k not in odd and not is_dropout(k)}


def find_parent(config: Mapping[str, Any], layout: Layout) -> Parent | None:
    """Return the weights that a configuration starts from, or None where it names none.

    Raises:
        StoreError: They are not there, and never were seen.
    """
    key, name = _named(config)
    if name is None:
        return None
    folder = _locate(key, name, layout)
    # A hub's name stands for what is in its cache now; that may be elsewhere tomorrow.
    note = layout.weights(digest(str(folder) if folder is not None else name, 12))
    known = json.loads(note.read_text()) if note.is_file() else None
    files = [*weight_files(folder), folder / CONFIG] if folder is not None else []
    if folder is None or len(files) < 2 or not all(file.is_file() for file in files):
        if known is None:
            raise StoreError(_missing(key, name, folder, layout))
        return Parent(Path(known["folder"]), known["digest"], known["config"])
    status = {file.name: file.stat() for file in files}
    seen = {file: [found.st_size, found.st_mtime_ns] for file, found in status.items()}
    if known is None or known["files"] != seen:
        content = _digest_of(folder, files[:-1])
        known = {"folder": str(folder), "files": seen, "digest": content}
        known["config"] = read_config(folder)
        write_atomically(note, json.dumps(known, indent=2) + "\n")
    if key == NAMES[1]:
        write_atomically(layout.weights(digest(name, 12)), json.dumps(known, indent=2) + "\n")
    return Parent(folder, known["digest"], known["config"])


def _named(config: Mapping[str, Any]) -> tuple[str, str | None]:
    for key in NAMES:
        section, _, field = key.partition(".")
        name = config[section].get(field)
        if name is not None:
            return key, str(name)
    return NAMES[0], None


def _locate(key: str, name: str, layout: Layout) -> Path | None:
    """Return the folder that a name means, there or not; None for what the hub has not given."""
    if key == NAMES[0]:
        run = _RUN.fullmatch(name)
        if run:
            last = "final_checkpoint" if run[2] is None else checkpoint.folder_name(int(run[2]))
            return (layout.run(run[1]) / last).absolute()
    elif _is_hub_name(name):
        return _snapshot(name, download=False)
    return Path(name).expanduser().absolute()


def _is_hub_name(name: str) -> bool:
    return not Path(name).is_dir() and _HUB.fullmatch(name) is not None


def _digest_of(folder: Path, files: list[Path]) -> str:
    """Digest of a folder's weights; what a checkpoint of ours says of itself is believed."""
    if (folder / checkpoint.DIGESTS).is_file():
        return checkpoint.weights_digest(folder)
    return _computed_digest(files)


def _computed_digest(files: list[Path]) -> str:
    """SHA-256 of the one file, or of the names and digests of several."""
    digests = {file.name: file_digest(file) for file in files}
    return digests[files[0].name] if len(files) == 1 else digest(digests)


def _missing(key: str, name: str, folder: Path | None, layout: Layout) -> str:
    if folder is None:
        why = "is no folder, and not downloaded from the Hugging Face hub; a training fetches it"
    elif key == NAMES[0] and (run := _RUN.fullmatch(name)):
        why = _missing_of_run(layout.run(run[1]))
    elif not folder.is_dir():
        why = f"{folder} is not there; give a folder of a model"
        why += ", RUN_ID or RUN_ID/STEP" if key == NAMES[0] else " or a name on the hub"
    else:
        why = f"{folder} holds no model; it should have {CONFIG} and {WEIGHTS}"
    return f"{key} = {name!r}: {why}"


def _missing_of_run(run: Path) -> str:
    if not run.is_dir():
        return f"there is no run {run}; `results/runs.csv` and reports name those that there are"
    steps = ", ".join(map(str, checkpoint.steps_of(run)))
    if steps:
        return f"run {run.name} has no such checkpoint, but those of steps {steps}"
    return f"run {run.name} has no weights any more; train it again with keep: all"


def fill_in_parent(resolved: dict[str, Any], layout: Layout) -> Parent | None:
    """Write into a configuration what its weights to start from are: folder, digest, architecture.

    Raises:
        ConfigError: They are not those asked for, or do not fit the model.
        StoreError: They are not there, and never were seen.
    """
    parent = find_parent(resolved, layout)
    model, run = resolved["model"], resolved["run"]
    for key, value in model.get("config", {}).items():
        if is_dropout(key):
            raise _problem(f"model.config.{key}", value, "is what model.dropout says; drop it")
    if run["weights"] not in (None, parent and parent.digest):
        found = f"those of {parent.folder} have {parent.digest}" if parent else "there are none"
        raise _problem("run.weights", run["weights"], f"should be the digest of weights; {found}")
    if parent is None:
        return None
    run |= {"checkpoint": str(parent.folder), "weights": parent.digest}
    if model["kind"] == "hf":
        wanted = model["config"].get("model_type", parent.config.get("model_type"))
        if wanted != parent.config.get("model_type"):
            mend = f"is {parent.config.get('model_type')!r} in {parent.folder}"
            raise _problem("model.config.model_type", wanted, mend)
        model["config"] = assign_paths(parent.architecture, dict(leaves(model["config"])))
    else:
        _require_gpt2(model, parent)
    return parent


def _require_gpt2(model: Mapping[str, Any], parent: Parent) -> None:
    """Refuse weights of another architecture or shape than our GPT has.

    Raises:
        ConfigError: What to set.
    """
    there = parent.config
    if there.get("model_type") != "gpt2":
        mend = f"is gpt2, but {parent.folder} holds {there.get('model_type')!r}; set kind: hf"
        raise _problem("model.kind", model["kind"], mend)
    for key in ("n_layer", "n_head", "n_embd"):
        if model[key] != there[key]:
            raise _problem(f"model.{key}", model[key], f"is {there[key]} in {parent.folder}")
    if model["context_length"] > there["n_positions"]:
        mend = f"is more than the {there['n_positions']} positions in {parent.folder}"
        raise _problem("model.context_length", model["context_length"], mend)
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
            mend = f"computes otherwise than {parent.folder}, where {key} is {there[key]!r}; "
            raise _problem("model.kind", model["kind"], f"{mend}set kind: hf")


def require_parent(resolved: Mapping[str, Any]) -> None:
    """Refuse to train without the weights to start from, or from others than were planned with.

    Raises:
        StoreError: Names the folder and what to do.
    """
    digest_of_weights = resolved["run"]["weights"]
    if digest_of_weights is None:
        return
    folder = Path(resolved["run"]["checkpoint"])
    files = weight_files(folder)
    if not files or not all(file.is_file() for file in files):
        raise StoreError(
            f"{folder}: the weights to start from are gone; bring them back (a run: train it again "
            "with keep: all; of the hub: hf download), or set run.checkpoint to where they are"
        )
    if _computed_digest(files) != digest_of_weights:
        raise StoreError(f"{folder}: the weights are not as they were when this was planned")


def compare_tokens(resolved: Mapping[str, Any], data: Prepared) -> str | None:
    """Return a warning where weights know other tokens than those of the data, as far as is told.

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


def fetch_parent(config: Mapping[str, Any], layout: Layout) -> None:
    """Download weights that only the hub has, and that were never seen here.

    Raises:
        StoreError: It cannot be reached, or does not know the name.
    """
    key, name = _named(config)
    if name is None or key != NAMES[1] or not _is_hub_name(name):
        return
    if not layout.weights(digest(name, 12)).is_file():
        _snapshot(name, download=True)


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
        f"model.name_or_path = {name!r}: is no folder here, and cannot be downloaded from the "
        f"Hugging Face hub ({reason}); run this once with a network, or give a folder"
    )


def _problem(key: str, value: Any, mend: str) -> ConfigError:
    return ConfigError(Problem("trial", key, value, mend))
