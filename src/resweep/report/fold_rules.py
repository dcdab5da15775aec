"""A readable rule graph: all rounds, rungs and packs of a phase become one node per rule.

suggest_sweep_r01, suggest_sweep_r02 ...          ->  suggest_sweep (4 rounds)
train_sweep_r01_b1, train_sweep_r01_b2 ...        ->  train_sweep (4 rounds, 3 rungs)
train_sweep_p1, train_sweep_p2 ...                ->  train_sweep (8 packs)
"""

import itertools
import re
from collections.abc import Collection, Mapping, Sequence

from resweep.plurals import counted

NODE = re.compile(r'^\s*(\d+)\[label = "([^"]*)"(.*)$')
EDGE = re.compile(r"^\s*(\d+) -> (\d+)\s*$")
PART = re.compile(r"^(?P<rule>.+?)(?:_r(?P<round>\d{2,}))?(?:_b(?P<rung>\d+))?$")
PACK = re.compile(r"^(?P<rule>train_.+)_p\d+$")
RANKS = "score_"  # begins the name of the rule that each phase has


def fold_rules(graph: str) -> str:
    """Fold a graph in the dot language; the result may have cycles."""
    folded: dict[str, str] = {}  # rule -> its node
    node_of: dict[str, str] = {}
    parts: dict[str, dict[str, set[str]]] = {}  # rule -> round, rung or pack -> names
    lines: list[str] = []
    edges: dict[str, None] = {}
    labels = [node[2] for node in map(NODE.match, graph.splitlines()) if node]
    phases = {label.removeprefix(RANKS) for label in labels if label.startswith(RANKS)}
    for line in graph.splitlines():
        node, edge = NODE.match(line), EDGE.match(line)
        if node:
            number, label, style = node.groups()
            rule, found = _parts(label, phases)
            if rule not in folded:
                folded[rule] = number
                lines.append(f'    {number}[label = "{{{rule}}}"{style}')
            node_of[number] = folded[rule]
            for what, name in found.items():
                parts.setdefault(rule, {}).setdefault(what, set()).add(name)
        elif edge:
            edges[f"{edge[1]} {edge[2]}"] = None
        else:
            lines.append(line)
    closing = lines.pop() if lines and lines[-1].strip() == "}" else ""
    for pair in edges:
        begin, end = (node_of[number] for number in pair.split())
        line = f"    {begin} -> {end}"
        if begin != end and line not in lines:
            lines.append(line)
    text = "\n".join([*lines, closing]) + "\n"
    for rule in folded:
        text = text.replace(f"{{{rule}}}", _label(rule, parts.get(rule, {})))
    return text


def _parts(label: str, phases: Collection[str]) -> tuple[str, dict[str, str]]:
    """Return a rule without its round, rung and pack, and the names of those that it has.

    Args:
        label: Name of the rule.
        phases: Names of phases as they are in names of rules: one may end like a pack.
    """
    pack = PACK.match(label)
    is_pack = pack is not None and label.removeprefix("train_") not in phases
    whole = pack["rule"] if pack is not None and is_pack else label
    match = PART.match(whole)
    assert match is not None  # it matches any text
    found = {"round": match["round"], "rung": match["rung"], "pack": label if is_pack else None}
    return match["rule"], {what: name for what, name in found.items() if name}


def outline(graph: str) -> str:
    """Return a graph in the dot language as text: a line for each rule, with those that it needs.

    A rule stands below those that it needs, except where rounds need each other. What a needed rule
    needs itself is left out.
    """
    names: dict[str, str] = {}
    needs: dict[str, list[str]] = {}
    for line in graph.splitlines():
        node, edge = NODE.match(line), EDGE.match(line)
        if node:
            name, _, counts = node[2].partition("\\n")
            names[node[1]] = f"{name} ({counts})" if counts else name
        elif edge:
            needs.setdefault(edge[2], []).append(edge[1])
    reached = {number: _reached(number, needs) for number in names}
    for number, needed in needs.items():
        implied = {
            one
            for one, other in itertools.permutations(needed, 2)
            if one in reached[other] and other not in reached[one] and number not in reached[other]
        }
        needs[number] = [one for one in needed if one not in implied]
    order: dict[str, None] = {}

    def add(number: str, above: tuple[str, ...]) -> None:
        for needed in needs.get(number, []):
            if needed not in (*order, *above):
                add(needed, (*above, number))
        order[number] = None

    for number in names:
        if number not in order:
            add(number, ())
    width = max((len(name) for name in names.values()), default=0)
    lines = []
    for number in order:
        after = ", ".join(names[needed].partition(" ")[0] for needed in needs.get(number, []))
        lines.append(f"{names[number]:{width}}  after {after}" if after else names[number])
    return "\n".join(lines) + "\n"


def _reached(start: str, needs: Mapping[str, Sequence[str]]) -> set[str]:
    """Return what a node needs, and what that needs, and so on."""
    found: set[str] = set()
    left = [start]
    while left:
        more = set(needs.get(left.pop(), ())) - found
        found |= more
        left += more
    return found


def _label(rule: str, parts: Mapping[str, Collection[str]]) -> str:
    counts = [counted(len(names), what) for what, names in parts.items()]
    return f"{rule}\\n{', '.join(counts)}" if counts else rule
