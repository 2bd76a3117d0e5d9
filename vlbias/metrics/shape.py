"""Names the shape of the position curve, or says that it cannot be named yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from vlbias.answers import Outcome, slots
from vlbias.estimates import Estimate
from vlbias.metrics._attrition import ALARM, attrition_p
from vlbias.metrics._blocks import Blocks, blocks, by_task, right_points, rows
from vlbias.metrics._position_test import PositionTest, position_test
from vlbias.metrics._resample import exact_share

MARGIN_POINTS = 5.0
LEVEL = 0.05
FEW_DISCORDANT = 20
SMALLEST = 2.80


def measure(outcomes: Sequence[Outcome], *, rng: np.random.Generator) -> list[Estimate]:
    """The label of the accuracy curve: none, head, neighbour, U, inverted U, volatile or undetermined.

    A shape needs the permutation min-p at .05. U and inverted U need both ends above or below the middle, each
    one-sided at .05 (intersection-union; Simonsohn 2018 on why a quadratic term is not enough). "none" needs two
    one-sided tests inside 5 points on the slope and on each end. `value` stays None: no calibrated confidence.
    """
    if not outcomes:
        return []
    n_slots, counts = slots(outcomes), not rows(outcomes)
    p_missing = attrition_p(outcomes, rng=rng)
    out = []
    for task, found in by_task(blocks(outcomes, right_points)):
        blank = Estimate(
            metric="shape",
            task=task,
            label="undetermined",
            interval="not available: a label",
            n=found.n,
            clusters=found.n_clusters,
            notes=found.notes,
        )
        if counts or found.n_clusters < 2 or n_slots < 3:
            why = "counts only: no answers per probe" if counts else "needs three slots and two clusters"
            out.append(replace(blank, notes=(why, *found.notes)))
            continue
        label, why = _label(found, position_test(*found.sums(), rng=rng))
        if p_missing is not None and p_missing < ALARM:
            label, why = "undetermined", f"withheld: missing answers depend on the slot (p = {p_missing:.2g})"
        out.append(replace(blank, label=label, notes=(why, *found.notes)))
    return out


def _label(found: Blocks, test: PositionTest) -> tuple[str, str]:
    if test.p_any > LEVEL:
        return _no_effect(found, test)
    gate = f"min-p = {test.p_any:.4g}"
    df = found.n_clusters - 1
    value, p = dict(zip(test.names, test.value_K)), dict(zip(test.names, test.p_adjusted_K))
    up = {k: _one_sided(v, se, df) for k, v, se in zip(test.names, test.value_K, test.se_K)}
    ends = up["head_minus_middle"], up["neighbour_minus_middle"]
    if max(ends) <= LEVEL:
        return "U", f"{gate}; both ends above the middle"
    if min(ends) >= 1 - LEVEL:
        return "inverted U", f"{gate}; both ends below the middle"
    gap = value["head_minus_middle"] - value["neighbour_minus_middle"]
    if gap > 0 and value["slope"] < 0 and (p["slope"] <= LEVEL or (p["head_minus_middle"] <= LEVEL and ends[0] < 0.5)):
        return "head", f"{gate}; accuracy falls from the head"
    beside = p["neighbour_minus_middle"] <= LEVEL and ends[1] < 0.5
    if gap < 0 and value["slope"] > 0 and (p["slope"] <= LEVEL or beside):
        return "neighbour", f"{gate}; accuracy rises towards the question"
    if min(p.values()) > LEVEL:
        return "volatile", f"{gate}; slots differ but no contrast does"
    return "undetermined", f"{gate}; slots differ, but the shape is not resolved"


def _one_sided(value: float, se: float, df: int) -> float:
    """The p-value of "above 0"; a contrast that is the same in every cluster is as sure as can be."""
    if se == 0.0:
        return 0.5 if value == 0.0 else float(value < 0.0)
    return float(stats.t.sf(value / se, df))


def _no_effect(found: Blocks, test: PositionTest) -> tuple[str, str]:
    tested = [k for k, name in enumerate(test.names) if name != "curvature"]
    discordant = len(np.unique(found.cluster_N[np.ptp(found.values_NP, axis=1) > 0]))
    if discordant < FEW_DISCORDANT:
        # Too few probes change for a t interval; each can move a contrast of the ends by 100 points at most.
        bound = 100 * exact_share(discordant, found.n_clusters, confidence=0.90)[1]
        smallest = bound
        how = f"at most {bound:.1f} % of clusters change with the slot"
    else:
        t = float(stats.t.ppf(1 - LEVEL, found.n_clusters - 1))
        bound = max(abs(float(test.value_K[k])) + t * float(test.se_K[k]) for k in tested)
        smallest = SMALLEST * max(float(test.se_K[k]) for k in tested)
        how = f"|slope|, |head - middle| and |neighbour - middle| are below {bound:.1f} points"
    if bound < MARGIN_POINTS:
        return "none", f"{how}; equivalence margin {MARGIN_POINTS:.0f} points; single slots may still differ"
    return "undetermined", f"no effect found; smallest detectable effect about {smallest:.1f} points (80 % power)"
