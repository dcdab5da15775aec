"""JSON schemas of the files in config/, for editors, made of what reads these files.

python docs/schemas.py

rewrites schemas/; a test fails while they are out of date. Studies and modules are read by pydantic
models, sweep files by tables of their keys. A schema refuses less than the reader: what depends on
several values, or on other files, is checked where it is read.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from resweep.study.find import KEYS as CONFIG_KEYS
from resweep.study.study_file import StudyFile
from resweep.sweep import early_terminate, load, read_parameter
from resweep.systems.registry import find_system, system_names

FOLDER = Path(__file__).parents[1] / "schemas"
DIALECT = "http://json-schema.org/draft-07/schema#"  # the newest that editors know well
KEYWORDS = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
    "prefixItems": "items",
}
# Keys that each kind of phase needs, though its model has a default to read a broken file on.
NEEDED = {
    "SweepFile": ["sweep"],
    "ResampleFile": ["of", "trials"],
    "RerunFile": ["of"],
    "FinetuneFile": ["of"],
}
WITH_LINES = "^[-+0-9.eE]*_[-+0-9._eE]*$"  # 1_000, a number to W&B
Schema = dict[str, Any]


def schemas() -> dict[str, Schema]:
    """Return all schemas by the names of their files."""
    sections = dict.fromkeys(
        section for system in system_names() for section in find_system(system).sections
    )
    made = {"config": config_schema(), "study": study_schema(), "sweep": sweep_schema()}
    made |= {section: section_schema(section) for section in sections}
    return {f"{name}.json": {"$schema": DIALECT, **schema} for name, schema in made.items()}


def config_schema() -> Schema:
    """Return the schema of config/config.yaml."""
    name = {"type": ["string", "number"]}
    kinds: dict[str, Schema] = {
        "study": name,
        "studies": {"type": "array", "items": name, "minItems": 1},
        "set": {"type": "object"},
    }
    assert kinds.keys() == set(CONFIG_KEYS)
    return {"title": "which studies are built", **mapping(kinds)}


def study_schema() -> Schema:
    """Return the schema of a study file."""
    schema = plain(StudyFile.model_json_schema())
    schema["properties"]["phases"]["minItems"] = 1
    for kind, keys in NEEDED.items():
        schema["$defs"][kind]["required"] = [*schema["$defs"][kind]["required"], *keys]
    return {**schema, "title": "a study"}


def section_schema(section: str) -> Schema:
    """Return the schema of a module: some keys of a section, of whichever system has them."""
    fields: dict[str, list[Schema]] = {}
    entries: Schema = {}
    is_open = False
    for name in system_names():
        model = find_system(name).sections.get(section)
        if model is not None:
            schema = plain(model.model_json_schema())
            for entry, content in schema.get("$defs", {}).items():
                assert entries.setdefault(entry, content) == content, f"{name}: another {entry}"
            is_open |= model.model_config["extra"] == "allow"
            for key, field in schema["properties"].items():
                if field not in fields.setdefault(key, []):
                    fields[key].append(field)
    either = {key: any_of(of) for key, of in fields.items()}
    defined = {"$defs": entries} if entries else {}
    title = f"the section {section}, or a part of it"
    return {"title": title, **mapping(either, others=is_open), **defined}


def plain(schema: Any) -> Any:
    """Return a schema of pydantic with JSON's keywords, without titles that repeat the keys."""
    if isinstance(schema, list):
        return [plain(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    found = {}
    for key, value in schema.items():
        if key == "properties":
            found[key] = {name: plain(field) for name, field in value.items()}
        elif key not in ("title", "discriminator"):
            found[KEYWORDS.get(key, key)] = plain(value)
    return found


def sweep_schema() -> Schema:
    """Return the schema of a sweep file: W&B's format, and the shorter one."""
    keys: dict[str, Schema] = {key: {"type": "string"} for key in load.PLAIN_KEYS}
    written = {"type": "string", "pattern": WITH_LINES}
    count = any_of([{"type": "integer", "minimum": 1}, written])
    keys |= {
        "kind": {"const": "sweep"},
        "run_cap": count,
        "num_runs": count,
        "seed": any_of([{"type": "integer", "minimum": 0}, written]),
        "controller": mapping({"type": {"enum": ["local", "cloud"]}}, ["type"], others=True),
        "method": {"enum": list(load.METHODS)},
        "strategy": {"enum": list(load.METHODS[:2])},
        "sampler": {"enum": [name for names in load.SAMPLERS.values() for name in names]},
        "parameters": {"$ref": "#/definitions/parameters"},
        "metric": metric_schema(),
        "metrics": {"not": {}},  # only W&B's own schedulers optimize several
        "scheduler": {"const": {"engine": "wandb"}},
        "command": {
            "type": "array",
            "minItems": 1,
            "items": {"type": ["string", "number", "boolean", "null"]},
        },
        "early_terminate": early_schema(),
    }
    assert keys.keys() == {*load.PLAIN_KEYS, *load.OTHER_KEYS}
    optional = {  # a key without a value is as if it were not there
        key: any_of([schema, {"type": "null"}]) if key not in ("parameters", "metrics") else schema
        for key, schema in keys.items()
    }
    samplers = [
        when("method", method, {"sampler": {"enum": [*load.SAMPLERS.get(method, ()), None]}})
        for method in load.METHODS
    ]
    return {
        "title": "a sweep, in W&B's format",
        **mapping(optional, ["parameters"], others=True),
        "oneOf": [
            {"required": ["method"]},
            {"required": ["strategy", "num_runs"]},
            {
                "required": ["strategy"],
                "properties": {"strategy": {"const": "grid"}},
                "not": {"required": ["num_runs"]},
            },
        ],
        "allOf": samplers,
        "definitions": {
            "parameters": parameters_schema(),
            "parameter": parameter_schema(),
            "number": any_of([{"type": "number"}, written]),
        },
    }


def parameters_schema() -> Schema:
    """Return the schema of a level of parameters."""
    nested = mapping({"parameters": {"$ref": "#/definitions/parameters"}}, ["parameters"])
    has_nested = {"required": ["parameters"]}
    entry = {"if": has_nested, "then": nested, "else": {"$ref": "#/definitions/parameter"}}
    return {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": f"^({read_parameter.NAME.pattern})$"},
        "additionalProperties": {"type": "object", **entry},
    }


def parameter_schema() -> Schema:
    """Return the schema of a parameter: the keys of its distribution, and no others."""
    number = {"$ref": "#/definitions/number"}
    kinds: dict[str, Schema] = {key: number for key in read_parameter.NUMBERS}
    some = {"type": "array", "minItems": 1}
    kinds |= {"value": {}, "values": some, "probabilities": {**some, "items": number}}
    rules = []
    for name, (needed, optional) in read_parameter.KEYS.items():
        keys = {key: kinds[key] for key in (*needed, *optional)}
        rules.append(when("distribution", name, {"distribution": {}, **keys}, needed, closed=True))
    inferred = [("value",), ("values",), ("values", "probabilities"), ("min", "max")]
    rules.append(
        {
            "if": {"not": {"required": ["distribution"]}},
            "then": any_of(mapping({key: kinds[key] for key in keys}, keys) for keys in inferred),
        }
    )
    known = {"enum": list(read_parameter.KEYS)}
    return {"type": "object", "properties": {"distribution": known}, "allOf": rules}


def metric_schema() -> Schema:
    """Return the schema of the metric."""
    imputed = {"enum": list(load.IMPUTED)}
    kinds: dict[str, Schema] = {
        "name": {"type": "string", "minLength": 1},
        "goal": {"enum": ["minimize", "maximize", None]},
        "target": {"type": ["number", "string"]},
        "impute": imputed,
        "impute_while_running": {"enum": [*load.IMPUTED, "false", False]},
    }
    assert kinds.keys() == set(load.METRIC_KEYS)
    return mapping(kinds, ["name"])


def early_schema() -> Schema:
    """Return the schema of early_terminate."""
    whole = {"type": ["integer", "string"], "exclusiveMinimum": 0}
    kinds: dict[str, Schema] = dict.fromkeys(early_terminate.WHOLE, whole)
    kinds |= {"eta": {"type": ["number", "string"], "exclusiveMinimum": 1}}
    kinds |= {"strict": {"type": ["boolean", "string"]}, "type": {}}
    needed = {"one_cut": ("min_iter", "keep")}
    rules = [
        when("type", kind, {key: kinds[key] for key in keys}, needed.get(kind, ()), closed=True)
        for kind, keys in early_terminate.KEYS.items()
    ]
    placed = any_of([{"required": ["min_iter"]}, {"required": ["max_iter", "s"]}])
    known = {"type": {"enum": list(early_terminate.KEYS)}}
    return {**mapping(known, ["type"], others=True), "allOf": [*rules, placed]}


def mapping(keys: Mapping[str, Schema], needed: Iterable[str] = (), others: bool = False) -> Schema:
    """Return the schema of a mapping; `others`: whether it may have other keys."""
    return {
        "type": "object",
        "properties": dict(keys),
        "required": list(needed),
        "additionalProperties": others,
    }


def when(
    key: str,
    value: str,
    keys: Mapping[str, Schema],
    needed: Iterable[str] = (),
    closed: bool = False,
) -> Schema:
    """Return a rule for mappings that have a value at a key; `closed`: with no other keys."""
    then = {"properties": dict(keys), "required": list(needed)}
    return {
        "if": {"properties": {key: {"const": value}}, "required": [key]},
        "then": {**then, "additionalProperties": False} if closed else then,
    }


def any_of(options: Iterable[Schema]) -> Schema:
    """Return a schema that one of several has to allow."""
    found = list(options)
    return found[0] if len(found) == 1 else {"anyOf": found}


def text(schema: Schema) -> str:
    """Return a schema as it is written."""
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, schema in schemas().items():
        (FOLDER / name).write_text(text(schema))
