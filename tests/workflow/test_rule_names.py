"""The names that studies are compared by are those of Snakemake's rules."""

from resweep.study.load import load_study
from resweep.study.rule_names import PACK, study_rules
from tests.conftest import ROOT, Checkout


def test_all_rules_are_known(checkout: Checkout) -> None:
    names = ("quickstart", "adaptive")
    listed = checkout.run("snakemake", "--list-rules", "--config", f"studies=[{','.join(names)}]")
    found = [line for line in listed.stdout.splitlines() if line.replace("_", "").isalnum()]
    known = {"all"}
    trainings = set[str]()
    for name in names:
        study = load_study(ROOT / f"config/studies/{name}.yaml", ROOT / "config")
        rules = study_rules(study, several=True)
        known |= rules.names
        trainings |= rules.trainings
    packs = {rule for rule in found if rule not in known}
    assert {pack[1] for pack in map(PACK.fullmatch, packs) if pack} <= trainings
    unused = {rule for rule in known if rule.startswith("publish_")} - set(found)
    assert sorted(found) == sorted(set(known) - unused)
    assert all("sweep" in rule or "rerun" in rule or "search" in rule for rule in unused)
