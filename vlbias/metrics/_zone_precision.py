"""Average precision zone by zone, where detections have scores."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from vlbias.estimates import Estimate
from vlbias.metrics._blocks import Floats, Ints
from vlbias.metrics._detection import average_precision, take_boxes

THRESHOLDS = (0.5, 0.75)
PARTS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class Boxes:
    """Boxes (xyxy in 0..1) with the number of their image, category and zone; `score_M` is None of true ones.

    `group_M` numbers what images share, as their item; None where every image stands for itself.
    """

    box_M4: Floats
    image_M: Ints
    category_M: Ints
    zone_M: Ints
    score_M: Floats | None = None
    group_M: Ints | None = None

    @property
    def unit_M(self) -> Ints:
        """What is left out together: the group, else the image."""
        return self.image_M if self.group_M is None else self.group_M


def zone_precision(truth: Boxes, said: Boxes, *, task: str, n_zones: int) -> list[Estimate]:
    """AP in points at IoU .5 and .75 of all zones together and of each, a mean over categories with a true box there.

    A zone holds the true boxes and the detections whose centres lie in it (ZoneEval, arXiv 2310.13215); a detection is
    matched within its image, category and zone. Intervals are of a jackknife over 20 parts of the images, which leave a
    group together. A zone without a true box has no value.
    """
    out = []
    for threshold in THRESHOLDS:
        metric = f"zone_average_precision_{round(100 * threshold)}"
        for slot in (None, *range(n_zones)):
            blank = Estimate(metric=metric, task=task, slot=slot, unit="points")
            in_T, in_M = (_within(boxes, slot) for boxes in (truth, said))
            out.append(_estimate(blank, truth, said, in_T, in_M, threshold=threshold))
    return out


def _within(boxes: Boxes, zone: int | None) -> Ints:
    """The boxes of a zone, or all."""
    return np.arange(len(boxes.zone_M)) if zone is None else np.flatnonzero(boxes.zone_M == zone)


def _estimate(blank: Estimate, truth: Boxes, said: Boxes, keep_T: Ints, keep_M: Ints, *, threshold: float) -> Estimate:
    units = np.unique(truth.unit_M[keep_T])
    if not len(keep_T):
        return replace(blank, notes=("no true box lies in this zone",), clusters=0)
    right_M = _right(truth, said, keep_T, keep_M, threshold=threshold)
    value = _mean_precision(truth, said, keep_T, keep_M, right_M)
    if len(units) < 2:
        return replace(blank, value=value, interval="not available: one image", n=len(keep_T), clusters=1)
    part_of = np.full(int(max(truth.unit_M.max(), said.unit_M.max(initial=0))) + 1, -1)
    n_parts = min(PARTS, len(units))
    part_of[units] = np.arange(len(units)) % n_parts
    left = []
    for g in range(n_parts):
        some_T = keep_T[part_of[truth.unit_M[keep_T]] != g]
        some = part_of[said.unit_M[keep_M]] != g
        left.append(_mean_precision(truth, said, some_T, keep_M[some], right_M[some]))
    spread = float(np.sqrt((n_parts - 1) / n_parts * np.square(np.array(left) - np.mean(left)).sum()))
    if spread == 0.0:
        why = "not available: the same without any group of images"
        return replace(blank, value=value, interval=why, n=len(keep_T), clusters=len(units))
    reach = float(stats.t.ppf(0.975, n_parts - 1)) * spread
    interval = f"jackknife over {n_parts} groups of images, t"
    low, high = max(0.0, value - reach), min(100.0, value + reach)
    return replace(blank, value=value, low=low, high=high, interval=interval, n=len(keep_T), clusters=len(units))


def _right(truth: Boxes, said: Boxes, keep_T: Ints, keep_M: Ints, *, threshold: float) -> Floats:
    """1 for each kept detection that takes a kept true box of its image and category."""
    assert said.score_M is not None
    by_place: dict[tuple[int, int], list[int]] = {}
    for t in keep_T:
        by_place.setdefault((int(truth.image_M[t]), int(truth.category_M[t])), []).append(int(t))
    mine: dict[tuple[int, int], list[int]] = {}
    for at, m in enumerate(keep_M):
        mine.setdefault((int(said.image_M[m]), int(said.category_M[m])), []).append(at)
    right_M = np.zeros(len(keep_M))
    for place, ats in mine.items():
        if place in by_place:
            chosen = keep_M[ats]
            true_T4 = truth.box_M4[by_place[place]]
            right_M[ats] = take_boxes(said.score_M[chosen], said.box_M4[chosen], true_T4, threshold=threshold)
    return right_M


def _mean_precision(truth: Boxes, said: Boxes, keep_T: Ints, keep_M: Ints, right_M: Floats) -> float:
    """The mean over categories that have a true box, in points."""
    assert said.score_M is not None
    found = []
    category_T, category_M = truth.category_M[keep_T], said.category_M[keep_M]
    for category in np.unique(category_T):
        here = category_M == category
        n_true = int((category_T == category).sum())
        value = average_precision(said.score_M[keep_M][here], right_M[here], n_true=n_true)
        found.append(100 * (value or 0.0))
    return float(np.mean(found))
