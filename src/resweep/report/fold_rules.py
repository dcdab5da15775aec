"""A readable rule graph: all rounds and rungs of a sweep become one node per rule.

suggest_sweep_r01, suggest_sweep_r02 ...          ->  suggest_sweep (4 rounds)
train_sweep_r01_b1, train_sweep_r01_b2 ...        ->  train_sweep (4 rounds, 3 rungs)
"""

import itertools
import re
from collections.abc import Mapping, Sequence

NODE = re.compile(r'^\s*(\d+)\[label = "([^"]*)"(.*)$')
EDGE = re.compile(r"^\s*(\d+) -> (\d+)\s*$")
STAGE = re.compile(r"^(?P<rule>.+?)(?:_r(?P<round>\d{2,}))?(?:_b(?P<rung>\d+))?$")


def fold_rules(graph: str) -> str:
    """Fold a graph in the dot language; the result may have cycles."""
    folded: dict[str, str] = {}  # rule -> its node
    node_of: dict[str, str] = {}
    rounds: dict[str, set[str]] = {}
    rungs: dict[str, set[str]] = {}
    lines: list[str] = []
    edges: dict[str, None] = {}
    for line in graph.splitlines():
        node, edge = NODE.match(line), EDGE.match(line)
        if node:
            number, label, style = node.groups()
            parts = STAGE.match(label)
            assert parts is not None  # it matches any text
            rule = parts["rule"]
            if rule not in folded:
                folded[rule] = number
                lines.append(f'    {number}[label = "{{{rule}}}"{style}')
            node_of[number] = folded[rule]
            for found, seen in ((parts["round"], rounds), (parts["rung"], rungs)):
                seen.setdefault(rule, set()).update([found] if found else [])
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
        text = text.replace(f"{{{rule}}}", _label(rule, len(rounds[rule]), len(rungs[rule])))
    return text


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


def _label(rule: str, rounds: int, rungs: int) -> str:
    counts = [f"{count} {what}" for count, what in ((rounds, "rounds"), (rungs, "rungs")) if count]
    return f"{rule}\\n{', '.join(counts)}" if counts else rule
