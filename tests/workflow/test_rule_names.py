"""Rules by their names: those that studies are compared by, and how options name packs."""

import re

import pytest

from resweep.paths import Layout
from resweep.study.load import load_study
from resweep.study.rule_names import PACK, packs_meant, study_rules
from resweep.study.stage_targets import stage_targets
from tests.conftest import ROOT, Checkout

PREPARE = "prepare_data_01cd8e17331f"


def test_all_rules_are_known(checkout: Checkout) -> None:
    names = ("quickstart", "adaptive")
    listed = checkout.run("snakemake", "--list-rules", "--config", f"studies=[{','.join(names)}]")
    found = [line for line in listed.stdout.splitlines() if line.replace("_", "").isalnum()]
    studies = [load_study(ROOT / f"config/studies/{name}.yaml", ROOT / "config") for name in names]
    known = {"all", *stage_targets(Layout(), studies)}
    trainings = set[str]()
    for study in studies:
        rules = study_rules(study, several=True)
        known |= rules.names
        trainings |= rules.trainings
    packs = {pack for pack in map(PACK.fullmatch, found) if pack is not None}
    assert {pack[1] for pack in packs} <= trainings
    numbered = {pack[0] for pack in packs}
    unused = {rule for rule in known if rule.startswith("publish_")} - set(found)
    unused |= trainings - set(found)  # all of their trials are in packs
    assert sorted(set(found) - numbered) == sorted(known - unused)
    assert trainings & unused <= {pack[1] for pack in packs}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A study that nobody built: ten trials in packs of four, and their rerun in one."""
    made = Checkout.new(tmp_path_factory.mktemp("packed") / "checkout")
    made.write_study(resources={"pack": 4, "gpus": 0})
    made.write_sweep(learning_rate=[round(1e-3 * number, 6) for number in range(1, 11)])
    return made


def plan(checkout: Checkout, options: str) -> str:
    """Plan with options as they are typed into bash."""
    return checkout.run("bash", "-c", f"snakemake -n --cores 8 {options}").stdout


def jobs(output: str) -> dict[str, int]:
    """Jobs of a plan, by their rules."""
    table = output[output.index("Job stats:") :].partition("\n\n")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}


def test_settings_of_all_packs_of_a_phase(packed: Checkout) -> None:
    options = "-p --set-resources train_sweep_p{1..2}:mem_mb=4000 --set-threads train_sweep_p3=1"
    output = plan(packed, options)
    trainings = {name: count for name, count in jobs(output).items() if name.startswith("train_")}
    packs = ("train_sweep_p1", "train_sweep_p2", "train_sweep_p3")
    assert trainings == dict.fromkeys((*packs, "train_rerun"), 1)
    given = re.findall(r"train_pack\.py .*--memory-mb (\d+) --cores (\d+)", output)
    assert {cores for mb, cores in given if mb == "4000"} == {"4"} and len(given) == 4
    assert [cores for _, cores in given].count("1") == 1
    assert re.search(r"train_sweep_p3: 2 trials, cores: 1\b", output)
    assert "warning:" not in output


@pytest.mark.parametrize(
    ("options", "trained"),
    [
        ("--until train_sweep_p{1..2}", ["train_sweep_p1", "train_sweep_p2"]),
        (
            "-R train_sweep_p2 -- train_sweep_p2 results/tiny/sweep/records/7b120e9d38.json",
            ["train_sweep_p2", "train_sweep_p3"],
        ),
    ],
)
def test_a_part_of_the_packs(options: str, trained: list[str], packed: Checkout) -> None:
    planned = jobs(plan(packed, options))
    assert planned.pop("total") == len(planned)
    assert planned == dict.fromkeys([PREPARE, *trained], 1)


def test_a_name_that_no_rule_has_any_more_is_reported(packed: Checkout) -> None:
    output = plan(packed, "--omit-from train_sweep_p3 --set-threads train_sweep=1")
    assert {"train_sweep_p1", "train_sweep_p2"} < jobs(output).keys()
    assert "train_sweep_p3" not in jobs(output) and "score_sweep" not in jobs(output)
    (warning,) = re.findall(r"^warning: (.*)$", output, re.M)
    assert "train_sweep_p{1..3}" in warning


def test_only_names_that_packs_have_with_a_number_are_reported() -> None:
    rules = [
        f"train_{name}" for name in ("sweep_p1", "sweep_p2", "fit_r01_b1", "mixed", "mixed_p1")
    ]
    assert list(packs_meant(["snakemake", "train_mixed", "train_rerun", *rules], rules)) == []
    for name in ("train_sweep", "train_sweep_p3", "train_sweep_p12"):
        (line,) = packs_meant([name], rules)
        assert name in line and "train_sweep_p{1..2}" in line
    (line,) = packs_meant(["train_mixed_p2"], rules)
    assert "train_mixed_p1" in line and "{" not in line
    (line,) = packs_meant(["train_rerun_p1"], [*rules, "train_rerun"])
    assert line.count("train_rerun") == 2
