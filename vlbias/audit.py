"""Audits predictions that somebody already has: where in the image they are right, and what is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vlbias.errors import BadInput, UnknownName
from vlbias.estimates import Estimate
from vlbias.formats._predictions import Prediction, Target
from vlbias.formats._predictions import predictions as read
from vlbias.metrics import _detection
from vlbias.metrics._blocks import Floats, Ints
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._resample import percentile
from vlbias.metrics._zone_audit import PERMUTATIONS, Zoned, border_gap, image_weights, strata, zone_estimates
from vlbias.shortcuts import targets_of

FRAMES = ("pixels", "0..1", "0..1000")
ZONES = ("rings", "rows", "columns")
COUNT = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """Targets and one file of predictions for them as arrays; what was not predicted is NaN in `right_N`."""

    right_N: Floats
    point_N2: Floats
    box_N4: Floats
    ring_N: Ints
    zone_N: Ints
    stratum_N: Ints
    image_N: Ints
    points: bool

    @property
    def predicted_N(self) -> Floats:
        """1 where there is a prediction, else 0."""
        return (~np.isnan(self.right_N)).astype(np.float64)

    @property
    def zoned(self) -> Zoned:
        """The targets that have a prediction."""
        keep = ~np.isnan(self.right_N)
        parts = {n: getattr(self, f"{n}_N")[keep] for n in ("right", "zone", "stratum", "image")}
        return Zoned(
            right_N=parts["right"],
            zone_N=parts["zone"],
            stratum_N=parts["stratum"],
            image_N=np.unique(parts["image"], return_inverse=True)[1].reshape(-1).astype(np.intp),
            n_zones=COUNT,
        )


def audit(
    file: Path,
    format_name: str,
    predictions: Sequence[Path],
    *,
    frame: str,
    zones: str,
    rng: np.random.Generator,
    images: Path | None = None,
) -> list[Estimate]:
    """The estimates of one file of predictions, and where there is a second, of the first less the second."""
    for what, name, known in (("frame", frame, FRAMES), ("zones", zones, ZONES)):
        if name not in known:
            raise UnknownName(what=what, name=name, known=known)
    targets = targets_of(file, format_name, images=images)
    found = [scored(targets, read(path, targets, frame=frame), zones=zones) for path in predictions]
    out = measure(found[0], zones=zones, rng=rng)
    if found[0].points:
        out += blind(found[0], zones=zones, rng=rng)
    return out if len(found) == 1 else [*out, *difference(found[0], found[1], zones=zones, rng=rng)]


def scored(targets: Sequence[Target], predictions: Sequence[Prediction], *, zones: str = "rings") -> Scored:
    """A point is right inside the target's box, edges inclusive; a box is right at an IoU of .5 or more.

    Zones are those of the targets' centres. A file that mixes points and boxes is an error.
    """
    if [t.target_id for t in targets] != [p.target_id for p in predictions]:
        raise BadInput("targets and predictions are not in one order")
    lengths = {len(p.found) for p in predictions if p.found is not None}
    if len(lengths) != 1:
        what = "points and boxes are mixed" if lengths else "there is no prediction"
        raise BadInput(f"{what} in this file of predictions; give points or boxes, one or more")
    width = lengths.pop()
    said = np.array([p.found if p.found is not None else (np.nan,) * width for p in predictions], dtype=np.float64)
    box_N4 = np.array([t.box_xyxy for t in targets], dtype=np.float64)
    point_N2 = said if width == 2 else _detection.centres(said)
    hit_N = _detection.within(said, box_N4) if width == 2 else _detection.accuracy_at(_detection.iou(said, box_N4), 0.5)
    centre_N2 = _detection.centres(box_N4)
    ring_N = _detection.rings(centre_N2, count=COUNT)
    axis = {"rows": 1, "columns": 0}.get(zones)
    return Scored(
        right_N=hit_N,
        point_N2=point_N2,
        box_N4=box_N4,
        ring_N=ring_N,
        zone_N=ring_N if axis is None else _detection.bands(centre_N2, count=COUNT, axis=axis),
        stratum_N=strata(_detection.area(box_N4), [t.kind for t in targets]),
        image_N=np.unique([t.image for t in targets], return_inverse=True)[1].reshape(-1).astype(np.intp),
        points=width == 2,
    )


def measure(found: Scored, *, zones: str, rng: np.random.Generator, draws: int = PERMUTATIONS) -> list[Estimate]:
    """How many targets have a prediction, accuracy by zone with tests, and the direction of errors.

    Accuracy is over targets with a prediction; `zone_predicted` is the share that has one, zone by zone, as a parser
    that fails more at the border is a bias of its own. Errors are in sides of the target's box, right and down.
    """
    images = [str(i) for i in found.image_N]
    out = [_share(found, k, zones=zones, images=images, rng=rng) for k in range(COUNT)]
    out += zone_estimates(found.zoned, task=zones, rng=rng, draws=draws)
    if zones != "rings":
        out = [e for e in out if "border" not in e.metric]  # the first row is not the border
    error_N2 = _detection.signed_error(found.point_N2, found.box_N4)
    for name, keep in (("hits", found.right_N == 1), ("misses", found.right_N == 0)):
        for axis, way in enumerate(("right", "down")):
            blank = Estimate(metric=f"error_{way}_{name}", task=zones, unit="sides of the target")
            mine = [image for image, k in zip(images, keep, strict=True) if k]
            out.append(mean_estimate(blank, error_N2[keep, axis], mine, rng=rng, bounds=(-np.inf, np.inf)))
    return out


def blind(found: Scored, *, zones: str, rng: np.random.Generator) -> list[Estimate]:
    """What points get that were made without a look: the centre of the image, and the mean place of the other targets.

    `over_best_blind` is the accuracy of the predictions less that of the better of the two, on the same targets: what
    looking is worth. A box at a blind place has no size, so it is for predictions that are points.
    """
    centre_N2 = _detection.centres(found.box_N4)
    n, images = len(centre_N2), [str(i) for i in found.image_N]
    places = {"blind_centre": np.full((n, 2), 0.5)}
    if n > 1:
        places["blind_mean_place"] = (centre_N2.sum(axis=0) - centre_N2) / (n - 1)
    right = {name: _detection.within(point_N2, found.box_N4) for name, point_N2 in places.items()}
    out = [
        mean_estimate(Estimate(metric=name, task=zones, unit="points"), 100 * hit_N, images, rng=rng)
        for name, hit_N in right.items()
    ]
    best = max(right, key=lambda name: float(right[name].mean()))
    keep = ~np.isnan(found.right_N)
    blank = Estimate(metric="over_best_blind", task=zones, unit="points", notes=(f"the better blind rule is {best}",))
    mine = [image for image, k in zip(images, keep, strict=True) if k]
    gain_N = 100 * (found.right_N - right[best])[keep]
    return [*out, mean_estimate(blank, gain_N, mine, rng=rng, bounds=(-100.0, 100.0))]


def difference(one: Scored, other: Scored, *, zones: str, rng: np.random.Generator) -> list[Estimate]:
    """Accuracy and the stratified border gap of one file less those of another, over targets that both predict.

    Images are drawn once for both files, so the intervals are paired.
    """
    both = (one.predicted_N * other.predicted_N) == 1
    if not both.any():
        raise BadInput("no target has a prediction in both files; nothing can be compared")
    pair = [replace(s, zone_N=s.ring_N, right_N=np.where(both, s.right_N, np.nan)).zoned for s in (one, other)]
    n, g = len(pair[0].right_N), len(np.unique(pair[0].image_N))
    if g < 2:
        raise BadInput("the targets that both files predict lie in one image; an interval needs two or more")
    weight_BN = np.concatenate([np.ones((1, n)), image_weights(pair[0].image_N, rng=rng)])
    mean_B = 100 * weight_BN @ (pair[0].right_N - pair[1].right_N) / weight_BN.sum(axis=1)
    gap_B = border_gap(pair[0], weight_BN) - border_gap(pair[1], weight_BN)
    out = []
    for metric, drawn_B in (("accuracy_difference", mean_B), ("border_gap_difference", gap_B)):
        blank = Estimate(metric=metric, task=zones, unit="points", n=n, clusters=g)
        if np.isnan(drawn_B[0]):
            out.append(replace(blank, notes=("no stratum has targets both at the border and elsewhere",)))
            continue
        rest = drawn_B[1:][~np.isnan(drawn_B[1:])]
        low, high = percentile(rest, float(drawn_B[0]), n_clusters=g)
        how = "paired bootstrap over images, percentile, 2000 draws"
        out.append(replace(blank, value=float(drawn_B[0]), low=low, high=high, interval=how))
    return out


def _share(found: Scored, zone: int, *, zones: str, images: Sequence[str], rng: np.random.Generator) -> Estimate:
    here = found.zone_N == zone
    blank = Estimate(metric="zone_predicted", task=zones, slot=zone, unit="points")
    if not here.any():
        return replace(blank, notes=("no target lies in this zone",), clusters=0)
    mine = [image for image, k in zip(images, here, strict=True) if k]
    return mean_estimate(blank, 100 * found.predicted_N[here], mine, rng=rng)


def words(estimates: Sequence[Estimate]) -> list[str]:
    """One line per estimate, for a terminal."""
    return [_line(e) for e in estimates]


def _line(e: Estimate) -> str:
    name = e.metric if e.slot is None else f"{e.metric} {e.task} {e.slot + 1}"
    name = f"{name} {e.task}" if e.metric == "rule_accuracy" else name
    if e.label is not None:
        return f"{name}: {e.label}"
    if e.value is None:
        return f"{name}: not available ({'; '.join(e.notes) or e.interval})"
    limits = f" [{e.low:.2f}, {e.high:.2f}]" if e.low is not None and e.high is not None else ""
    p = e.reference.p_value if e.reference else None
    tells_luck = e.reference is not None and ("variance" in e.metric or e.metric == "rule_accuracy")
    luck = f", by luck {e.reference.mean:.2f}" if e.reference and tells_luck else ""
    notes = f"; {'; '.join(e.notes)}" if e.metric == "over_best_rule" else ""
    return f"{name}: {e.value:.2f} {e.unit}{limits}{luck}{f', p = {p:.4g}' if p is not None else ''} (n = {e.n}){notes}"
