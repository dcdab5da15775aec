"""The language system's own part of what the tests ask: its data, its metrics, its scores."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resweep.config.early_stopping_section import EarlyStopping
from resweep.data import store
from resweep.data.store import Prepared
from resweep.paths import Layout
from resweep.study.metric import PhaseScore, read_score
from resweep.systems.language.token_data import TokenData
from resweep.systems.registry import find_system
from resweep.training.monitors import StopRules

SYSTEM = find_system("language")


def ensure(settings: Mapping[str, Any], layout: Layout) -> Prepared:
    """Prepare text."""
    return store.ensure(SYSTEM, settings, layout)


class MadeTokens(TokenData):
    """Tokens with the digest of their data; equal where that and the folder are."""

    def __init__(self, prepared: Prepared):
        super().__init__(prepared)
        self.prepared = prepared
        self.digest = prepared.digest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MadeTokens) and self.prepared == other.prepared

    __hash__ = None  # type: ignore[assignment]


def ensure_tokens(settings: Mapping[str, Any], layout: Layout) -> MadeTokens:
    """Prepare text; returns its tokens."""
    return MadeTokens(ensure(settings, layout))


def tokens(folder: Path, vocab_size: int, counts: Mapping[str, int]) -> TokenData:
    """Tokens of a folder, of which only these facts are known."""
    about = {"digest": "d", "vocab_size": vocab_size, "tokens": dict(counts)}
    return TokenData(Prepared(folder, "d", about))


def score(**settings: Any) -> PhaseScore:
    """How a phase is ranked: by these settings, and the system's metrics where they say nothing."""
    return read_score({"score": settings, "config": {}})


def stop_rules(horizon: int | None = None, **settings: Any) -> StopRules:
    """Monitors of a training of the language system."""
    stopping = EarlyStopping(**settings)
    return StopRules(
        settings=stopping,
        training_loss=SYSTEM.training_loss,
        metric=stopping.plateau_metric or SYSTEM.metric,
        goal="minimize",
        horizon=horizon,
    )
