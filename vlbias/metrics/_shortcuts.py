"""Blind rules: what a data set gives away to a guess that never looks at the image, and a subset that gives less away.

The rules follow "To Find Waldo" (ACL 2022); its table of rules is not public, so the list is ours. Ties are not broken:
a rule that is torn between t candidates is right with 1/t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vlbias.estimates import Estimate, Reference
from vlbias.metrics import _detection
from vlbias.metrics._blocks import Floats, Ints
from vlbias.metrics._means import mean_estimate

SAME_PLACE = 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class Guess:
    """The answers of one rule: how likely each is right, and by a random pick; NaN where the rule has none."""

    rule: str
    right_N: Floats
    chance_N: Floats


def box_guesses(box_N4: Floats, image_N: Ints, mention_N: Floats) -> list[Guess]:
    """Rules for targets that are boxes. The candidates of a target are the boxes that the data set has in its image.

    Points: the centre of the image, and the mean place in other images; a random point is right with the share of the
    image that the box covers. Boxes, where an image has two candidates or more: the one nearest to the centre, the
    largest, the leftmost, the first listed; and where `mention_N` (from 0, NaN: not told) says the order in which a
    caption names them, the largest for the first named, and left to right in that order.
    """
    centre_N2, area_N = _detection.centres(box_N4), _detection.area(box_N4)
    middle_N2 = np.full_like(centre_N2, 0.5)
    out = [Guess(rule="centre_point", right_N=_detection.within(middle_N2, box_N4), chance_N=area_N)]
    elsewhere_N2 = _mean_elsewhere(centre_N2, image_N)
    hit_N = _detection.within(elsewhere_N2, box_N4)
    out.append(Guess(rule="mean_place", right_N=hit_N, chance_N=np.where(np.isnan(hit_N), np.nan, area_N)))
    groups = [np.flatnonzero(image_N == image) for image in np.unique(image_N)]
    from_centre_N = np.linalg.norm(centre_N2 - 0.5, axis=1)
    ranked = {"centre_box": from_centre_N, "largest_box": -area_N, "leftmost_box": centre_N2[:, 0]}
    out += [_picked(rule, score_N, box_N4, groups) for rule, score_N in ranked.items()]
    out.append(_picked("first_listed_box", np.arange(len(box_N4), dtype=np.float64), box_N4, groups))
    if not np.isnan(mention_N).all():
        largest = out[3]
        named_N = mention_N == 0
        out.append(
            Guess(
                rule="first_mentioned_is_largest",
                right_N=np.where(named_N, largest.right_N, np.nan),
                chance_N=np.where(named_N, largest.chance_N, np.nan),
            )
        )
        out.append(_left_to_right(centre_N2[:, 0], mention_N, groups))
    return [g for g in out if not np.isnan(g.right_N).all()]


def option_guesses(
    options: Sequence[Sequence[str]], gold_N: Ints, image_N: Ints, asked: Sequence[str], kinds: Sequence[str]
) -> list[Guess]:
    """Rules for questions with options: the first, the last, the longest, the one named first in the question.

    Further the letter that is most often right in other images, over all questions and over those of one kind, and, for
    options that tell sides, "left".
    """
    n_N = np.array([len(o) for o in options], dtype=np.float64)
    n_max, rows = int(n_N.max()), np.arange(len(options))
    score = {name: np.full((len(options), n_max), -np.inf) for name in ("longest_option", "first_mentioned", "left")}
    for row, (mine, question) in enumerate(zip(options, asked, strict=True)):
        for k, option in enumerate(mine):
            place = question.lower().find(option.lower().strip())
            score["longest_option"][row, k] = len(option)
            score["first_mentioned"][row, k] = -place if place >= 0 else -np.inf
            score["left"][row, k] = float("left" in option.lower()) or -np.inf
    told = np.array([any("right" in o.lower() for o in mine) for mine in options])
    score["left"][~told] = -np.inf
    first, last = (np.full((len(options), n_max), -np.inf) for _ in range(2))
    first[:, 0], last[rows, n_N.astype(int) - 1] = 1.0, 1.0
    valid_NK = np.arange(n_max) < n_N[:, None]
    groups = {"majority_letter": np.zeros(len(options), dtype=np.intp), "majority_letter_of_kind": _numbered(kinds)}
    score |= {"first_option": first, "last_option": last}
    score |= {rule: _gold_elsewhere(gold_N, image_N, group_N, valid_NK) for rule, group_N in groups.items()}
    out = [_best(rule, np.where(valid_NK, s, -np.inf), gold_N, 1 / n_N) for rule, s in sorted(score.items())]
    return [g for g in out if not np.isnan(g.right_N).all()]


def estimates(
    guesses: Sequence[Guess], images: Sequence[str], *, right_N: Floats | None, rng: np.random.Generator
) -> list[Estimate]:
    """What each rule gets, which is best, and what a model's answers (`right_N`, NaN: none) are worth over it."""
    out = [_rule(g, images, rng=rng) for g in guesses]
    best = max(guesses, key=lambda g: float(np.nanmean(g.right_N)))
    out.append(Estimate(metric="best_rule", label=best.rule))
    if right_N is None:
        return out
    both_N = ~np.isnan(right_N) & ~np.isnan(best.right_N)
    chosen = f"the best of {len(guesses)} rules on these rows is {best.rule}"
    parts = {
        "over_best_rule": (100 * (right_N - best.right_N), both_N, (chosen,)),
        "accuracy_where_it_is_right": (100 * right_N, both_N & (best.right_N == 1), ()),
        "accuracy_where_it_is_wrong": (100 * right_N, both_N & (best.right_N == 0), ()),
    }
    for metric, (value_N, keep_N, notes) in parts.items():
        mine = [image for image, keep in zip(images, keep_N, strict=True) if keep]
        low = -100.0 if metric == "over_best_rule" else 0.0
        blank = Estimate(metric=metric, unit="points", notes=notes)
        out.append(mean_estimate(blank, value_N[keep_N], mine, rng=rng, bounds=(low, 100.0)))
    return out


def filtered(guesses: Sequence[Guess], *, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Rows to keep so that no rule does better than a random pick: as many of the others as can stay, drawn by chance.

    Rows are left out one by one, each time among those that the rules which are still ahead get right most of. Leaving
    out every row that a rule solves would turn the bias round: the rules would be wrong more often than chance.
    """
    ahead_RN = np.stack([np.nan_to_num(g.right_N - g.chance_N) for g in guesses])
    keep_N = np.ones(ahead_RN.shape[1], dtype=np.bool_)
    luck_N = rng.random(len(keep_N))
    while True:
        excess_R = ahead_RN[:, keep_N].sum(axis=1)
        over_R = excess_R > SAME_PLACE
        if not over_R.any():
            return keep_N
        # Rules that are ahead pull a row out, by how far they are ahead; luck decides between rows they like alike.
        pull_N = np.where(keep_N, np.where(over_R, excess_R, 0.0) @ np.maximum(ahead_RN, 0), -np.inf)
        keep_N[np.lexsort((luck_N, pull_N))[-1]] = False


def _rule(guess: Guess, images: Sequence[str], *, rng: np.random.Generator) -> Estimate:
    keep_N = ~np.isnan(guess.right_N)
    chance = 100 * float(guess.chance_N[keep_N].mean())
    mine = [image for image, keep in zip(images, keep_N, strict=True) if keep]
    by_luck = Reference(mean=chance, low=chance, high=chance, p_value=None, method="a random pick, exactly")
    blank = Estimate(metric="rule_accuracy", task=guess.rule, unit="points")
    found = mean_estimate(blank, 100 * guess.right_N[keep_N], mine, rng=rng)
    return replace(found, reference=by_luck)


def _mean_elsewhere(centre_N2: Floats, image_N: Ints) -> Floats:
    """The mean place of targets in other images; NaN where there is one image only."""
    sums_G2 = np.stack([np.bincount(image_N, weights=axis_N) for axis_N in centre_N2.T], axis=1)
    n_G = np.bincount(image_N)
    left_G = (len(image_N) - n_G)[:, None].astype(np.float64)
    mean_G2 = np.divide(sums_G2.sum(axis=0) - sums_G2, left_G, out=np.full_like(sums_G2, np.nan), where=left_G > 0)
    return np.asarray(mean_G2[image_N])


def _picked(rule: str, score_N: Floats, box_N4: Floats, groups: Sequence[Ints]) -> Guess:
    """The candidate of least score in each image; listed boxes that coincide are one candidate."""
    right_N, chance_N = (np.full(len(box_N4), np.nan) for _ in range(2))
    for group in groups:
        boxes, which = np.unique(box_N4[group], axis=0, return_inverse=True)
        if len(boxes) < 2:
            continue
        score = np.array([score_N[group][which.reshape(-1) == k].min() for k in range(len(boxes))])
        least = score <= score.min() + SAME_PLACE
        right_N[group] = least[which.reshape(-1)] / least.sum()
        chance_N[group] = 1 / len(boxes)
    return Guess(rule=rule, right_N=right_N, chance_N=chance_N)


def _left_to_right(x_N: Floats, mention_N: Floats, groups: Sequence[Ints]) -> Guess:
    """The k-th that is named is the k-th from the left, among those that are named."""
    right_N, chance_N = (np.full(len(x_N), np.nan) for _ in range(2))
    for group in groups:
        named = group[~np.isnan(mention_N[group])]
        if len(named) < 2:
            continue
        by_place, by_word = np.argsort(x_N[named], kind="stable"), np.argsort(mention_N[named], kind="stable")
        right_N[named[by_word]] = (by_place == by_word).astype(np.float64)
        chance_N[named] = 1 / len(named)
    return Guess(rule="order_is_left_to_right", right_N=right_N, chance_N=chance_N)


def _gold_elsewhere(gold_N: Ints, image_N: Ints, group_N: Ints, valid_NK: npt.NDArray[np.bool_]) -> Floats:
    """How often each letter is right among the questions of a group in other images, [N, letters]."""
    n_letters = valid_NK.shape[1]
    onehot_NK = np.eye(n_letters)[gold_N]
    out = np.full((len(gold_N), n_letters), -np.inf)
    for group in np.unique(group_N):
        here = np.flatnonzero(group_N == group)
        local = np.unique(image_N[here], return_inverse=True)[1].reshape(-1)
        own_GK = np.zeros((local.max() + 1, n_letters))
        np.add.at(own_GK, local, onehot_NK[here])
        others_NK = own_GK.sum(axis=0) - own_GK[local]
        out[here] = np.where(others_NK.sum(axis=1, keepdims=True) > 0, others_NK, -np.inf)
    return out


def _best(rule: str, score_NK: Floats, gold_N: Ints, chance_N: Floats) -> Guess:
    top_N = score_NK.max(axis=1)
    has_N = np.isfinite(top_N)
    tied_NK = score_NK == top_N[:, None]
    right_N = tied_NK[np.arange(len(gold_N)), gold_N] / tied_NK.sum(axis=1)
    return Guess(rule=rule, right_N=np.where(has_N, right_N, np.nan), chance_N=np.where(has_N, chance_N, np.nan))


def _numbered(names: Sequence[str]) -> Ints:
    return np.unique(list(names), return_inverse=True)[1].reshape(-1).astype(np.intp)
