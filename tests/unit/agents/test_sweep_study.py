"""A study made from a sweep file keeps what its base study says."""

from resweep.agents.sweep_study import KEPT
from resweep.study.study_file import StudyFile


def test_every_key_of_a_study_is_kept_or_replaced():
    assert {*KEPT, "name", "description", "phases"} == StudyFile.model_fields.keys()
