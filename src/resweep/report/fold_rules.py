"""A readable rule graph: all rounds and rungs of a sweep become one node per rule.

suggest_sweep_r01, suggest_sweep_r02 ...          ->  suggest_sweep (4 rounds)
train_sweep_r01_b1, train_sweep_r01_b2 ...        ->  train_sweep (4 rounds, 3 rungs)
"""

import re

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


def _label(rule: str, rounds: int, rungs: int) -> str:
    counts = [f"{count} {what}" for count, what in ((rounds, "rounds"), (rungs, "rungs")) if count]
    return f"{rule}\\n{', '.join(counts)}" if counts else rule
