"""Folding rounds, rungs and packs in the picture of the rules."""

from resweep.report.fold_rules import fold_rules, outline

GRAPH = """digraph snakemake_dag {
    graph[bgcolor=white];
	0[label = "all", color = "red"];
	1[label = "suggest_sweep_r01", color = "red"];
	2[label = "train_sweep_r01_b1", color = "red"];
	3[label = "train_sweep_r01_b2", color = "red"];
	4[label = "suggest_sweep_r02", color = "red"];
	5[label = "train_sweep_r02_b1", color = "red"];
	6[label = "train_rerun", color = "red"];
	1 -> 2
	2 -> 3
	3 -> 4
	4 -> 5
	5 -> 6
	6 -> 0
}
"""


def labels_of(graph: str) -> list[str]:
    return [line.split('"')[1] for line in graph.splitlines() if "label" in line]


def test_rounds_and_rungs_become_one_node() -> None:
    assert labels_of(fold_rules(GRAPH)) == [
        "all",
        "suggest_sweep\\n2 rounds",
        "train_sweep\\n2 rounds, 2 rungs",
        "train_rerun",
    ]


def test_edges_are_told_once_and_none_leads_to_itself() -> None:
    edges = [line.strip() for line in fold_rules(GRAPH).splitlines() if "->" in line]
    assert edges == ["1 -> 2", "2 -> 1", "2 -> 6", "6 -> 0"]


def test_a_graph_without_them_stays_as_it_is() -> None:
    plain = 'digraph g {\n    0[label = "all"];\n    1[label = "train_sweep"];\n    1 -> 0\n}\n'
    assert fold_rules(plain) == plain


def test_an_outline_has_each_rule_once_below_what_it_needs() -> None:
    lines = outline(fold_rules(GRAPH)).splitlines()
    assert [line.split()[0] for line in lines] == [
        "suggest_sweep",
        "train_sweep",
        "train_rerun",
        "all",
    ]
    assert "2 rounds, 2 rungs" in lines[1] and lines[2].split()[1:] == ["after", "train_sweep"]
    assert lines[0].endswith("after train_sweep")  # a round needs the one before


def draw(*rules: str) -> str:
    nodes = "".join(f'\t{number}[label = "{rule}"];\n' for number, rule in enumerate(rules))
    return f"digraph g {{\n{nodes}\t0 -> 1\n}}\n"


def test_packs_become_one_node() -> None:
    alone = "train_sweep"  # its trials have a job each
    packs = [f"train_sweep_p{number}" for number in range(1, 12)]
    folded = fold_rules(draw("prepare_data_01cd", alone, *packs, "score_sweep"))
    assert labels_of(folded) == ["prepare_data_01cd", "train_sweep\\n11 packs", "score_sweep"]
    stages = [f"train_sweep_r0{r}_b1_p{p}" for r in (1, 2) for p in (1, 2, 3)]
    (label, _) = labels_of(fold_rules(draw(*stages, "score_sweep")))
    assert label == "train_sweep\\n2 rounds, 1 rung, 6 packs"


def test_a_phase_that_is_named_like_a_pack_stays() -> None:
    plain = draw("train_lr_p1", "score_lr_p1", "train_lr_p2", "score_lr_p2")
    assert labels_of(fold_rules(plain)) == labels_of(plain)
    own = fold_rules(draw("train_lr_p1_p1", "train_lr_p1_p2", "score_lr_p1"))
    assert labels_of(own) == ["train_lr_p1\\n2 packs", "score_lr_p1"]
