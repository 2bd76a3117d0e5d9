"""How sure a scripted model is of the right option: a margin in log-odds whose sign is right or wrong.

The margin is mean + difficulty of the item + luck. Luck is logistic, so a mean of logit(p) is right with chance p; it
is made of a part of the probe, a part of the slot and a part that the questions of a clip share (a Gaussian copula).
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from vlbias.errors import ModelError
from vlbias.models._script import Script
from vlbias.records import Trial

CERTAIN = 80.0  # in log-odds; luck never reaches 39, the logit of 2**-56
STICKY_SHARE, STICKY_AR = 0.85, 0.7
NORMAL = NormalDist()
# What an option order, a style of labels or a correction that asks again changes is the display, not the content.
DISPLAY = frozenset({"order", "labels", "swap", "asked_for"})


def luck(script: Script, key: str) -> float:
    """A number above 0 and below 1 that depends on the seed and the key only."""
    number = int.from_bytes(hashlib.sha256(f"{script.seed}/{key}".encode()).digest()[:7], "big")
    return (number + 0.5) / 2**56


def place(trial: Trial) -> str:
    """What the content of a trial is asked under: its slot and its factors, not the order of its options."""
    rest = [f"{name}={value}" for name, value in trial.factors if name not in DISPLAY]
    return "/".join([trial.code, *rest])


def margin(script: Script, trial: Trial, chance: float) -> float:
    """The margin of the right answer in log-odds, for a chance over items and luck; its sign is the answer."""
    item = script.difficulty * _normal(script, f"{trial.probe.probe_id}/item")
    return centre(chance, script.difficulty) + item + _logistic(_gaussian(script, trial))


@lru_cache(maxsize=4096)
def centre(chance: float, spread: float) -> float:
    """The mean log-odds at which items of this spread are right with this chance, by Gauss-Hermite quadrature."""
    if chance in (0.0, 1.0):
        # So far out that neither the hardest item nor the worst luck brings it back.
        return math.copysign(CERTAIN + 40.0 * spread, chance - 0.5)
    start = math.log(chance / (1 - chance))
    if spread == 0.0:
        return start
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    low, high = start - 4 * spread - 8, start + 4 * spread + 8
    for _ in range(80):
        middle = (low + high) / 2
        found = float(weights @ (1 / (1 + np.exp(-(middle + spread * nodes)))) / weights.sum())
        low, high = (middle, high) if found < chance else (low, middle)
    return (low + high) / 2


def chance(script: Script, trial: Trial) -> float:
    """The chance of the right answer in this trial, over items and luck."""
    profile = script.profile
    if trial.slot is None:
        most = max(profile) if profile else script.accuracy
        return most if script.alone is None else script.alone
    base = script.accuracy
    if profile is not None:
        if len(profile) not in (1, trial.n_slots):
            raise ModelError(
                f"scripted: profile has {len(profile)} values and the suite {trial.n_slots} slots; give one per slot"
            )
        base = profile[trial.slot if len(profile) > 1 else 0]
    return base if script.spatial == "none" else _in_cell(script, trial, base)


def _in_cell(script: Script, trial: Trial, base: float) -> float:
    found = dict(trial.factors)
    cell, grid = found.get("cell", ""), found.get("grid", "")
    try:
        row, column = (int(part) for part in cell.split(","))
        n_rows, n_columns = (int(part) for part in grid.split("x"))
    except ValueError as error:
        raise ModelError(
            f"scripted: spatial={script.spatial} needs trials with the factors cell (as 0,2) and grid (as 3x3); "
            f"{trial.trial_id} has cell {cell!r} and grid {grid!r}"
        ) from error
    kind = script.spatial
    all_weights = [weight(kind, r, c, (n_rows, n_columns)) for r in range(n_rows) for c in range(n_columns)]
    spread = max(all_weights) - min(all_weights)
    mean = sum(all_weights) / len(all_weights)
    shift = (weight(kind, row, column, (n_rows, n_columns)) - mean) / spread if spread > 0 else 0.0
    value = base + script.effect * shift
    if not 0 <= value <= 1:
        raise ModelError(
            f"scripted: accuracy {base} and effect {script.effect} give a chance of {value:.3f} in cell {cell}; "
            "take a smaller effect or an accuracy nearer .5"
        )
    return value


def weight(spatial: str, row: int, column: int, grid: tuple[int, int]) -> float:
    """How well a cell is answered, in no unit: higher is better; the caller takes off the mean and scales the range."""
    y, x = (0.0 if count == 1 else 2 * index / (count - 1) - 1 for index, count in zip((row, column), grid))
    if spatial == "centre":
        return -math.hypot(y, x)
    if spatial == "bottom_right":
        return y + x
    return -x if spatial == "left" else float((row + column) % 2 == 0)


def _gaussian(script: Script, trial: Trial) -> float:
    probe, clip = trial.probe.probe_id, script.clip_correlation
    own = _normal(script, f"{probe}/{place(trial)}")
    if script.noise == "shared":
        own = _normal(script, f"{probe}/every slot")
    elif script.noise == "sticky":
        common = _normal(script, f"{probe}/every slot")
        own = math.sqrt(STICKY_SHARE) * common + math.sqrt(1 - STICKY_SHARE) * _autoregressive(script, trial)
    if clip == 0.0:
        return own
    shock = _normal(script, f"clip {trial.probe.cluster_id}/{place(trial)}")
    return math.sqrt(clip) * shock + math.sqrt(1 - clip) * own


def _autoregressive(script: Script, trial: Trial) -> float:
    """Luck that a slot hands on to the next one; the probe alone and other factors stand apart."""
    probe, last = trial.probe.probe_id, trial.slot
    if last is None or trial.factors:
        return _normal(script, f"{probe}/{place(trial)}")
    value = _normal(script, f"{probe}/0")
    for slot in range(1, last + 1):
        value = STICKY_AR * value + math.sqrt(1 - STICKY_AR**2) * _normal(script, f"{probe}/{slot}")
    return value


def _normal(script: Script, key: str) -> float:
    return NORMAL.inv_cdf(luck(script, key))


def _logistic(normal: float) -> float:
    """The logistic value at the same quantile; from the lower tail, where the quantile loses no digits."""
    tail = NORMAL.cdf(-abs(normal))
    return math.copysign(math.log1p(-tail) - math.log(tail), normal)
