"""Audits predictions that somebody already has: where in the image they are right, and what is left of it."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vlbias.errors import BadInput, UnknownName
from vlbias.estimates import Estimate
from vlbias.formats import coco
from vlbias.formats._predictions import Prediction, Target
from vlbias.formats._predictions import predictions as read
from vlbias.metrics import _detection
from vlbias.metrics._blocks import Floats, Ints
from vlbias.metrics._means import mean_estimate
from vlbias.metrics._resample import percentile
from vlbias.metrics._zone_audit import PERMUTATIONS, Zoned, border_gap, image_weights, strata, zone_estimates
from vlbias.metrics._zone_precision import Boxes, zone_precision
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
    frame: str | None,
    zones: str,
    rng: np.random.Generator,
    images: Path | None = None,
) -> list[Estimate]:
    """The estimates of one file of predictions, and where there is a second, of the first less the second.

    A file of COCO results, whose boxes belong to images and not to targets, gives average precision, and an .npz maps
    of attention; each says its frame itself. For all others `frame` must be given, as it is never guessed.
    """
    if zones not in ZONES:
        raise UnknownName(what="zones", name=zones, known=ZONES)
    maps = any(path.suffix == ".npz" for path in predictions)
    if maps or (format_name == "coco" and coco.are_results(predictions[0])):
        if len(predictions) > 1 or frame is not None:
            raise BadInput(f"{predictions[0]}: maps and COCO results have a frame of their own and stand alone")
        return (
            attended(file, format_name, predictions[0], zones=zones, rng=rng, images=images)
            if maps
            else precision(file, predictions[0], zones=zones)
        )
    if frame is None:
        raise BadInput("--predictions needs --frame: pixels, 0..1 or 0..1000; it is never guessed")
    if frame not in FRAMES:
        raise UnknownName(what="frame", name=frame, known=FRAMES)
    targets = targets_of(file, format_name, images=images)
    found = [scored(targets, read(path, targets, frame=frame), zones=zones) for path in predictions]
    out = measure(found[0], zones=zones, rng=rng)
    if found[0].points:
        out += blind(found[0], zones=zones, rng=rng)
    return out if len(found) == 1 else [*out, *difference(found[0], found[1], zones=zones, rng=rng)]


def precision(file: Path, detections: Path, *, zones: str) -> list[Estimate]:
    """Average precision by zone of a COCO results file for its instances file, at IoU .5 and .75."""
    targets, said = coco.targets(file), coco.detections(detections, file)
    names = [sorted({getattr(one, part) for one in (*targets, *said)}) for part in ("image", "kind")]
    truth, found = (_boxes(some, names, zones=zones) for some in (targets, said))
    found = replace(found, score_M=np.array([one.score for one in said], dtype=np.float64))
    return zone_precision(truth, found, task=zones, n_zones=COUNT)


def _boxes(some: Sequence[Target] | Sequence[coco.Detection], names: Sequence[list[str]], *, zones: str) -> Boxes:
    box_M4 = np.array([one.box_xyxy for one in some], dtype=np.float64)
    images, kinds = ({name: k for k, name in enumerate(part)} for part in names)
    return Boxes(
        box_M4=box_M4,
        image_M=np.array([images[one.image] for one in some], dtype=np.intp),
        category_M=np.array([kinds[one.kind] for one in some], dtype=np.intp),
        zone_M=_zones(_detection.centres(box_M4), zones),
    )


def attended(
    file: Path, format_name: str, maps: Path, *, zones: str, rng: np.random.Generator, images: Path | None = None
) -> list[Estimate]:
    """V2P's diagnostics (arXiv 2508.13634) by zone: attention in the target's box, and how far off its peak is.

    `maps` is an .npz with an array [H, W], not negative, of patches of the whole image under each target's id. Mass is
    in points, less the share of the image that the box takes, which even attention would give; the peak's offset is in
    half diagonals of the box. Targets without a map are left out and counted.
    """
    targets = targets_of(file, format_name, images=images)
    held = _maps(maps, [t.target_id for t in targets])
    mine = [t for t in targets if t.target_id in held]
    box_N4 = np.array([t.box_xyxy for t in mine], dtype=np.float64)
    mass_N = np.array([_detection.in_box_mass(held[t.target_id], t.box_xyxy) for t in mine])
    over_N = 100 * (mass_N - _detection.area(box_N4))
    offset_N = np.array([_detection.peak_offset(held[t.target_id], t.box_xyxy) for t in mine])
    zone_N, names = _zones(_detection.centres(box_N4), zones), np.array([t.image for t in mine])
    notes = (f"{len(targets) - len(mine)} of {len(targets)} targets have no map",) if len(mine) < len(targets) else ()
    out = []
    for metric, unit, value_N in (
        ("attention_in_box_over_area", "points", over_N),
        ("attention_peak_offset", "half diagonals of the target", offset_N),
    ):
        for slot in (None, *range(COUNT)):
            here = np.full(len(mine), True) if slot is None else zone_N == slot
            blank = Estimate(metric=metric, task=zones, slot=slot, unit=unit, notes=notes)
            out.append(mean_estimate(blank, value_N[here], names[here].tolist(), rng=rng, bounds=(-np.inf, np.inf)))
    return out


def _maps(path: Path, ids: Sequence[str]) -> dict[str, Floats]:
    try:
        with np.load(path, allow_pickle=False) as found:
            held = {name: np.asarray(found[name], dtype=np.float64) for name in found.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise BadInput(f"{path}: cannot be read as .npz of arrays: {error}") from error
    strange = sorted(held.keys() - set(ids))
    if strange or not held:
        raise BadInput(f"{path}: found {f'a map of the unknown id {strange[0]!r}' if strange else 'no map'}")
    for name, map_HW in held.items():
        if map_HW.ndim != 2 or not np.isfinite(map_HW).all():
            raise BadInput(f"{path}: {name}: found an array of shape {map_HW.shape}; right is [H, W] of finite numbers")
    return held


def _zones(centre_N2: Floats, zones: str) -> Ints:
    axis = {"rows": 1, "columns": 0}.get(zones)
    if axis is None:
        return _detection.rings(centre_N2, count=COUNT)
    return _detection.bands(centre_N2, count=COUNT, axis=axis)


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
    return Scored(
        right_N=hit_N,
        point_N2=point_N2,
        box_N4=box_N4,
        ring_N=ring_N,
        zone_N=_zones(centre_N2, zones),
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
    tested = f", p = {e.reference.p_value:.4g}" if e.reference and e.reference.p_value is not None else ""
    tells_luck = e.reference is not None and ("variance" in e.metric or e.metric == "rule_accuracy")
    luck = f", by luck {e.reference.mean:.2f}" if e.reference and tells_luck else ""
    notes = f"; {'; '.join(e.notes)}" if e.metric == "over_best_rule" else ""
    return f"{name}: {round(e.value, 2) + 0.0:.2f} {e.unit}{limits}{luck}{tested} (n = {e.n}){notes}"
