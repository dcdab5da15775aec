"""Configurations of experiments: model, data, training and run in one file.

    model.name: gpt2                    model.n_layer, n_head, n_embd, dropout, vocab_size
    data.dataset_path, dataset_size     data.source, paths, val_paths, test_paths
    training.correct_bias: true         nothing: AdamW always corrects the bias of its moments
    run.init_type                       initialization.init_type

All other keys are fields of the same name, or else hyperparameters of the user's own, unless they
look like a misspelling or another trainer's name of a field.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from resweep import yaml12
from resweep.canonical import canonical_json
from resweep.config.compose import ALTERNATIVES, resolve_name
from resweep.config.nesting import PathError, find, leaves, nest, path_fault
from resweep.config.own_names import is_own, is_taken
from resweep.config.schema import Schema
from resweep.config.spelling import misspellings, nearest
from resweep.config.synonyms import fields_meant
from resweep.config.training_section import Training
from resweep.config.translated import Translated
from resweep.data.store import Prepared
from resweep.errors import ConfigError, Problem
from resweep.plurals import counted
from resweep.systems.language.dataset_folder import DATASET_PATH, DATASET_SIZE, find_dataset
from resweep.systems.language.system import SYSTEM
from resweep.training.schedule import explain_schedule

NAME = "model.name"
CORRECT_BIAS = "training.correct_bias"
INIT_TYPE = "run.init_type"
OWN = "own"
# Keys that are not fields of ours, or mean more than the field of this name.
TRANSLATED = (NAME, DATASET_SIZE, DATASET_PATH, CORRECT_BIAS, INIT_TYPE)
RENAMED = {INIT_TYPE: "initialization.init_type"}
SHORT = {key.rpartition(".")[2]: key for key in TRANSLATED if key not in (NAME, INIT_TYPE)}
# Layers, heads and width, as in the config.json of these models.
SIZES = {
    "distilgpt2": (6, 12, 768),
    "gpt2": (12, 12, 768),
    "gpt2-medium": (24, 16, 1024),
    "gpt2-large": (36, 20, 1280),
    "gpt2-xl": (48, 25, 1600),
}
DEFAULT = "gpt2"
VOCABULARY = 50257
DROPOUT = 0.1
SCHEDULE = ("warmup_steps", "pct_warmup", "scheduler", "decay_fraction")
# What a sweep of a key would have to be instead.
NOT_SWEPT = {
    NAME: "sets several fields; sweep n_layer, n_head or n_embd, or run one sweep for each name",
    DATASET_SIZE: "names other files for each value; run one sweep for each",
    DATASET_PATH: "names other files for each value; run one sweep for each",
    CORRECT_BIAS: "can only be true",
}


def read_experiment(path: Path, changes: Mapping[str, Any] | None = None) -> Translated:
    """Read a configuration.

    Args:
        path: The file.
        changes: Values above those of the file: key -> value.

    Raises:
        ConfigError: All of its keys that are misspelt, and values that cannot be translated.
    """
    content = yaml12.load_mapping(path)
    origin = str(path)
    own = content.pop(OWN, None) or []
    if not isinstance(own, list) or not all(isinstance(name, str) for name in own):
        raise ConfigError(Problem(origin, OWN, own, "should be a list of names"))
    sections = SYSTEM.schema.sections
    given: dict[str, Any] = {}
    problems = []
    for key, value in leaves(content):
        if key in sections and value in (None, {}):  # it sets nothing
            continue
        path_of_key = _full(key, own)
        if path_of_key in given:
            hint = f"sets {path_of_key}, which is set too; remove one"
            problems.append(Problem(origin, key, value, hint))
        given[path_of_key] = value
    above = {_full(key, own): value for key, value in (changes or {}).items()}
    unset = {ALTERNATIVES.get(path) for path, value in above.items() if value is not None}
    given = {path: value for path, value in given.items() if path not in unset} | above
    problems += _wrong_names(given, origin, own)
    values, keys, wrong = _translate(given, origin)
    problems += wrong
    if problems:
        raise ConfigError(problems)
    schema = SYSTEM.schema
    unread = [
        key
        for key in values
        if not schema.is_known(key) and not is_taken(key, schema) and path_fault(key) is None
    ]
    return Translated(origin=origin, values=values, own=(*own, *unread), keys=keys)


def read_sweep_parameters(
    parameters: Mapping[str, Any], origin: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters of a sweep under the names of our fields, and what it fixes.

    Args:
        parameters: Those of the file, of any nesting.
        origin: The file.

    Returns:
        The parameters by path, and the values of keys that are translated with the configuration.

    Raises:
        ConfigError: Keys that cannot be swept, or are misspelt.
    """
    swept: dict[str, Any] = {}
    fixed: dict[str, Any] = {}
    problems = []
    for name, entry in _flat(parameters):
        key = _full(name, [])
        meant = _translated_meant(key, SYSTEM.schema)
        if meant is not None:
            problems.append(Problem(origin, f"parameters.{name}", None, f"did you mean {meant}?"))
        elif key in RENAMED or key not in TRANSLATED:
            path = RENAMED.get(key, key)
            if path in swept:
                hint = f"sets {path}, which another parameter sets too; remove one"
                problems.append(Problem(origin, f"parameters.{name}", None, hint))
            swept[path] = entry
        elif "value" in entry:
            fixed[key] = entry["value"]
        elif isinstance(entry.get("values"), list) and len(entry["values"]) == 1:
            fixed[key] = entry["values"][0]
        else:
            problems.append(Problem(origin, f"parameters.{name}", None, NOT_SWEPT[key]))
    if problems:
        raise ConfigError(problems)
    return swept, fixed


def _full(key: str, own: list[str]) -> str:
    """Return the full path of a key; of an ambiguous one, and of one that is none, the key."""
    if key in SHORT:
        return SHORT[key]
    try:
        return resolve_name(key, {}, SYSTEM.schema, own)
    except ValueError:  # reported when the study is read
        return key


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Yield the parameters of all groups by their paths."""
    for name, entry in parameters.items():
        if isinstance(entry, Mapping) and isinstance(entry.get("parameters"), Mapping):
            yield from _flat(entry["parameters"], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", entry if isinstance(entry, Mapping) else {"value": entry}


def _wrong_names(given: Mapping[str, Any], origin: str, own: list[str]) -> list[Problem]:
    """Return a problem for each name that is probably meant for another."""
    schema = SYSTEM.schema
    unknown = {key: value for key, value in given.items() if key not in TRANSLATED}
    try:
        found = {path: hint for path, _, hint in misspellings(nest(unknown), schema, own)}
    except PathError as error:
        return [Problem(origin, error.path, None, error.hint)]
    for key in unknown:
        section = key.partition(".")[0]
        known = schema.is_known(key) or is_taken(key, schema) or is_own(key, own)
        if known or section in found or path_fault(key) is not None:
            continue
        translated = _translated_meant(key, schema)
        meant = (translated,) if translated else fields_meant(key, schema)
        if meant:
            accept = f"to accept it as a hyperparameter of your own, add own: [{key}] to {origin}"
            found[key] = f"is not a field; did you mean {' or '.join(meant)}? Or, {accept}"
    plain = Translated(origin=origin, values={})
    nested = nest(unknown)
    return [plain.of(Problem(origin, key, find(nested, key), hint)) for key, hint in found.items()]


def _translated_meant(key: str, schema: Schema) -> str | None:
    """Return the translated key that another is a misspelling of, or has in another section."""
    if key in TRANSLATED or schema.is_known(key):
        return None
    section, _, name = key.rpartition(".")
    for translated in TRANSLATED:
        place, _, short = translated.rpartition(".")
        near = section in (place, "") and nearest(name, [short])
        if translated != NAME and (name == short or near):
            return translated
    return None


def _translate(
    given: Mapping[str, Any], origin: str
) -> tuple[dict[str, Any], dict[str, str], list[Problem]]:
    """Return the values by path, the keys that they stand for, and what is wrong."""
    values = {key: value for key, value in given.items() if key not in TRANSLATED}
    keys = {path: key for key, path in RENAMED.items() if path not in values}
    problems: list[Problem] = []

    def put(found: Mapping[str, Any], key: str) -> None:
        for path, value in found.items():
            if path not in values:
                values[path], keys[path] = value, key

    for key, path in RENAMED.items():
        if key in given and path in values:
            hint = f"means the same as {path}; remove one"
            problems.append(Problem(origin, key, given[key], hint))
        elif key in given:
            put({path: given[key]}, key)
    is_gpt = values.get("model.kind", "gpt") == "gpt"
    name = given.get(NAME, DEFAULT if is_gpt else None)
    values[NAME] = name
    if is_gpt:
        if isinstance(name, str) and name in SIZES:
            put(_architecture(name), NAME)
        else:
            known = ", ".join(SIZES)
            hint = f"should be one of {known}; for another size, set n_layer, n_head and n_embd too"
            problems.append(Problem(origin, NAME, name, hint))
    if given.get(CORRECT_BIAS, True) is not True:
        hint = (
            "can only be true: AdamW corrects the bias of its moments here; set true, or remove it"
        )
        problems.append(Problem(origin, CORRECT_BIAS, given[CORRECT_BIAS], hint))
    try:
        put(find_dataset(given, origin), DATASET_PATH)
    except ConfigError as error:
        problems += error.problems
    if "data.tokens" not in values:
        put({"data.tokens": "bpe", "data.bpe_vocab_size": VOCABULARY}, "data.tokens")
    return values, keys, problems


def _architecture(name: str) -> dict[str, Any]:
    n_layer, n_head, n_embd = SIZES[name]
    return {
        "model.n_layer": n_layer,
        "model.n_head": n_head,
        "model.n_embd": n_embd,
        "model.vocab_size": VOCABULARY,
        "model.dropout": DROPOUT,
    }


def explain(config: Mapping[str, Any], data: Prepared | None) -> list[str]:
    """Return what a complete configuration comes to: text, model, start, steps.

    Args:
        config: The configuration.
        data: Its data, if it is prepared: the number of steps follows from it.
    """
    model, text, start = config["model"], config["data"], config["run"]["checkpoint"]
    training = Training.model_validate(config["training"])
    if text["val_paths"]:
        named = (("training", "paths"), ("validation", "val_paths"), ("test", "test_paths"))
        parts = [f"{name} {', '.join(text[key])}" for name, key in named if text[key]]
    else:
        read = ", ".join(text["paths"]) or text["source"]
        parts = [
            f"{read}, of it {text['val_fraction']:.0%} for validation and "
            f"{text['test_fraction']:.0%} for test"
        ]
    lines = [f"text: {'; '.join(parts)}"]
    if model["kind"] == "gpt":
        layers, heads = counted(model["n_layer"], "layer"), counted(model["n_head"], "head")
        lines.append(f"model: {model['name']}, {layers}, {heads}, width {model['n_embd']}")
    if start is not None and not config["run"]["resume"]:
        lines.append(f"start: the weights of {start}; run.resume: true continues its optimizer too")
    lines.append(_step(training, model["context_length"]))
    steps = training.max_steps or (None if data is None else SYSTEM.steps_of(config, data))
    if steps is not None:
        epochs = (
            "" if training.num_epochs is None else f" in {counted(training.num_epochs, 'epoch')}"
        )
        lines.append(f"run: {counted(steps, 'step')}{epochs}")
        schedule = {name: config["training"][name] for name in SCHEDULE}
        lines += [note for _, note in explain_schedule(**schedule, max_steps=steps)]
    return lines


def own_line(config: Translated) -> list[str]:
    """Return a line that names the user's own hyperparameters; none where there are none."""
    named = ", ".join(config.own)
    return [f"your own hyperparameters, columns of runs.csv: {named}"] if named else []


def _step(training: Training, context_length: int) -> str:
    """Return what an optimizer step is made of."""
    sequences = training.batch_size * training.gradient_accumulation_steps
    here = sequences // training.processes
    at_once = min(training.batch_size, training.max_gpu_batch_size or sequences, here)
    passes = -(-here // at_once)
    return (
        f"step: {sequences} sequences of {context_length} tokens (batch_size {training.batch_size} "
        f"x gradient_accumulation_steps {training.gradient_accumulation_steps}), {at_once} at once "
        f"on a device (max_gpu_batch_size {canonical_json(training.max_gpu_batch_size)}): "
        f"{counted(passes, 'forward')}"
    )
