"""The picture of a study's jobs agrees with what Snakemake would run."""

import re
import xml.etree.ElementTree as ET

from tests.conftest import Checkout
from tests.support.all_phases import PHASES, make_files
from tests.workflow.test_rebuild import planned


def test_the_stages_of_all_kinds_of_phases_and_how_far_they_are(checkout: Checkout) -> None:
    make_files(checkout)
    checkout.snakemake("data")
    to_do = planned(checkout)["total"] - 1  # without `all`
    output = checkout.run("python", "workflow/scripts/draw_dag.py", "tiny").stdout
    first, row, data, *lines = output.splitlines()
    found = re.search(r"(\d+) done, (\d+) to do", first)
    assert found is not None and int(found[2]) == to_do
    assert (row, data.split()[-1]) == ("data", "done")
    assert {line.split()[0] for line in lines if line[0] != " "} > set(PHASES)
    assert lines[-1] == "picture: results/tiny/dag.svg"
    root = ET.parse(checkout.path / "results/tiny/dag.svg").getroot()
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"promote", "conclude", "publish", *PHASES} <= texts
