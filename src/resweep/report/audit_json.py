"""The cost of a study as JSON, for other programs; null: unknown."""

import json
from dataclasses import asdict
from typing import Any

from resweep.paths import Layout
from resweep.report.budget import limits
from resweep.report.phase_cost import PhaseCost, StudyCost
from resweep.report.why_trains import Reason
from resweep.systems.registry import find_system


def audit_json(cost: StudyCost, layout: Layout) -> str:
    """Return the cost as a JSON object on one line."""
    study = cost.study
    content = {
        "study": study.name,
        "file": study.origin,
        "unit": find_system(study.system).unit,
        "phases": {name: _phase(cost, name) for name in cost.phases},
        "estimate": {"runs": cost.measured, "start_seconds": cost.start_seconds},
        "reasons": list(map(_reason, cost.reasons)),
        "budget": {
            one.key: {
                "limit": one.limit,
                "spent": one.spent,
                "more": one.more,
                "rests_on": one.rests_on,
                "exceeded": cost.trains and one.is_exceeded,
            }
            for one in limits(cost, layout)
        },
    }
    return json.dumps(content)


def _phase(cost: StudyCost, name: str) -> dict[str, Any]:
    phase: PhaseCost = cost.phases[name]
    return {
        "trials": phase.trials,
        "in_store": phase.stored,
        "started": phase.partial,
        "to_train": phase.to_train,
        "infeasible": phase.infeasible,
        "open": phase.open_slots,
        "packs": phase.packs,
        "jobs": phase.jobs,
        "most": {
            "steps": phase.steps,
            "units": phase.units,
            "flops": phase.bound.flops,
            "disk_bytes": phase.bound.disk,
            "kept_bytes": phase.kept,
            "hours": phase.most_hours,
        },
        "estimate": {
            "device": "cpu" if phase.on_cpu else "gpu",
            "steps": cost.estimated_steps(name),
            "hours": cost.estimated_hours(name),
            "share_trained": cost.share(name),
        },
        "rules": [{**asdict(rule), "jobs": rule.jobs} for rule in phase.rules if rule.jobs],
    }


def _reason(reason: Reason) -> dict[str, Any]:
    nearest = reason.nearest
    return {
        "phase": reason.phase,
        "trial": reason.trial,
        "why": reason.text,
        "nearest_run": None if nearest is None else nearest.run_id,
        "differs": {}
        if nearest is None
        else {path: {"asked": own, "run": its} for path, own, its in nearest.differs},
    }
