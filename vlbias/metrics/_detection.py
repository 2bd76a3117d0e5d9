"""How well boxes and points hit what they should: overlap, distance, direction and kind of error, as pure functions.

Boxes are xyxy and points xy in 0..1 of the image. What was not predicted is a row of NaN: it has no overlap, no
distance and no direction, and only the kind `miss`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vlbias.errors import BadInput
from vlbias.metrics._blocks import Floats, Ints

KINDS = ("miss", "wrong_place", "off", "loose", "tight")
KIND_EDGES = (0.1, 0.5, 0.8)


def iou(one_N4: Floats, other_N4: Floats) -> Floats:
    """Intersection over union of boxes, pair by pair; NaN where one is not there. A box without area is an error."""
    for boxes_N4 in (one_N4, other_N4):
        _check(boxes_N4)
    near_N2, far_N2 = np.maximum(one_N4[:, :2], other_N4[:, :2]), np.minimum(one_N4[:, 2:], other_N4[:, 2:])
    inter_N = np.clip(far_N2 - near_N2, 0, None).prod(axis=1)
    return np.asarray(inter_N / (area(one_N4) + area(other_N4) - inter_N))


def area(boxes_N4: Floats) -> Floats:
    """The area of each box, in images."""
    return np.asarray((boxes_N4[:, 2:] - boxes_N4[:, :2]).prod(axis=1))


def centres(boxes_N4: Floats) -> Floats:
    """The centre of each box, [N, 2] xy."""
    return np.asarray((boxes_N4[:, :2] + boxes_N4[:, 2:]) / 2)


def within(point_N2: Floats, box_N4: Floats) -> Floats:
    """1 where the point lies in the box, edges inclusive (as ScreenSpot scores), else 0; NaN without a point."""
    inside_N = ((point_N2 >= box_N4[:, :2]) & (point_N2 <= box_N4[:, 2:])).all(axis=1).astype(np.float64)
    return np.where(np.isnan(point_N2).any(axis=1), np.nan, inside_N)


def accuracy_at(iou_N: Floats, threshold: float) -> Floats:
    """1 where the overlap is the threshold or more, else 0; NaN without a prediction. Count those apart, as misses."""
    return np.where(np.isnan(iou_N), np.nan, (iou_N >= threshold).astype(np.float64))


def centre_distance(point_N2: Floats, box_N4: Floats, *, image_wh_px: Floats) -> Floats:
    """From the point to the centre of the box, in diagonals of the image; `image_wh_px` is [N, 2]."""
    away_N2 = (point_N2 - centres(box_N4)) * image_wh_px
    return np.asarray(np.linalg.norm(away_N2, axis=1) / np.linalg.norm(image_wh_px, axis=1))


def signed_error(point_N2: Floats, box_N4: Floats) -> Floats:
    """How far the point lies right of and below the centre, in sides of the box, [N, 2]. Within the box up to 1/2."""
    _check(box_N4)
    return np.asarray((point_N2 - centres(box_N4)) / (box_N4[:, 2:] - box_N4[:, :2]))


def error_kinds(iou_N: Floats) -> tuple[str, ...]:
    """miss (nothing predicted), wrong_place (IoU < .1), off (< .5), loose (< .8) or tight, of each prediction.

    `wrong_place` and `loose` are the polar negatives and inferior positives of WiCo (arXiv 2306.10750); where their
    bands have gaps ours close them.
    """
    band_N = 1 + np.searchsorted(np.array(KIND_EDGES), iou_N, side="right")
    return tuple(KINDS[0] if np.isnan(v) else KINDS[int(k)] for v, k in zip(iou_N, band_N, strict=True))


# --- zones


def rings(point_N2: Floats, *, count: int = 5) -> Ints:
    """The ring in which each point lies: 0 at the border, `count` - 1 in the middle.

    Ring i is within the rectangle that is inset by i / (2 count) of the sides, but not within the next (ZoneEval,
    arXiv 2310.13215, where `count` is 5).
    """
    _inside(point_N2)
    from_edge_N = np.minimum(point_N2, 1 - point_N2).min(axis=1)
    return np.asarray(np.minimum((2 * count * from_edge_N).astype(np.intp), count - 1))


def bands(point_N2: Floats, *, count: int, axis: int) -> Ints:
    """The column (axis 0) or row (axis 1) of `count` equal ones in which each point lies."""
    _inside(point_N2)
    return np.asarray(np.minimum((count * point_N2[:, axis]).astype(np.intp), count - 1))


def cells(point_N2: Floats, *, rows: int, columns: int) -> Ints:
    """The cell of a grid in which each point lies, in raster order."""
    return bands(point_N2, count=rows, axis=1) * columns + bands(point_N2, count=columns, axis=0)


def average_precision(score_M: Floats, right_M: Floats, *, n_true: int) -> float | None:
    """The area under the precision-recall curve of scored detections, precision made monotone (VOC 2010).

    `right_M` is 1 where a detection took a true box of its own. None where there is no true box in the zone. Equal
    scores enter together, so their order in the file changes nothing.
    """
    if n_true == 0:
        return None
    if right_M.sum() > n_true:
        raise BadInput(f"found {int(right_M.sum())} right detections of {n_true} true boxes; each box is taken once")
    if len(score_M) == 0:
        return 0.0
    order_M = np.argsort(-score_M, kind="stable")
    last_M = np.append(np.diff(score_M[order_M]) != 0, True)
    hits_M = np.cumsum(right_M[order_M])[last_M]
    recall_M, precision_M = hits_M / n_true, hits_M / (np.flatnonzero(last_M) + 1)
    best_M = np.maximum.accumulate(precision_M[::-1])[::-1]
    return float((np.diff(recall_M, prepend=0.0) * best_M).sum())


def take_boxes(score_M: Floats, boxes_M4: Floats, truth_T4: Floats, *, threshold: float = 0.5) -> Floats:
    """1 for each detection of one image that takes a true box: best score first, each box once."""
    right_M, free = np.zeros(len(score_M)), set(range(len(truth_T4)))
    for m in np.argsort(-score_M, kind="stable"):
        if not free:
            break
        left = sorted(free)
        overlap = iou(np.broadcast_to(boxes_M4[m], (len(left), 4)), truth_T4[left])
        best = int(np.argmax(overlap))
        if overlap[best] >= threshold:
            right_M[m] = 1.0
            free.remove(left[best])
    return right_M


# --- attention


def in_box_mass(attention_HW: Floats, box_xyxy: Sequence[float]) -> float:
    """The share of attention over a grid of patches that falls in a box; patches at its edge count in part."""
    total = float(attention_HW.sum())
    if not total > 0 or (attention_HW < 0).any():
        raise BadInput(f"attention is not negative and has a positive sum, found a sum of {total}")
    x1, y1, x2, y2 = box_xyxy
    cover_H, cover_W = (_covered(n, low, high) for n, low, high in zip(attention_HW.shape, (y1, x1), (y2, x2)))
    return float(cover_H @ attention_HW @ cover_W) / total


def peak_offset(attention_HW: Floats, box_xyxy: Sequence[float]) -> float:
    """From the patch with most attention to the centre of the box, in half diagonals of the box."""
    height, width = attention_HW.shape
    row, column = divmod(int(np.argmax(attention_HW)), width)
    x1, y1, x2, y2 = box_xyxy
    away = np.hypot((column + 0.5) / width - (x1 + x2) / 2, (row + 0.5) / height - (y1 + y2) / 2)
    return float(away / (np.hypot(x2 - x1, y2 - y1) / 2))


def _covered(n: int, low: float, high: float) -> Floats:
    """How much of each of n equal parts of 0..1 lies between low and high."""
    edge = np.arange(n + 1) / n
    return np.asarray(np.clip(np.minimum(edge[1:], high) - np.maximum(edge[:-1], low), 0, None) * n)


def _check(boxes_N4: Floats) -> None:
    bad = np.flatnonzero((boxes_N4[:, 2:] <= boxes_N4[:, :2]).any(axis=1))
    if len(bad):
        raise BadInput(f"box {bad[0]} is {boxes_N4[bad[0]].tolist()}; right is x1 < x2 and y1 < y2. Is it xywh?")


def _inside(point_N2: Floats) -> None:
    bad = np.flatnonzero(~((point_N2 >= 0) & (point_N2 <= 1)).all(axis=1))
    if len(bad):
        raise BadInput(f"point {bad[0]} is {point_N2[bad[0]].tolist()}; zones need points in 0..1 of the image")
