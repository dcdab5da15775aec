"""A study's older bests: what was its winner, or published, and is not rank 1 now.

    the study's claims, scores.csv of the phase that decides  ->  older bests
    older bests, rank 1  ->  one better than it

A best may get worse: new trials take the slots of a rerun, and the best configuration falls out of
the ranking. Its weights stay (`resweep.ranking.keep_bests`), and here is what is said about them.
"""

import csv
import math
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from resweep.cells import dict_reader
from resweep.config.metric import sign_of
from resweep.errors import DamagedFile, StoreError
from resweep.paths import Layout
from resweep.plurals import counted, size_text
from resweep.store.lasting_claims import Claimed, Standing, claimed_runs, read_standing
from resweep.store.run import Run
from resweep.study.deciding import deciding_phase
from resweep.study.described import read_described
from resweep.trials.decisions import MADE_AGAIN


@dataclass(frozen=True)
class OldBest:
    """A configuration that was the best, or was published.

    Attributes:
        claimed: Its runs, best first.
    """

    claimed: tuple[Claimed, ...]

    @property
    def standing(self) -> Standing:
        """What its best run was."""
        standing = self.claimed[0].standing
        assert standing is not None
        return standing

    @property
    def published(self) -> bool:
        """Whether one of its runs was published."""
        return any(one.published for one in self.claimed)

    @property
    def comparable(self) -> tuple[str | None, str | None, str]:
        """Values compare where this is equal: metric, its goal, what it was evaluated on."""
        return _comparable(self.standing)

    @property
    def signed(self) -> float:
        """Its value, where less is better."""
        return _signed(self.standing)


@dataclass(frozen=True, kw_only=True)
class OldBests:
    """What a study claims besides its present best.

    Attributes:
        present: What the best is now; None if it has no claim.
        has_best: Whether any configuration has a score now.
        judged: Runs that have a score in the present ranking.
        claimed: All runs whose weights stay, those with damaged claims too.
    """

    present: Standing | None
    has_best: bool
    judged: frozenset[str]
    claimed: tuple[Claimed, ...]

    @property
    def configurations(self) -> list[OldBest]:
        """Return the runs with intact claims by configuration."""
        groups: dict[tuple[str, ...], list[Claimed]] = {}
        for one in self.claimed:
            if one.standing is not None:
                groups.setdefault(tuple(sorted(one.standing["runs"])), []).append(one)
        return [OldBest(tuple(sorted(group, key=_best_first))) for group in groups.values()]

    @property
    def better(self) -> OldBest | None:
        """Return the best of those that the present ranking should be compared with.

        It is better than the best now by the same metric on the same data, its weights are there,
        and the present ranking has no score for it: otherwise the ranking has judged it.
        """
        found = [
            old
            for old in self.configurations
            if old.standing["value"] is not None
            and old.claimed[0].weights is not None
            and not self.judged & set(old.standing["runs"])
        ]
        if self.present is not None:
            known, value = _comparable(self.present), _signed(self.present)
            found = [old for old in found if old.comparable == known and old.signed < value]
            found = [old for old in found if not math.isclose(old.signed, value, rel_tol=1e-9)]
        elif self.has_best:
            return None
        elif found:
            newest = max(found, key=lambda old: old.standing["since"]).comparable
            found = [old for old in found if old.comparable == newest]
        return min(found, key=lambda old: old.signed, default=None)


def find_old_bests(study: str, scores: Path | None, layout: Layout) -> OldBests:
    """Return the older bests of a study.

    Args:
        study: Its name.
        scores: scores.csv of the phase that decides; None where there is none yet.
        layout: Of the results folder.
    """
    ranked = [] if scores is None else _ranked_runs(scores)
    judged = [run_id for _, run_id in ranked]
    best = [run_id for rank, run_id in ranked if rank == ranked[0][0]]
    return OldBests(
        present=read_standing(Run(layout.run(best[0])), study) if best else None,
        has_best=bool(best),
        judged=frozenset(judged),
        claimed=tuple(one for one in claimed_runs(study, layout) if one.run.run_id not in best),
    )


def deciding_scores(study: str, layout: Layout) -> Path | None:
    """Return scores.csv of the phase that decides; None for a study without a folder.

    Raises:
        StoreError: There is no such study; or it is being built, and its best is not known.
    """
    folder = layout.study(study)
    if not folder.path.exists():
        if not layout.lasting_claims(study):
            raise StoreError(f"{folder.path}: there is no such study, and no run was its best")
        return None
    missing = folder.described
    if missing.exists():
        deciding = deciding_phase(read_described(missing)["phases"], kind=itemgetter("kind"))
        missing = folder.phase(deciding["name"]).scores
        if missing.exists():
            return missing
    raise StoreError(f"{missing}: is missing; run `snakemake --config study={study}` first")


def better_text(old: OldBests, better: OldBest, how: str) -> str:
    """Return the line about a better run.

    Args:
        old: The older bests.
        better: One of them that is better than the best now.
        how: To bring it back.
    """
    best = old.present
    now = "nothing has a result now" if best is None else f"the best now has {best['value']:.4f}"
    return (
        f"a run with a better {better.standing['metric']} is in the store ({now}): "
        f"{describe(better.claimed[0])}; {how}"
    )


def kept_text(study: str, old: OldBests) -> str | None:
    """Return the line about the number and size of weights that stay; None where there are none."""
    kept = [one for one in old.claimed if one.bytes]
    if not kept:
        return None
    published = sum(one.published for one in kept)
    return (
        f"older bests: weights of {counted(len(kept), 'run')} ({published} published), "
        f"{size_text(sum(one.bytes for one in kept))}; to drop those that are not published: "
        f"`resweep forget old-best --study {study}`"
    )


def describe(one: Claimed) -> str:
    """Return a line about a claimed run, for people."""
    standing = one.standing
    if standing is None:
        return f"run {one.run.run_id}: its claim is damaged"
    value = "published"
    if standing["value"] is not None:
        mean = f", mean of {len(standing['runs'])} seeds" if len(standing["runs"]) > 1 else ""
        value = f"{standing['metric']} {standing['value']:.4f}{mean}"
    return (
        f"{value}, run {one.run.run_id} ({_settings_text(standing)}), "
        f"weights: {one.weights or 'none'}"
    )


def _ranked_runs(scores: Path) -> list[tuple[int, str]]:
    """Return rank and run of each row of scores.csv that has a score, best first."""
    try:
        with scores.open(newline="") as file:
            rows = [row for row in dict_reader(file) if row["score"] and row["run_id"]]
        return sorted((int(row["rank"]), row["run_id"]) for row in rows)
    except (ValueError, KeyError, TypeError, csv.Error):
        raise DamagedFile(scores, "is not a ranking", MADE_AGAIN) from None


def _settings_text(standing: Standing) -> str:
    """Format trial and hyperparameters; these by the last parts of their paths if they differ."""
    settings = standing["settings"]
    names = {path: path.rpartition(".")[2] for path in settings}
    if len(set(names.values())) < len(names):
        names = {path: path for path in settings}
    values = (
        f"{names[path]} {value:.4g}" if isinstance(value, float) else f"{names[path]} {value}"
        for path, value in settings.items()
    )
    return ", ".join([f"{standing['phase']} {standing['trial']}", *values])


def _comparable(standing: Standing) -> tuple[str | None, str | None, str]:
    return standing["metric"], standing["goal"], standing["evaluated_on"]


def _signed(standing: Standing) -> float:
    value = standing["value"]
    return math.inf if value is None else sign_of(str(standing["goal"])) * value


def _best_first(one: Claimed) -> tuple[bool, float, str]:
    """Sort key for the runs of a configuration: those without weights last."""
    standing = one.standing
    if standing is None or standing["final"] is None:
        return one.weights is None, math.inf, one.run.run_id
    own = sign_of(str(standing["goal"])) * standing["final"]
    return one.weights is None, own, one.run.run_id
