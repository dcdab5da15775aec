"""A kind of phase is a module, its line in the registry and the script that fills its slots.

The kind here trains the best configuration of an earlier phase with its learning rate multiplied by
each of some factors. Nothing else of the library, and no rule, knows of it.
"""

import csv
import json
import re
from pathlib import Path

from tests.conftest import Checkout
from tests.workflow.search_files import audited

KIND = '''
"""Learning rates around the best one of an earlier phase."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from resweep.canonical import canonical_json
from resweep.errors import ConfigError
from resweep.paths import Layout
from resweep.study.files import asked_configs, data_stamps, trial_files
from resweep.study.fill import Fill
from resweep.study.phase_file import Loaded, PhaseFile, Surroundings
from resweep.study.study import Phase


class VaryFile(PhaseFile):
    """As written."""

    kind: Literal["vary"]
    of: str
    factors: list[float]

    @property
    def builds_on(self) -> str | None:
        return self.of

    def load(self, around: Surroundings) -> Loaded:
        if self.of not in around.earlier:
            raise ConfigError(around.problem("of", self.of, "should name an earlier phase"))
        phase = VaryPhase(
            config=around.complete,
            score=around.earlier[self.of].score,
            source=self.of,
            factors=tuple(self.factors),
            **around.common,
        )
        return Loaded(phase=phase, warnings=[])


@dataclass(frozen=True, kw_only=True)
class VaryPhase(Phase):
    """Frozen."""

    kind: ClassVar[str] = "vary"
    source: str
    factors: tuple[float, ...]

    @property
    def trials(self) -> list[str]:
        return [f"x{number}" for number, _ in enumerate(self.factors)]

    @property
    def asks(self) -> Mapping[str, int]:
        return {self.source: 1}

    @property
    def settings(self) -> dict[str, Any]:
        return {"of": self.source, "factors": list(self.factors)}

    def fills(self, layout: Layout) -> list[Fill]:
        place = {"study": self.study, "phase": self.name, "config": self.config}
        fill = Fill(
            verb="vary",
            script="vary.py",
            plan=canonical_json(place | {"factors": list(self.factors)}),
            inputs={"best": asked_configs(layout, self), "data": data_stamps(layout, self)},
            outputs={"trials": trial_files(layout, self)},
            passes=("best", "trials"),
        )
        return [fill]
'''
SCRIPT = '''
"""python workflow/scripts/vary.py --plan JSON --best FILE --trials FILE ..."""

import argparse
from pathlib import Path

from resweep.config import compose
from resweep.command_line import JsonArgument
from resweep.trials.best_configs import read_best_configs
from resweep.systems.registry import system_of
from resweep.trials.trial import Trial, write_trial

parser = argparse.ArgumentParser()
parser.add_argument("--plan", type=JsonArgument())
parser.add_argument("--best", type=Path)
parser.add_argument("--trials", type=Path, nargs="+")
a = parser.parse_args()
(best,) = read_best_configs(a.best, system_of(a.plan["config"]).schema)
for path, factor in zip(a.trials, a.plan.pop("factors"), strict=True):
    values = {name: value * factor for name, value in best.items()}
    config = compose.assign(a.plan["config"], values)
    place = (a.plan["study"], a.plan["phase"], path.stem)
    write_trial(path, Trial(*place, config=config, assignments=values))
'''


def add_kind(checkout: Checkout) -> None:
    kinds = checkout.path / "src/resweep/study/kinds"
    (kinds / "vary.py").write_text(KIND)
    (checkout.path / "workflow/scripts/vary.py").write_text(SCRIPT)
    registry = kinds / "registry.py"
    text = registry.read_text()
    text = text.replace("    RerunFile,\n", "    RerunFile,\n    VaryFile,\n")
    line = "from resweep.study.kinds.vary import VaryFile\n"
    registry.write_text(
        text.replace("from resweep.study.phase_file", f"{line}from resweep.study.phase_file")
    )


def test_a_kind_is_planned_trained_ranked_and_reported(checkout: Checkout) -> None:
    add_kind(checkout)
    phases = [
        {"name": "sweep", "kind": "sweep", "sweep": "rates"},
        {"name": "around", "kind": "vary", "of": "sweep", "factors": [0.5, 2.0]},
        {"name": "rerun", "kind": "rerun", "of": "around", "seeds": [1]},
    ]
    checkout.write_study(phases=phases)
    plan = checkout.snakemake("--dry-run").stdout
    assert "vary_around" in plan and "train_around" in plan
    checkout.snakemake()
    folder = checkout.path / "results/tiny/around"
    with (folder / "scores.csv").open(newline="") as file:
        ranked = {row["trial"]: row for row in csv.DictReader(file)}
    assert ranked.keys() == {"x0", "x1"}
    assert {row["status"] for row in ranked.values()} == {"finished"}
    rates = {float(row["training.learning_rate"]) for row in ranked.values()}
    assert rates in ({0.0005, 0.002}, {5e-6, 2e-5})
    assert (folder / "decisions.csv").exists() and len(list(folder.glob("models/x*"))) == 1
    assert (folder / "top1_best_configs.yaml").exists()
    record = json.loads((folder.parent / "rerun/records/01.json").read_text())
    assert record["status"] == "finished"
    assert "around" in Path(folder.parent / "report.html").read_text()
    summary = checkout.run("python", "workflow/scripts/summarize.py", "tiny").stdout
    assert "around (vary, 2 trials)" in summary
    counts = audited(checkout, "tiny")["around"]
    assert counts["trials"] == counts["in store"] == 2 and counts["to train"] == 0
    assert "Nothing to be done" in checkout.snakemake("--dry-run").stdout


def test_its_keys_are_checked_as_those_of_others(checkout: Checkout) -> None:
    add_kind(checkout)
    phases = [
        {"name": "sweep", "kind": "sweep", "sweep": "rates", "factors": [2.0]},
        {"name": "around", "kind": "vary", "of": "sweep", "factors": "two"},
        {"name": "again", "kind": "varied", "of": "sweep"},
    ]
    checkout.write_study(phases=phases)
    told = checkout.snakemake("--dry-run", check=False).stdout
    assert re.search(r"phases\.0\.factors = \[2\.0\]: .*\bvary\b", told)
    assert re.search(r"phases\.1\.factors = 'two': .*\blist\b", told)
    assert re.search(r"phases\.2\.kind = 'varied': .*\bsweep\b.*\brerun\b.*\bvary\b", told)
