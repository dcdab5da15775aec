"""The kinds of phase that a study can have, one line each."""

from resweep.study.kinds.finetune import FinetuneFile
from resweep.study.kinds.rerun import RerunFile
from resweep.study.kinds.resample import ResampleFile
from resweep.study.kinds.sweep import SweepFile
from resweep.study.phase_file import PhaseFile

KINDS: tuple[type[PhaseFile], ...] = (
    SweepFile,
    ResampleFile,
    RerunFile,
    FinetuneFile,
)


def kind_name(kind: type[PhaseFile]) -> str:
    """Return what a study file calls a kind."""
    (name,) = kind.model_fields["kind"].annotation.__args__  # type: ignore[union-attr]
    return str(name)
