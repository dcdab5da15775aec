"""Which rules a study has, so that two of them never have one name.

The number of a phase's packs follows its number of trials, which a user raises without thinking of
names. So a phase has the names of all packs that it could have: `sweep-p1` and `sweep` never go
together.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from resweep.data.source import data_id
from resweep.paths import Layout
from resweep.plurals import counted
from resweep.study.files import join_rule_name, rule_name
from resweep.study.stage_targets import OF_PHASES, OF_STUDIES
from resweep.study.study import Phase, Study
from resweep.systems.registry import find_system

# Of the rules that each phase and each study has, besides those of its stages.
VERBS_OF_PHASES = (
    *("score", "select", "keep", "publish_configs", "publish_model", "analyze_gradients"),
    *OF_PHASES,
)
VERBS_OF_STUDIES = (
    *("write_study", "tabulate", "publish_scores", "publish_report", "publish_code"),
    *OF_STUDIES,
)
PACK = re.compile(r"(.+)_p\d+")


@dataclass(frozen=True)
class RuleNames:
    """Names of rules.

    Attributes:
        names: Of all rules, but those of packs.
        trainings: Of stages: packs of these have a number at the end, as in `train_sweep_p2`.
    """

    names: frozenset[str]
    trainings: frozenset[str]

    def shared(self, other: "RuleNames") -> str | None:
        """Return a name that rules of both could have, one of a training if there is one."""
        found = self.names & other.names | self._packs_in(other) | other._packs_in(self)
        trainings = self.trainings | other.trainings
        return min(found, key=lambda rule: (rule not in trainings, rule), default=None)

    def _packs_in(self, other: "RuleNames") -> set[str]:
        """Return the names of others that packs of these could have."""
        packs = ((rule, PACK.fullmatch(rule)) for rule in other.names)
        return {rule for rule, pack in packs if pack is not None and pack[1] in self.trainings}


def phase_rules(phase: Phase, several: bool = False) -> RuleNames:
    """Return the names of a phase's rules.

    Args:
        phase: The phase.
        several: Whether there are several studies, as of `rule_name`.
    """
    names = [phase.study, phase.name] if several else [phase.name]
    trainings = frozenset(join_rule_name("train", names, stage.name) for stage in phase.stages)
    others = [(fill.verb, fill.stage) for fill in phase.fills(Layout())]
    others += [(verb, "") for verb in VERBS_OF_PHASES]
    found = trainings.union(join_rule_name(verb, names, stage) for verb, stage in others)
    return RuleNames(found, trainings)


def study_rules(study: Study, several: bool) -> RuleNames:
    """Return the names of a study's rules."""
    system = find_system(study.system)
    data = [data_id(system, settings) for settings in study.data_settings()]
    own = {rule_name(verb, study, several=several) for verb in VERBS_OF_STUDIES}
    own |= {rule_name("prepare_data", study, None, name, several) for name in data}
    phases = [phase_rules(phase, several) for phase in study.phases]
    return RuleNames(
        frozenset(own).union(*(phase.names for phase in phases)),
        frozenset[str]().union(*(phase.trainings for phase in phases)),
    )


def packs_meant(given: Iterable[str], rules: Collection[str]) -> Iterator[str]:
    """Yield a line for each name that no rule has, but a phase with other packs: `_p9` of three.

    Args:
        given: Names on a command line, and whatever else stands there.
        rules: Names of all rules of trainings.
    """
    packs = [pack for pack in map(PACK.fullmatch, rules) if pack is not None]
    for name in sorted(set(given).difference(rules)):
        numbered = PACK.fullmatch(name)
        stage = name if numbered is None else numbered[1]
        count = sum(pack[1] == stage for pack in packs)
        if count:
            shown = f"{stage}_p1"
            if count > 1:
                shown += f" to {stage}_p{count}; in bash: {stage}_p{{1..{count}}}"
            yield f"there is no rule {name}: the phase has {counted(count, 'pack')}, {shown}"
        elif numbered is not None and stage in rules:
            yield f"there is no rule {name}: the phase has {stage}, without numbers"
