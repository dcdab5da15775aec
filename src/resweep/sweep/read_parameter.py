"""Parameters of a sweep file, by the rules of W&B's schema.

As in W&B's schema, a distribution has exact keys: any other would have no effect, so it is an
error.
"""

import math
import re
from typing import Any

from resweep.canonical import canonical_json
from resweep.sweep.findings import Findings, hint, is_number, is_whole
from resweep.sweep.parameter import BETAS, LOG_RANGES, LOG_RANGES_OF_VALUES, Parameter
from resweep.sweep.yaml11 import as_number, as_whole, is_quoted_number

# Keys of each distribution: required ones, and those with defaults.
KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "constant": (("value",), ()),
    "categorical": (("values",), ()),
    "categorical_w_probabilities": (("values", "probabilities"), ()),
    "int_uniform": (("min", "max"), ()),
    "uniform": (("min", "max"), ()),
    "q_uniform": (("min", "max"), ("q",)),
    "log_uniform": (("min", "max"), ()),
    "inv_log_uniform": (("min", "max"), ()),
    "q_log_uniform": (("min", "max"), ("q",)),
    "log_uniform_values": (("min", "max"), ()),
    "inv_log_uniform_values": (("min", "max"), ()),
    "q_log_uniform_values": (("min", "max"), ("q",)),
    "normal": ((), ("mu", "sigma")),
    "q_normal": ((), ("mu", "sigma", "q")),
    "log_normal": ((), ("mu", "sigma")),
    "q_log_normal": ((), ("mu", "sigma", "q")),
    "beta": ((), ("a", "b")),
    "q_beta": ((), ("a", "b", "q")),
}
NUMBERS = ("min", "max", "mu", "sigma", "a", "b", "q")
ALL_KEYS = (
    "distribution",
    "parameters",
    *dict.fromkeys(k for n, d in KEYS.values() for k in n + d),
)
# What other tools call them, in small letters without - and _.
OTHER_NAMES = {
    "choice": "categorical", "choices": "categorical", "discrete": "categorical",
    "float": "uniform", "double": "uniform", "int": "int_uniform", "integer": "int_uniform",
    "randint": "int_uniform", "intuniform": "int_uniform", "uniformint": "int_uniform",
    "quniform": "q_uniform", "log": "log_uniform_values", "loguniform": "log_uniform_values",
    "qloguniform": "q_log_uniform_values", "gaussian": "normal", "qnormal": "q_normal",
    "lognormal": "log_normal", "qlognormal": "q_log_normal", "fixed": "constant",
}  # fmt: skip
# W&B wants a letter first; lists have entries with numbers.
NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*|[0-9]+)(\.[A-Za-z0-9_-]+)*")
LARGEST_EXPONENT = 50  # e^50 is 5e21; no hyperparameter is that large
SUM_TOLERANCE = 1e-5 + 1e-8  # of probabilities, numpy.isclose's
MOST_STEPS = 1e12
TAIL = 9  # standard deviations: all draws are within


def read_parameters(given: Any, findings: Findings) -> list[Parameter]:
    """Read a mapping of parameters, sorted by name at each level.

    One may have the name of a part of another (`optimizer`, `optimizer.lr`): to W&B these are two.
    """
    parameters = _read_level(given, findings)
    names: set[str] = set()
    for parameter in parameters:
        if parameter.name in names:
            hint = "appears twice, nested and with dots; remove one"
            findings.wrong(f"parameters.{parameter.name}", None, hint)
        names.add(parameter.name)
    return parameters


def _read_level(given: Any, findings: Findings, prefix: str = "") -> list[Parameter]:
    """Read one level of nesting, and the levels in it."""
    where = f"parameters.{prefix}".removesuffix(".")
    if not isinstance(given, dict) or not given:
        hint = "should map names to {value: ...}, {values: [...]} ..."
        if isinstance(given, list):
            hint += "; remove the dashes, and write each name in front of its keys"
        findings.wrong(where, given, hint)
        return []
    parameters: list[Parameter] = []
    for key in sorted(given):
        name, spec = f"{prefix}{key}", given[key]
        if not NAME.fullmatch(key):
            hint = "should be letters, digits, _ and -, joined with dots, starting with a letter"
            findings.wrong(f"parameters.{name}", None, f"the name {hint}")
        elif isinstance(spec, dict) and "parameters" in spec:
            if len(spec) > 1:
                others = ", ".join(str(other) for other in spec if other != "parameters")
                hint = f"nested parameters: allow no other keys; remove {others}"
                findings.wrong(f"parameters.{name}", None, hint)
            parameters += _read_level(spec["parameters"], findings, f"{name}.")
        else:
            try:
                parameters.append(_read_parameter(name, spec))
            except ValueError as error:
                findings.wrong(f"parameters.{name}", spec, str(error))
                continue
            if "value" in spec and isinstance(spec["value"], list) and len(spec["value"]) > 1:
                findings.warn(
                    f"parameters.{name}: the list under value: is one value, the same in all "
                    "trials; write values: to try each of its entries"
                )
    return parameters


def _read_parameter(name: str, spec: Any) -> Parameter:
    """Read one parameter; raises ValueError that says what to write instead."""
    if not isinstance(spec, dict):
        forms = "{value: ...}, {values: [...]} or {min: ..., max: ...}"
        meant = {list: "; write values: in front of the list", type(None): ""}
        raise ValueError(f"should be {forms}{meant.get(type(spec), '; write value: before it')}")
    if spec and "value" not in spec and all(isinstance(inner, dict) for inner in spec.values()):
        raise ValueError("nested parameters need a key parameters: above them")
    for key in spec:
        if key not in ALL_KEYS:
            raise ValueError(f"unknown key {key!r}; {hint(key, ALL_KEYS)}")
    spec = {key: as_number(value) if key in NUMBERS else value for key, value in spec.items()}
    distribution = _distribution(spec)
    needed, optional = KEYS[distribution]
    for key in spec:
        if key not in (*needed, *optional, "distribution"):
            has = ", ".join((*needed, *optional))
            raise ValueError(f"{key} does not belong to distribution {distribution}, only {has}")
    for key in needed:
        if key not in spec:
            raise ValueError(f"{key} is missing; distribution {distribution} needs it")
    if distribution == "constant":
        _check_choice("value", spec["value"])
        return Parameter(name, distribution, values=(spec["value"],))
    if "values" in spec:
        return _read_categorical(name, spec)
    for key in (*needed, *optional):
        if key in spec and not is_number(spec[key]):
            quoted = "; remove its quotes" if is_quoted_number(spec[key]) else ""
            raise ValueError(f"{key} should be a finite number, not {spec[key]!r}{quoted}")
    if "min" in spec:
        return _read_range(name, distribution, spec)
    return _read_unbounded(name, distribution, spec)


def _distribution(spec: dict[str, Any]) -> str:
    """Return the distribution, inferred by W&B's rules where it is not given."""
    if "distribution" not in spec:
        if "value" in spec:
            return "constant"
        if "values" in spec:
            return "categorical_w_probabilities" if "probabilities" in spec else "categorical"
        if "min" not in spec or "max" not in spec:
            raise ValueError("should have value, values, both min and max, or a distribution")
        whole = is_whole(spec["min"]) and is_whole(spec["max"])
        return "int_uniform" if whole else "uniform"
    given = spec["distribution"]
    if not isinstance(given, str) or given not in KEYS:
        other = OTHER_NAMES.get(re.sub("[-_ ]", "", str(given)).lower())
        meant = f"did you mean {other}?" if other else hint(given, KEYS)
        raise ValueError(f"distribution {given!r} is not one of W&B's; {meant}")
    return given


def _check_choice(key: str, value: Any) -> None:
    try:
        canonical_json(value)
    except ValueError as error:
        raise ValueError(
            f"{key}: {error}; use plain YAML with finite numbers, and 0.0 for -0.0"
        ) from None


def _read_categorical(name: str, spec: dict[str, Any]) -> Parameter:
    values, probabilities = spec["values"], spec.get("probabilities", [])
    if not isinstance(values, list) or not values:
        one = "" if isinstance(values, list | dict | None) else "; for a single one write value:"
        raise ValueError(f"values: should be a list with at least one entry: [1, 2, 4]{one}")
    if isinstance(probabilities, list):
        probabilities = list(map(as_number, probabilities))
    for value in values:
        _check_choice("values", value)
    if "probabilities" in spec:
        fits = isinstance(probabilities, list) and len(probabilities) == len(values)
        if not fits or not all(is_number(p) and p >= 0 for p in probabilities):
            raise ValueError("probabilities: should be one number, 0 or more, for each value")
        if not math.isclose(sum(probabilities), 1, rel_tol=0, abs_tol=SUM_TOLERANCE):
            raise ValueError(f"probabilities: should add up to 1, not {sum(probabilities):g}")
    return Parameter(
        name,
        "categorical",
        values=tuple(values),
        probabilities=tuple(probabilities) if probabilities else None,
    )


def _read_range(name: str, distribution: str, spec: dict[str, Any]) -> Parameter:
    low, high, q = spec["min"], spec["max"], spec.get("q", 1.0)
    if distribution == "int_uniform":
        low, high = as_whole(low), as_whole(high)
    if low >= high:
        raise ValueError(f"min should be smaller than max, not {low!r} and {high!r}")
    if distribution == "int_uniform" and not (is_whole(low) and is_whole(high)):
        raise ValueError("int_uniform needs whole numbers as min and max; use uniform for others")
    if distribution in LOG_RANGES_OF_VALUES and low <= 0:
        raise ValueError(f"{distribution} needs min above 0, not {low!r}")
    if distribution in LOG_RANGES:
        _check_exponents(distribution, low, high)
    parameter = Parameter(name, distribution, low=low, high=high, q=q)
    if distribution.startswith("q_"):
        largest = math.exp(high) if distribution in LOG_RANGES else max(abs(low), abs(high))
        _check_step(q, largest)
        if parameter.extremes[0] > parameter.extremes[-1]:
            raise ValueError(f"no multiple of q = {q!r} lies between min and max; make q smaller")
    return parameter


def _check_step(q: float, largest: float) -> None:
    """Refuse a step of no use; raises ValueError."""
    if q <= 0:
        raise ValueError(f"q should be above 0, not {q!r}")
    if largest / MOST_STEPS > q:
        raise ValueError(f"q = {q!r} is too small a step; use the distribution without q_")


def _check_exponents(distribution: str, low: float, high: float) -> None:
    """Refuse bounds that must be meant as values; raises ValueError."""
    if not (low > 0 and high <= 1) and max(abs(low), abs(high)) <= LARGEST_EXPONENT:
        return
    sign = "-" if distribution.startswith("inv_") else ""
    raise ValueError(
        f"{distribution} takes min and max as exponents, e^{sign}{low:g} and e^{sign}{high:g}; "
        f"for bounds of the value itself write distribution: {distribution}_values"
    )


def _read_unbounded(name: str, distribution: str, spec: dict[str, Any]) -> Parameter:
    numbers = {key: value for key, value in spec.items() if key != "distribution"}
    for key in numbers.keys() - {"mu", "q"}:
        if numbers[key] <= 0:
            raise ValueError(f"{key} should be above 0, not {numbers[key]!r}")
    parameter = Parameter(name, distribution, **numbers)
    largest = 1.0 if distribution in BETAS else abs(parameter.mu) + TAIL * parameter.sigma
    if "log" in distribution and largest > LARGEST_EXPONENT:
        raise ValueError(
            f"{distribution} draws up to e^(mu + {TAIL} sigma), which is too large or too small; "
            "mu and sigma are those of the logarithm"
        )
    if distribution.startswith("q_"):
        _check_step(parameter.q, math.exp(largest) if "log" in distribution else largest)
    return parameter
