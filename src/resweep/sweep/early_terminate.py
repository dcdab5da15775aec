"""Early stopping of trials in a sweep file: the bands at which they are compared.

Bands count logged values of the metric: at band 3, a training has logged its third value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from resweep.sweep.findings import Findings, is_number, is_whole
from resweep.sweep.yaml11 import as_boolean, as_number, as_whole

ONE_CUT = "{type: one_cut, min_iter: BAND, keep: N}"
MOST_BANDS = 100  # of W&B, where only min_iter is given
MOST_VALUES = 10**12  # some write 1e9 for "never"
MOST_BELOW = 1000  # below max_iter; each is a stage of jobs


@dataclass(frozen=True, kw_only=True)
class EarlyTerminate:
    """A rule for stopping trials early.

    Attributes:
        type: `hyperband`, W&B's; or `one_cut`, resweep's own: all trials train up to band
            `min_iter`, and the best `keep` of them to the end.
        min_iter: First band; each further one is `eta` times as far.
        max_iter, s: Instead: `s` bands, max_iter / eta, max_iter / eta^2 ...; min_iter is then
            ignored, as W&B does.
        eta: About one in eta trials continues at each band; above 1.
        strict: Whether the value at the band decides; else the best one so far.
        keep: How many continue, for `one_cut`.
    """

    type: str = "hyperband"
    min_iter: int | None = None
    max_iter: int | None = None
    s: int | None = None
    eta: float = 3
    strict: bool = True
    keep: int | None = None

    def bands(self, values: int) -> tuple[int, ...]:
        """Return the bands below `values`, the number of values that a full training logs.

        Strictly increasing; by the formulas of wandb/sweeps 0.3.0, `hyperband_stopping.py`.
        """
        found = self._min_iter_bands(values) if self.max_iter is None else self._max_iter_bands()
        return tuple(sorted({band for band in found if band < values}))

    def threshold(self, values: Sequence[float]) -> float:
        """Return the worst value that continues at a band, given all (smaller is better).

        So `int(len(values) / eta) + 1` trials continue.
        """
        return sorted(values)[int(1.0 / self.eta * len(values))]

    def _max_iter_bands(self) -> list[int]:
        bands = []
        band = float(self.max_iter or 0)
        for _ in range(self.s or 0):
            band /= self.eta
            if band < 1:
                break
            bands.append(int(band))
        return bands

    def _min_iter_bands(self, values: int) -> list[int]:
        band = float(self.min_iter or 0)
        if self.type == "one_cut":
            return [int(band)]
        bands: list[int] = []
        while len(bands) < MOST_BANDS and band < values:
            bands.append(int(band))
            band *= self.eta
        return bands


KEYS = {
    "hyperband": ("type", "min_iter", "max_iter", "s", "eta", "strict"),
    "one_cut": ("type", "min_iter", "keep"),
}
WHOLE = ("min_iter", "max_iter", "s", "keep")
READ = {**dict.fromkeys(WHOLE, as_whole), "eta": as_number, "strict": as_boolean}


def read_early_terminate(given: Any, findings: Findings) -> EarlyTerminate | None:
    """Read the key `early_terminate` of a sweep file; None if it has errors."""
    key = "early_terminate"
    before = len(findings.problems)
    if not isinstance(given, dict) or given.get("type") not in tuple(KEYS):
        kind = given.get("type") if isinstance(given, dict) else given
        findings.wrong(f"{key}.type", kind, f"should be one of {', '.join(KEYS)}")
        return None
    kind = given["type"]
    given = {name: READ[name](value) if name in READ else value for name, value in given.items()}
    findings.unknown_keys(key, given, KEYS[kind])
    for name in WHOLE:
        if name in given and name in KEYS[kind]:
            if not is_whole(given[name], least=1):
                findings.wrong(f"{key}.{name}", given[name], "should be a whole number above 0")
            elif given[name] > MOST_VALUES:
                findings.wrong(f"{key}.{name}", given[name], f"should be at most {MOST_VALUES}")
    eta = given.get("eta", 3)
    if not is_number(eta) or eta <= 1:
        findings.wrong(f"{key}.eta", eta, "should be a number above 1: one in eta trials continues")
    if not isinstance(given.get("strict", True), bool):
        findings.wrong(f"{key}.strict", given["strict"], "should be true or false")
    if kind == "one_cut":
        for name in ("min_iter", "keep"):
            if name not in given:
                findings.wrong(f"{key}.{name}", None, f"is missing: write {ONE_CUT}")
    elif "min_iter" not in given and "max_iter" not in given:
        findings.wrong(key, None, "needs min_iter, or max_iter and s, to place its bands")
    elif "max_iter" in given and "s" not in given:
        findings.wrong(f"{key}.s", None, "is missing: the number of bands below max_iter")
    if len(findings.problems) > before:
        return None
    rule = EarlyTerminate(**given)
    if rule.max_iter is not None and rule.max_iter < rule.eta:
        hint = f"should be at least eta = {rule.eta:g}, or there is no band"
        findings.wrong(f"{key}.max_iter", rule.max_iter, hint)
        return None
    if rule.max_iter is not None and rule.s is not None:
        count = min(rule.s, int(math.log(rule.max_iter) / math.log(rule.eta)))
        if count > MOST_BELOW:
            hint = (
                f"comes to {count:,} bands; {MOST_BELOW:,} are allowed: use fewer, or a larger eta"
            )
            findings.wrong(f"{key}.s", rule.s, hint)
            return None
    return rule
