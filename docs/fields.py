"""The tables of fields in the pages of docs/, made of the pydantic models.

python docs/fields.py

rewrites them between their marks; a test fails while they are out of date. Of a kind of phase, or a
system's section of training, a table has what is not in the shared one.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from resweep.config.section import LABEL, LARGEST, MOST, MOST_SIZE
from resweep.config.training_section import Training
from resweep.study.kinds.registry import KINDS, kind_name
from resweep.study.notify import Notify
from resweep.study.phase_file import PhaseFile
from resweep.study.schema import Budget, Publish, Resources, Score, Tracking
from resweep.study.study_file import StudyFile
from resweep.systems.loop_transformer.sections import Stage, State
from resweep.systems.registry import find_system

PAGES = sorted(Path(__file__).parent.glob("*.md"))
PATHSTAR = find_system("pathstar").sections
LOOP = find_system("loop_transformer").sections
PREDICTIVE_CODING = find_system("predictive_coding").sections
MODELS: dict[str, type[BaseModel]] = {
    "study": StudyFile,
    "phase": PhaseFile,
    **{f"{kind_name(kind)}_phase": kind for kind in KINDS},
    "score": Score,
    "tracking": Tracking,
    "publish": Publish,
    "resources": Resources,
    "budget": Budget,
    "notify": Notify,
    **find_system().sections,
    **{f"pathstar_{name}": PATHSTAR[name] for name in ("data", "model", "training")},
    **{f"loop_{name}": LOOP[name] for name in ("data", "arch", "training")},
    "loop_stage": Stage,
    "loop_state": State,
    **{
        f"predictive_coding_{name}": PREDICTIVE_CODING[name]
        for name in ("data", "model", "inference", "training")
    },
}
BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
NAMES = {
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "string": "text",
    "object": "mapping",
}
NO_BOUNDS = (2**63, MOST, -MOST, MOST_SIZE, LARGEST, -LARGEST)  # nobody means to go there


def with_tables(text: str) -> str:
    """Return the page with all its tables as the models are now."""
    return re.sub(
        r"(<!-- fields: (\w+) -->\n).*?(<!-- end -->)",
        lambda found: found[1] + table(MODELS[found[2]]) + found[3],
        text,
        flags=re.DOTALL,
    )


def table(model: type[BaseModel]) -> str:
    """Lay the fields of a model out: name, type, default, meaning."""
    schema = model.model_json_schema()
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    common = PhaseFile.model_fields if model in KINDS else {}
    shared = Training.model_fields if model is not Training and issubclass(model, Training) else {}
    for name, field in schema["properties"].items():
        info = model.model_fields[name]
        if name in common or repr(shared.get(name)) == repr(info):
            continue
        label = " *" if LABEL in info.metadata else ""
        kind = ", ".join([_type(field), *dict.fromkeys(_bounds(info.annotation, info.metadata))])
        default = "required"
        if name not in schema.get("required", []):
            default = f"`{json.dumps(field['default'])}`" if _plain(field["default"]) else "below"
        meaning = field.get("description", "")
        lines.append(f"| `{name}`{label} | {kind} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> bool:
    return not isinstance(value, dict) or not value


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"])
    if "$ref" in field or "oneOf" in field:
        return "mapping"
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    if "const" in field:
        return str(field["const"])
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    return NAMES.get(field["type"], "null")


def _bounds(annotation: Any, marks: Iterable[Any]) -> Iterator[str]:
    """Yield the bounds of a field, wherever in its annotation they stand."""
    for mark in marks:
        if isinstance(mark, FieldInfo):
            yield from _bounds(None, mark.metadata)
        for name, sign in BOUNDS.items():
            bound = getattr(mark, name, None)
            if isinstance(bound, int | float) and bound not in NO_BOUNDS:
                yield f"{sign} {bound}"
    for part in get_args(annotation):
        yield from _bounds(part, getattr(part, "__metadata__", ()))


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_tables(page.read_text()))
